"""Everything of one customer is removed, whatever part of this room wrote it."""

from typing import Final, NamedTuple, cast

from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_ERASE: Final = load_script("ratelimit.store", "erase")
_AT_ONCE: Final = 1000
"""Keys looked at by one call, which takes about a millisecond."""


class Erased(NamedTuple):
    """`keys`: how many the store had; `under_way`: requests that had not ended, and leave something yet."""

    keys: int
    under_way: int


async def erase(store: Store, customer_id: str) -> Erased:
    """Remove every key with this customer's hash tag.

    Walks over all keys of the server, or of the one of a cluster that holds them: about a second for a million. What
    is written meanwhile may stay.

    Raises:
        StoreUnavailable: the store is away; some may be removed. It can be repeated.
    """
    under_way = cast("int", await store.call("HLEN", spelled.held(customer_id)))
    cursor, gone = b"0", 0
    while True:
        reply = await store.run(
            _ERASE, (spelled.everything(customer_id),), (cursor, _AT_ONCE, spelled.pattern(customer_id))
        )
        cursor, found = cast("tuple[bytes, int]", reply)
        gone += found
        if cursor == b"0":
            return Erased(gone, under_way)
