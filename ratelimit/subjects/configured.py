"""Customers and keys of the configuration file: written to the store at start, held in memory for outages."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final, TypeVar, cast

from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store
from ratelimit.subjects.errors import InvalidRecord
from ratelimit.subjects.files import Change, Files, member
from ratelimit.subjects.records import (
    check_customer,
    check_key,
    decode_customer,
    decode_key,
    encode_customer,
    encode_key,
    subject_of,
    utc_text,
)
from ratelimit.subjects.types import ConfiguredKey, Customer, Key, Kind, Limits, NewCustomer, Subject

_PUT_CUSTOMERS: Final = load_script("ratelimit.subjects", "put_customers")
_PUT_KEYS: Final = load_script("ratelimit.subjects", "put_keys")

_Named = TypeVar("_Named", Customer, Key)
_Record = TypeVar("_Record")

_BATCH: Final = 200  # records per script: about a millisecond, so that other gateways' calls are not held up


class Configured:
    """What the file says. Empty until `sync`; afterwards it answers without the store."""

    __slots__ = ("_customers", "_implied", "_keys", "_store", "_subjects", "_wall_clock_s", "files")

    def __init__(self, store: Store, *, wall_clock_s: Callable[[], float]) -> None:
        self._store = store
        self._wall_clock_s = wall_clock_s
        self.files = Files(store)
        self._customers: dict[str, Customer] = {}
        self._implied: dict[str, Customer] = {}
        self._keys: dict[str, Key] = {}
        self._subjects: dict[bytes, Subject] = {}

    def subject(self, digest: bytes) -> Subject | None:
        """The subject of a configured key as the file has it, by the digest (32 bytes) of its text."""
        return self._subjects.get(digest)

    def holds_customer(self, customer_id: str) -> bool:
        return customer_id in self._customers

    def holds_key(self, key_id: str) -> bool:
        return key_id in self._keys

    def key_ids_of(self, customer_id: str) -> tuple[str, ...]:
        return tuple(key.id for key in self._keys.values() if key.customer == customer_id)

    async def sync(
        self,
        customers: Sequence[NewCustomer],
        keys: Sequence[ConfiguredKey],
        *,
        default_limits: Limits,
        named_only: Iterable[str] = (),
    ) -> None:
        """Make the store agree with the file, however often and from however many gateways it is called.

        A record of the file replaces one made over the API. One that is no longer in the file is disabled, unless a
        gateway runs with a file that names it: then it is when that gateway ends or reloads (see `keep_up`). A
        customer named only by a key, one of `keys` or one that could not be read and is in `named_only` by its
        customer, is made with `default_limits`, unless one made over the API has the id.
        Memory is set first: after StoreUnavailable the configured keys work through the outage, and the call
        is to be repeated when the store is back.

        Raises:
            StoreUnavailable: no answer within the store's time-out; some records may have been written.
            InvalidRecord: an id, limit, digest or time that cannot be stored; nothing was changed.
        """
        listed, implied, records = self._records(customers, keys, default_limits, named_only)
        by_digest = {bytes.fromhex(key.digest): key for key in records.values()}
        self._customers = {**implied, **listed}
        self._implied = implied
        self._keys = records
        self._subjects = {
            digest: subject_of(key, self._customers[key.customer]) for digest, key in by_digest.items()
        }
        self.files.opened(
            _digest_of([*self._customers.values(), *records.values()]),
            [
                *(member("customer", customer_id) for customer_id in self._customers),
                *(member("key", key_id) for key_id in records),
            ],
        )
        await self.files.hold()
        await self._put()
        await self._disable_removed()

    async def keep_up(self) -> None:
        """Say that this gateway runs with its file; after a gateway with another one has ended, put it in force.

        To be called every `HOLD_S`, once `sync` has been.

        Raises:
            StoreUnavailable: no answer; some records may have been written.
        """
        if await self.files.hold():
            await self._put()
            await self._disable_removed()

    async def release(self) -> None:
        """Say that this gateway ends: what its file alone names is disabled, unless it was the last one.

        Raises:
            StoreUnavailable: no answer. The others notice after `HELD_S` by themselves.
        """
        if await self.files.release():
            await self._disable("key", spelled.KEYS, self._keys)
            await self._disable("customer", spelled.CUSTOMERS, self._customers)

    def check(
        self,
        customers: Sequence[NewCustomer],
        keys: Sequence[ConfiguredKey],
        *,
        default_limits: Limits,
        named_only: Iterable[str] = (),
    ) -> None:
        """Whether `sync` can be called with these. Changes nothing.

        Raises:
            InvalidRecord: an id, limit, digest or time that cannot be stored.
        """
        self._records(customers, keys, default_limits, named_only)

    def _records(
        self,
        customers: Sequence[NewCustomer],
        keys: Sequence[ConfiguredKey],
        default_limits: Limits,
        named_only: Iterable[str],
    ) -> tuple[dict[str, Customer], dict[str, Customer], dict[str, Key]]:
        """Customers of the file, those that it only implies, and keys; by id."""
        created_at = utc_text(self._wall_clock_s())
        listed = _by_id("customer", (check_customer(_customer(new, created_at)) for new in customers))
        implied = {
            customer_id: check_customer(
                _customer(NewCustomer(customer_id, customer_id, limits=default_limits), created_at)
            )
            for customer_id in (*named_only, *(key.customer for key in keys))
            if customer_id not in listed
        }
        records = _by_id("key", (check_key(_key(new, created_at)) for new in keys))
        by_digest = {bytes.fromhex(key.digest): key for key in records.values()}
        if len(by_digest) != len(records):
            twin = next(key for key in records.values() if by_digest[bytes.fromhex(key.digest)] is not key)
            other = by_digest[bytes.fromhex(twin.digest)].id
            raise InvalidRecord("key", twin.id, f"secret: the same as that of `{other}`")
        return listed, implied, records

    async def _put(self) -> None:
        await self._put_customers()
        await self._put_keys()

    async def _put_customers(self) -> None:
        for batch in _batches([*self._customers.values()]):
            stored = await self._stored(spelled.CUSTOMERS, [customer.id for customer in batch])
            arguments: list[str | bytes] = []
            for customer, raw in zip(batch, stored, strict=True):
                old = None if raw is None else decode_customer(raw)
                if old is not None and old.managed == "api" and customer.id in self._implied:
                    continue
                record = encode_customer(replace(customer, created_at=old.created_at) if old else customer)
                if record != raw:
                    arguments += (customer.id, record)
            if arguments:
                names = (
                    spelled.CUSTOMERS,
                    spelled.CUSTOMER_IDS,
                    spelled.FILE_CUSTOMERS,
                    spelled.DELETED_CUSTOMERS,
                )
                await self._store.run(_PUT_CUSTOMERS, names, arguments)

    async def _put_keys(self) -> None:
        for batch in _batches([*self._keys.values()]):
            stored = await self._stored(spelled.KEYS, [key.id for key in batch])
            arguments: list[str | bytes] = [spelled.FORMER_SECRETS, spelled.PREVIOUS_SECRETS]
            for key, raw in zip(batch, stored, strict=True):
                old = None if raw is None else decode_key(raw)
                record = encode_key(replace(key, created_at=old.created_at) if old else key)
                # Written although unchanged: the digest may point to another key by now.
                arguments += (key.id, record, key.digest, key.customer)
            names = (
                spelled.KEYS,
                spelled.KEY_IDS,
                spelled.DIGESTS,
                spelled.CUSTOMER_KEYS,
                spelled.FILE_KEYS,
            )
            await self._store.run(_PUT_KEYS, names, arguments)

    async def _disable_removed(self) -> None:
        kinds: Sequence[tuple[Kind, str, str, Iterable[str]]] = (
            ("key", spelled.FILE_KEYS, spelled.KEYS, self._keys),
            ("customer", spelled.FILE_CUSTOMERS, spelled.CUSTOMERS, self._customers),
        )
        for kind, file_set, records, held in kinds:
            members = cast("list[bytes]", await self._store.call("SMEMBERS", file_set))
            await self._disable(kind, records, {each.decode() for each in members}.difference(held))

    async def _disable(self, kind: Kind, records: str, ids: Iterable[str]) -> None:
        """Those that no file names any more. One that another gateway has just changed is newer, and stays."""
        for batch in _batches(sorted(ids)):
            stored = await self._stored(records, batch)
            found = [(name, raw) for name, raw in zip(batch, stored, strict=True) if raw is not None]
            changes = [Change(kind, name, raw, _disabled(kind, raw)) for name, raw in found]
            changes = [each for each in changes if each.disabled != each.raw]
            if changes:
                await self.files.disable(records, changes)

    async def _stored(self, records: str, ids: Sequence[str]) -> list[bytes | None]:
        return cast("list[bytes | None]", await self._store.call("HMGET", records, *ids))


def _customer(new: NewCustomer, created_at: str) -> Customer:
    return Customer(
        id=new.id,
        name=new.name,
        limits=new.limits,
        models=new.models,
        priority=new.priority,
        metadata=new.metadata,
        disabled=new.disabled,
        managed="file",
        created_at=created_at,
        tags=new.tags,
        on_soft_limit=new.on_soft_limit,
        regions=new.regions,
    )


def _key(new: ConfiguredKey, created_at: str) -> Key:
    return Key(
        id=new.id,
        customer=new.customer,
        name=new.name,
        limits=new.limits,
        models=new.models,
        expires_at=new.expires_at,
        disabled=new.disabled,
        managed="file",
        created_at=created_at,
        digest=new.digest,
        model_limits=new.model_limits,
        tags=new.tags,
    )


def _by_id(kind: Kind, records: Iterable[_Named]) -> dict[str, _Named]:
    by_id: dict[str, _Named] = {}
    for record in records:
        if record.id in by_id:
            raise InvalidRecord(kind, record.id, "id: given twice")
        by_id[record.id] = record
    return by_id


def _disabled(kind: Kind, raw: bytes) -> bytes:
    if kind == "key":
        return encode_key(replace(decode_key(raw), disabled=True))
    return encode_customer(replace(decode_customer(raw), disabled=True))


def _digest_of(records: Iterable[Customer | Key]) -> str:
    """Of all that a file says; when it was read is no part of it."""
    digest = sha256()
    for record in records:
        undated = replace(record, created_at="")
        digest.update(encode_customer(undated) if isinstance(undated, Customer) else encode_key(undated))
    return digest.hexdigest()


def _batches(records: Sequence[_Record]) -> Iterable[Sequence[_Record]]:
    return (records[start : start + _BATCH] for start in range(0, len(records), _BATCH))
