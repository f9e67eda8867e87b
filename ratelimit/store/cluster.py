"""A cluster: one link for each master, each call to the one that holds its key's hash slot."""

import asyncio
import random
from typing import Final

from redis.crc import key_slot

from ratelimit.store import layout, login
from ratelimit.store.address import Address
from ratelimit.store.errors import StoreRefused, StoreUnavailable
from ratelimit.store.identity import Identity
from ratelimit.store.layout import Layout, Node, name_of
from ratelimit.store.link import PROBE_S, Link, at
from ratelimit.store.outage import Outage
from ratelimit.store.wire import ReplyError

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5  # a promoted replica is to be found soon; the question is cheap
_HOPS: Final = 2  # to where the slot has moved, and from there to where the key already is
_SLOTS: Final = "slots"


class Cluster:
    """The masters as the cluster itself names them. A `Topology`.

    The layout is asked for anew when a node is lost or says that a slot has moved, with growing pauses until
    every slot has a master that answers. A call for a lost master fails by itself, the others go on.

    The store's identity lives in one slot and is checked against the node that holds it, whenever a connection
    to that node is made. What this cannot see: another node that came back empty, a slot that was moved or
    emptied under a living connection; and a cluster that came back empty is used until that node answers.
    """

    __slots__ = (
        "_address",
        "_closed",
        "_closing",
        "_due",
        "_identity",
        "_known",
        "_links",
        "_outage",
        "_reason",
        "_refreshing",
        "_slots",
        "_timeout_s",
    )

    def __init__(self, address: Address, *, timeout_s: float, identity: Identity, outage: Outage) -> None:
        """`address`: of kind cluster; its hosts are asked for the others."""
        self._address = address
        self._timeout_s = timeout_s
        self._identity = identity
        self._outage = outage
        self._links: dict[Node, Link] = {}
        self._slots: list[Node | None] = [None] * layout.SLOTS
        self._known: frozenset[Node] = frozenset(address.hosts)
        self._reason: str = "not opened yet"
        self._refreshing: asyncio.Task[None] | None = None
        self._due = False
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def down_reason(self) -> str | None:
        """See `Topology`: no master can be used, or the cluster is not the one remembered."""
        if self._identity.problem is not None:
            return self._identity.problem
        reason: str | None = self._reason
        for link in self._links.values():
            reason = link.down_reason
            if reason is None:
                return None
        return reason

    async def open(self) -> None:
        """See `Topology`.

        Raises:
            StoreRefused: a node refuses us, is not to be used as it is, or is of no cluster.
        """
        try:
            found = await self._look()
        except StoreUnavailable as error:
            self._reason = str(error)
            self._outage.lost(_SLOTS, self._reason)
            self._refresh()
        else:
            await self._use_first(found)

    async def close(self) -> None:
        """See `Topology`."""
        self._closed = True
        self._reason = "the store was closed"
        task, self._refreshing = self._refreshing, None
        retired = list(self._closing)
        for ending in (task, *retired):
            if ending is not None:
                ending.cancel()
        await asyncio.gather(*(ending for ending in (task, *retired) if ending), return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links.values()))

    async def request(self, key: str, packed: bytes) -> object:
        """See `Topology`. Follows the key when it has moved, within the time-out of the whole call."""
        started_s = asyncio.get_running_loop().time()
        node, link = self._holder(key)
        reply = await link.request(key, packed)
        if type(reply) is not ReplyError:
            return reply
        try:
            async with asyncio.timeout_at(started_s + self._timeout_s):
                return await self._followed(node, reply, key, packed)
        except TimeoutError as error:
            raise StoreUnavailable(f"no answer within {self._timeout_s * 1000:.0f} ms") from error

    async def request_all(self, packed: bytes) -> list[object]:
        """See `Topology`."""
        if self._identity.problem is not None or not self._links:
            raise StoreUnavailable(self._identity.problem or self._reason)
        return await asyncio.gather(*(link.request("", packed) for link in self._links.values()))

    async def request_unchecked(self, key: str, packed: bytes) -> object:
        """See `Topology`."""
        node = self._node(key)
        reply = await self._link(node).request_unchecked(key, packed)
        moved = layout.read_redirection(str(reply), node) if isinstance(reply, ReplyError) else None
        if moved is None:
            return reply
        self._slots[moved[1]] = moved[2]
        return await self._link(moved[2]).request_unchecked(key, packed)

    async def look_again(self, key: str) -> None:
        """See `Topology`."""
        await self._link(self._node(key)).look_again(key)

    def name_of(self, key: str) -> str:
        """See `Topology`."""
        node = self._slots[_slot(key)]
        return _SLOTS if node is None else name_of(node)

    def give_up(self, key: str, reason: str) -> None:
        """See `Topology`."""
        node = self._slots[_slot(key)]
        if node is not None and node in self._links:
            self._links[node].give_up(key, reason)
            self._refresh()

    def lost(self, name: str, reason: str, *, act: bool = False) -> None:
        """A link to a node went down, or is still down after another probe."""
        if name not in map(name_of, self._links):
            return  # it is no master any more, and being closed
        self._outage.lost(name, reason, act=act)
        if self._refreshing is None or self._refreshing.done():
            self._refresh()

    def found(self, name: str) -> None:
        """A link to a node has a connection."""
        self._outage.found(name)

    def _holder(self, key: str) -> tuple[Node, Link]:
        """The master that holds a key; for none, one that is up."""
        if self._identity.problem is not None:
            raise StoreUnavailable(self._identity.problem)
        if key:
            node = self._node(key)
            return node, self._link(node)
        for node, link in self._links.items():
            if link.down_reason is None:
                return node, link
        raise StoreUnavailable(self.down_reason or self._reason)

    def _node(self, key: str) -> Node:
        node = self._slots[_slot(key)]
        if node is None:
            raise StoreUnavailable(self._reason if not self._links else "no node serves the key's hash slot")
        return node

    def _link(self, node: Node) -> Link:
        """The link to a node, a new one for a node that was not heard of before."""
        link = self._links.get(node)
        if link is None:
            if self._closed:
                raise StoreUnavailable(self._reason)
            link = self._begun(node)
        return link

    def _begun(self, node: Node) -> Link:
        self._links[node] = link = self._new_link(node)
        if self._outage.present:  # it is over when this one answers, not when it is heard of
            self._outage.lost(name_of(node), f"{name_of(node)}: no connection yet")
        link.begin()
        return link

    def _new_link(self, node: Node) -> Link:
        return Link(
            at(self._address_of(node)),
            timeout_s=self._timeout_s,
            identity=self._identity,
            watcher=self,
            name=name_of(node),
            in_cluster=True,
        )

    def _address_of(self, node: Node) -> Address:
        return Address("tcp", (node,), username=self._address.username, password=self._address.password)

    async def _followed(self, node: Node, reply: object, key: str, packed: bytes) -> object:
        """The reply from where the key is now, or the error that it really is."""
        for _ in range(_HOPS):
            moved = layout.read_redirection(str(reply), node) if type(reply) is ReplyError else None
            if moved is None:
                break
            kind, slot, node = moved
            link = self._link(node)
            if kind == "ASK":
                reply = await link.request_asking(packed)
            else:
                self._slots[slot] = node
                self._refresh()
                reply = await link.request(key, packed)
        if type(reply) is ReplyError:
            text = str(reply)
            if text.startswith("CLUSTERDOWN"):
                self._refresh()
            elif layout.read_redirection(text, node) is not None:
                raise StoreUnavailable(f"the cluster is being rearranged: {text}")
        return reply

    def _refresh(self) -> None:
        """Learn the layout anew, soon, and until all is well."""
        self._due = True
        if not self._closed and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh_until_well())

    async def _refresh_until_well(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._is_well() or self._due:
            self._due = False
            # Spread, so that a fleet does not ask in step.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                found = await self._look()
            except (StoreUnavailable, StoreRefused) as error:
                self._reason = str(error)
                if not self._links:
                    self._outage.lost(_SLOTS, self._reason)
            else:
                self._use(found)

    def _is_well(self) -> bool:
        return None not in self._slots and all(link.down_reason is None for link in self._links.values())

    async def _look(self) -> Layout:
        """The newest layout that a node at work has, or else any node.

        Raises:
            StoreUnavailable, StoreRefused: none has any.
        """
        live = {node: link for node, link in self._links.items() if link.down_reason is None}
        views = await asyncio.gather(*(self._ask(node, link) for node, link in live.items()))
        for link, view in zip(live.values(), views, strict=True):
            if isinstance(view, Layout) and not view.healthy:
                link.give_up("", "the cluster is down")
        if not any(isinstance(view, Layout) and view.healthy for view in views):
            views += await asyncio.gather(*(self._ask(node, None) for node in self._known - live.keys()))
        found = [view for view in views if isinstance(view, Layout)]
        if found:
            return max(found, key=lambda view: (view.healthy, view.epoch))
        problems = [view for view in views if not isinstance(view, Layout)]
        raise next((problem for problem in problems if isinstance(problem, StoreRefused)), problems[0])

    async def _ask(self, node: Node, link: Link | None) -> Layout | StoreUnavailable | StoreRefused:
        """A node's view, over its link or a connection for this alone."""
        try:
            if link is None:
                replies = await login.ask(self._address_of(node), layout.QUESTIONS, limit_s=PROBE_S)
            else:
                replies = await asyncio.gather(*(link.request("", packed) for packed in layout.QUESTIONS))
            return layout.read_layout(replies, node)
        except (StoreUnavailable, StoreRefused) as error:
            return error
        except ValueError as error:
            return StoreRefused(f"{name_of(node)} cannot be used as a node of a cluster: {error}")

    async def _use_first(self, found: Layout) -> None:
        for node in found.masters:
            self._links[node] = self._new_link(node)
        self._place(found)
        outcomes = await asyncio.gather(
            *(link.open() for link in self._links.values()), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self.close()
                raise outcome

    def _use(self, found: Layout) -> None:
        """Links to the masters of a newer layout and to no others."""
        for node in found.masters - self._links.keys():
            self._begun(node)
        for node in self._links.keys() - found.masters:
            self._retire(node)
        self._place(found)
        if found.healthy:
            for link in self._links.values():
                link.knock()

    def _place(self, found: Layout) -> None:
        slots: list[Node | None] = [None] * layout.SLOTS
        for first, last, master in found.ranges:
            slots[first : last + 1] = [master] * (last + 1 - first)
        self._slots = slots
        self._known = found.masters | found.replicas | frozenset(self._address.hosts)
        missing = slots.count(None)
        if missing:
            self._reason = f"no node of the cluster serves {missing} of {layout.SLOTS} hash slots"
            self._outage.lost(_SLOTS, self._reason)
            if self._refreshing is None or self._refreshing.done():
                self._refresh()
        else:
            self._outage.found(_SLOTS)

    def _retire(self, node: Node) -> None:
        """Calls under way still get their answers."""
        link = self._links.pop(node)
        self._outage.forget(name_of(node))
        task = asyncio.get_running_loop().create_task(self._close_later(link))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_later(self, link: Link) -> None:
        try:
            await asyncio.sleep(self._timeout_s)
        finally:
            await link.close()


def _slot(key: str) -> int:
    return key_slot(key.encode(errors="surrogateescape"))
