"""Customers and keys: made, read, changed and deleted. Each change is one script, whole or not at all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, cast

from ratelimit.store import keys as spelled
from ratelimit.store.errors import StoreUnavailable
from ratelimit.store.scripts import Script, load_script
from ratelimit.store.store import Argument, Store
from ratelimit.subjects.changes import Changes
from ratelimit.subjects.configured import Configured
from ratelimit.subjects.errors import AlreadyExists, ManagedByFile, NotFound, UnknownCustomer
from ratelimit.subjects.known import KnownCustomers
from ratelimit.subjects.records import (
    check_customer,
    check_key,
    decode_customer,
    decode_key,
    encode_customer,
    encode_key,
    epoch_s,
    is_id,
    utc_text,
)
from ratelimit.subjects.secret import digest_of, make_key_id, make_secret
from ratelimit.subjects.types import (
    ConfiguredKey,
    Customer,
    CustomerPage,
    Key,
    KeyPage,
    Kind,
    Limits,
    NewCustomer,
    NewKey,
)

_CREATE_CUSTOMER: Final = load_script("ratelimit.subjects", "create_customer")
_CREATE_KEY: Final = load_script("ratelimit.subjects", "create_key")
_DELETE_CUSTOMER: Final = load_script("ratelimit.subjects", "delete_customer")
_DELETE_KEY: Final = load_script("ratelimit.subjects", "delete_key")
_LIST: Final = load_script("ratelimit.subjects", "list", writes=False)
_REPLACE: Final = load_script("ratelimit.subjects", "replace")
_ROTATE_KEY: Final = load_script("ratelimit.subjects", "rotate_key")

# A change is made on what was read and written only if that still stands. Administrators do not collide
# often; this many times in a row never.
_TRIES: Final = 10

# How long whoever sends the text of a revoked key is told so. The digest of a text made here is all that is kept.
_REVOKED_KNOWN_S: Final = 30 * 86_400


class Directory:
    """The customers and keys of one store. Every method raises StoreUnavailable when the store is away.

    Records marked `managed="file"` are changed in the configuration file only; over the API they can be
    deleted once the file no longer has them.

    Attributes:
        changes: made by these methods.
        known: ids of customers, deleted ones among them.
    """

    __slots__ = ("_store", "_wall_clock_s", "changes", "configured", "known")

    def __init__(self, store: Store, *, wall_clock_s: Callable[[], float]) -> None:
        """`wall_clock_s`: seconds since the epoch, for `created_at`."""
        self._store = store
        self._wall_clock_s = wall_clock_s
        self.changes = Changes()
        self.known = KnownCustomers(store)
        self.configured = Configured(store, wall_clock_s=wall_clock_s)

    async def sync_configured(
        self,
        customers: Sequence[NewCustomer],
        keys: Sequence[ConfiguredKey],
        *,
        default_limits: Limits,
        named_only: Iterable[str] = (),
    ) -> None:
        """Make the store agree with the configuration file; see `Configured.sync`."""
        try:
            await self.configured.sync(customers, keys, default_limits=default_limits, named_only=named_only)
        finally:
            self.changes.count += 1

    async def create_customer(self, new: NewCustomer) -> Customer:
        """Store a customer.

        Raises:
            AlreadyExists: the id is taken.
            InvalidRecord: a member cannot be stored.
        """
        customer = check_customer(
            Customer(
                id=new.id,
                name=new.name,
                limits=new.limits,
                models=new.models,
                priority=new.priority,
                metadata=new.metadata,
                disabled=new.disabled,
                managed="api",
                created_at=utc_text(self._wall_clock_s()),
                tags=new.tags,
                on_soft_limit=new.on_soft_limit,
                regions=new.regions,
            )
        )
        made = await self._change(
            _CREATE_CUSTOMER,
            (spelled.CUSTOMERS, spelled.CUSTOMER_IDS, spelled.DELETED_CUSTOMERS),
            (customer.id, encode_customer(customer)),
        )
        if not made:
            raise AlreadyExists("customer", customer.id)
        return customer

    async def create_key(self, new: NewKey) -> tuple[Key, str]:
        """Make a key for a customer. The second value is its text, which can be had this once only.

        Raises:
            UnknownCustomer: there is no such customer.
            InvalidRecord: a member cannot be stored.
        """
        if not is_id(new.customer):
            raise UnknownCustomer(new.customer)
        secret = make_secret()
        key = check_key(
            Key(
                id=make_key_id(),
                customer=new.customer,
                name=new.name,
                limits=new.limits,
                models=new.models,
                expires_at=new.expires_at,
                disabled=new.disabled,
                managed="api",
                created_at=utc_text(self._wall_clock_s()),
                digest=digest_of(secret).hex(),
                model_limits=new.model_limits,
                tags=new.tags,
            )
        )
        made = await self._change(
            _CREATE_KEY,
            (spelled.KEYS, spelled.KEY_IDS, spelled.DIGESTS, spelled.CUSTOMER_KEYS, spelled.CUSTOMERS),
            (key.id, encode_key(key), key.digest, key.customer),
        )
        if made == -1:
            raise UnknownCustomer(new.customer)
        if not made:
            raise AlreadyExists("key", key.id)
        return key, secret

    async def get_customer(self, customer_id: str) -> Customer:
        """Raises NotFound."""
        return decode_customer(await self._raw("customer", customer_id))

    async def get_key(self, key_id: str) -> Key:
        """Raises NotFound."""
        return self._key(await self._raw("key", key_id))

    async def list_customers(self, after: str | None, limit: int) -> CustomerPage:
        """At most `limit` (at least 1) customers in byte order of id, beginning behind the id `after`."""
        raws = await self._list(spelled.CUSTOMER_IDS, spelled.CUSTOMERS, "", after, limit)
        items = tuple(decode_customer(raw) for raw in raws[:limit])
        return CustomerPage(items, items[-1].id if len(raws) > limit else None)

    async def list_keys(self, after: str | None, limit: int, *, customer_id: str | None = None) -> KeyPage:
        """At most `limit` (at least 1) keys in byte order of id, of all customers or of one."""
        if customer_id is None:
            raws = await self._list(spelled.KEY_IDS, spelled.KEYS, "", after, limit)
        else:
            raws = await self._list(spelled.CUSTOMER_KEYS, spelled.KEYS, f"{customer_id} ", after, limit)
        items = tuple(self._key(raw) for raw in raws[:limit])
        return KeyPage(items, items[-1].id if len(raws) > limit else None)

    async def update_customer(self, customer_id: str, change: Callable[[Customer], Customer]) -> Customer:
        """Store `change(customer)`. `change` is pure: it may run again when others write meanwhile.

        `id`, `managed` and `created_at` stay, whatever `change` makes of them.

        Raises:
            NotFound, ManagedByFile: see there.
            InvalidRecord: a member cannot be stored.
        """
        for _ in range(_TRIES):
            raw = await self._raw("customer", customer_id)
            old = decode_customer(raw)
            if old.managed == "file":
                raise ManagedByFile("customer", customer_id)
            new = check_customer(
                replace(change(old), id=old.id, managed=old.managed, created_at=old.created_at)
            )
            if await self._change(_REPLACE, (spelled.CUSTOMERS,), (customer_id, raw, encode_customer(new))):
                return new
        raise StoreUnavailable(f"customer `{customer_id}` keeps being changed by others")

    async def update_key(self, key_id: str, change: Callable[[Key], Key]) -> Key:
        """Store `change(key)`; like `update_customer`. `customer` and the secret stay as well."""
        for _ in range(_TRIES):
            raw = await self._raw("key", key_id)
            old = self._key(raw)
            if old.managed == "file":
                raise ManagedByFile("key", key_id)
            new = check_key(
                replace(
                    change(old),
                    id=old.id,
                    customer=old.customer,
                    managed=old.managed,
                    created_at=old.created_at,
                    digest=old.digest,
                    previous_until=old.previous_until,
                )
            )
            if await self._change(_REPLACE, (spelled.KEYS,), (key_id, raw, encode_key(new))):
                return new
        raise StoreUnavailable(f"key `{key_id}` keeps being changed by others")

    async def rotate_key(self, key_id: str, *, overlap_s: int) -> tuple[Key, str]:
        """Give a key another text, the second value, which can be had this once only.

        The text it had works on for `overlap_s` (0 ends it at once), the one before that no longer: one key has
        two texts at most. Raises NotFound or ManagedByFile. One round trip.
        """
        if not is_id(key_id):
            raise NotFound("key", key_id)
        secret = make_secret()
        raw = await self._change(
            _ROTATE_KEY,
            (spelled.KEYS, spelled.DIGESTS, spelled.previous_secret(key_id)),
            (
                key_id,
                digest_of(secret).hex(),
                overlap_s,
                _REVOKED_KNOWN_S,
                self._store.offset_us,
                spelled.FORMER_SECRETS,
            ),
        )
        if isinstance(raw, bytes):
            return decode_key(raw), secret
        raise ManagedByFile("key", key_id) if raw == -1 else NotFound("key", key_id)

    async def delete_customer(self, customer_id: str) -> None:
        """Remove a customer and all its keys; nothing of either is kept but digests, for `_REVOKED_KNOWN_S`.

        What was counted for it stays for those who look after that: its id is among `known` until it is
        forgotten there, or for good when it is made again.

        Raises:
            NotFound: there is none.
            ManagedByFile: the file holds the customer or one of its keys; `kind` and `id` say which.
        """
        for _ in range(_TRIES):
            raw = await self._raw("customer", customer_id)
            if decode_customer(raw).managed == "file" and await self._filed("customer", customer_id):
                raise ManagedByFile("customer", customer_id)
            done = await self._change(
                _DELETE_CUSTOMER,
                (
                    spelled.CUSTOMERS,
                    spelled.CUSTOMER_IDS,
                    spelled.KEYS,
                    spelled.KEY_IDS,
                    spelled.DIGESTS,
                    spelled.CUSTOMER_KEYS,
                    spelled.FILE_CUSTOMERS,
                    spelled.FILE_KEYS,
                    spelled.DELETED_CUSTOMERS,
                ),
                (
                    customer_id,
                    raw,
                    _REVOKED_KNOWN_S,
                    spelled.FORMER_SECRETS,
                    spelled.PREVIOUS_SECRETS,
                    self._wall_clock_s(),
                    *self.configured.key_ids_of(customer_id),
                ),
            )
            if isinstance(done, bytes):
                raise ManagedByFile("key", done.decode())
            if done:
                return
        raise StoreUnavailable(f"customer `{customer_id}` keeps being changed by others")

    async def delete_key(self, key_id: str) -> None:
        """Revoke a key: it is gone, and works nowhere within two seconds.

        Raises:
            NotFound: there is none.
            ManagedByFile: the file holds it.
        """
        for _ in range(_TRIES):
            raw = await self._raw("key", key_id)
            key = decode_key(raw)
            if key.managed == "file" and await self._filed("key", key_id):
                raise ManagedByFile("key", key_id)
            if await self._change(
                _DELETE_KEY,
                (
                    spelled.KEYS,
                    spelled.KEY_IDS,
                    spelled.DIGESTS,
                    spelled.CUSTOMER_KEYS,
                    spelled.FILE_KEYS,
                    spelled.previous_secret(key_id),
                ),
                # Texts of the file's keys are the operator's own and may be guessed: no digest of them stays.
                (
                    key_id,
                    raw,
                    key.customer,
                    _REVOKED_KNOWN_S if key.managed == "api" else 0,
                    spelled.FORMER_SECRETS,
                ),
            ):
                return
        raise StoreUnavailable(f"key `{key_id}` keeps being changed by others")

    async def _change(self, script: Script, names: Sequence[str], arguments: Sequence[Argument]) -> object:
        """Run a script that writes. Lookups of this process ask anew from then on; it may have run if it fails."""
        try:
            return await self._store.run(script, names, arguments)
        finally:
            self.changes.count += 1

    async def _filed(self, kind: Kind, record_id: str) -> bool:
        """Whether the file of this gateway names a record, or that of another one."""
        configured = self.configured
        here = configured.holds_customer if kind == "customer" else configured.holds_key
        return here(record_id) or await configured.files.names(kind, record_id)

    def _key(self, raw: bytes) -> Key:
        """The record; an overlap that has ended is none."""
        key = decode_key(raw)
        if key.previous_until is None or self._wall_clock_s() < epoch_s(key.previous_until):
            return key
        return replace(key, previous_until=None)

    async def _raw(self, kind: Kind, record_id: str) -> bytes:
        if not is_id(record_id):
            raise NotFound(kind, record_id)
        records = spelled.CUSTOMERS if kind == "customer" else spelled.KEYS
        raw = await self._store.call("HGET", records, record_id)
        if not isinstance(raw, bytes):
            raise NotFound(kind, record_id)
        return raw

    async def _list(self, ids: str, records: str, prefix: str, after: str | None, limit: int) -> list[bytes]:
        """One record more than `limit` when there are more. `prefix`: what members begin with, or empty."""
        if limit < 1:
            raise ValueError("limit: must be >= 1")
        start = f"[{prefix}" if prefix else "-"
        lower = start if after is None else f"({prefix}{after}"
        # The character after the space in byte order: the end of all members that begin with the prefix.
        upper = f"({prefix[:-1]}!" if prefix else "+"
        skip_bytes = len(prefix.encode())
        raws = await self._store.run(_LIST, (ids, records), (lower, upper, limit + 1, skip_bytes))
        return cast("list[bytes]", raws)
