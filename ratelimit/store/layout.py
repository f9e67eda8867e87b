"""What a cluster's node says of the cluster: who holds which hash slots, and whether it is well."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from ratelimit.store.login import read_info
from ratelimit.store.wire import ReplyError, pack_command

SLOTS: Final = 16384
QUESTIONS: Final = (pack_command((b"CLUSTER", b"INFO")), pack_command((b"CLUSTER", b"SLOTS")))
"""What to send for a `Layout`."""

Node = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One node's view.

    Attributes:
        healthy: the node serves requests: as it sees it, the cluster is up.
        epoch: grows with every change that the nodes have agreed on; a larger one is newer.
        ranges: first slot, last slot, master.
        replicas: they know the layout too.
    """

    healthy: bool
    epoch: int
    ranges: tuple[tuple[int, int, Node], ...]
    replicas: frozenset[Node]

    @property
    def masters(self) -> frozenset[Node]:
        return frozenset(master for _, _, master in self.ranges)


def name_of(node: Node) -> str:
    """As it is written in an address."""
    host, port = node
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_layout(replies: Sequence[object], asked: Node) -> Layout:
    """Read the replies to `QUESTIONS`.

    `asked` answered; a node without a host of its own is there too (redis.io, "CLUSTER SLOTS").

    Raises:
        ValueError: these are no such replies; the message is the server's when it has one.
    """
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise ValueError(str(reply))  # noqa: TRY004 - it is the server that says so, not a wrong type
    info = read_info(replies[0])
    try:
        ranges: list[tuple[int, int, Node]] = []
        replicas: set[Node] = set()
        for first, last, master, *others in cast("list[list[object]]", replies[1]):
            ranges.append((cast("int", first), cast("int", last), _node(master, asked)))
            replicas.update(_node(other, asked) for other in others)
        return Layout(
            healthy=info.get("cluster_state") == "ok",
            epoch=int(info.get("cluster_current_epoch", "0")),
            ranges=tuple(ranges),
            replicas=frozenset(replicas),
        )
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(f"no answer of a cluster: {error}") from error


def read_redirection(text: str, asked: Node) -> tuple[str, int, Node] | None:
    """`MOVED` or `ASK`, the slot and the node that an error reply names; None for any other error."""
    kind, _, rest = text.partition(" ")
    if kind not in ("MOVED", "ASK"):
        return None
    slot, _, where = rest.partition(" ")
    host, _, port = where.split(" ")[0].rpartition(":")
    return kind, int(slot), (host or asked[0], int(port))


def _node(said: object, asked: Node) -> Node:
    host, port, *_ = cast("list[object]", said)
    name = host.decode() if isinstance(host, bytes) else ""
    # "?": it has no name to be known by; the one that answered at least can be reached.
    return (asked[0] if name in ("", "?") else name), cast("int", port)
