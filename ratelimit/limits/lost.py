"""What gateways that died had held: booked as spent until an operator says that it cost nothing."""

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from ratelimit.limits.reservations import MARK_S, ROWS_KEPT_DAYS
from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_LOST: Final = load_script("ratelimit.limits", "lost", when_full=True, prelude="common")
_RELEASE: Final = load_script(
    "ratelimit.limits", "release", when_full=True, prelude=("common", "ratelimit.ledger:rows")
)
_AT_ONCE: Final = 100
_EVER_US: Final = 1 << 52
"""Later than any admission; a number that scripts keep exact."""
_DAY_US: Final = 86_400_000_000

_Found = tuple[bytes, int, int, int, bytes, bytes]
"""As the scripts give one."""


class LostReservation(NamedTuple):
    """One that its gateway neither settled nor renewed.

    Attributes:
        admitted_us: microseconds since the epoch.
        tokens, microusd: booked as spent for it: the most it may have used.
        scopes: whose counters that is in.
        about: as the claim had it, opaque.
    """

    reservation_id: str
    admitted_us: int
    tokens: int
    microusd: int
    scopes: tuple[str, ...]
    about: bytes


class Lost:
    """Lost reservations of all customers. Raises StoreUnavailable when the store is away."""

    __slots__ = ("_rows_kept_us", "_store")

    def __init__(self, store: Store, *, rows_kept_days: int = ROWS_KEPT_DAYS) -> None:
        """`rows_kept_days`: see `Reservations`."""
        self._store = store
        self._rows_kept_us = rows_kept_days * _DAY_US

    async def listed(self, customer_id: str) -> tuple[LostReservation, ...]:
        """All of a customer, the oldest first."""
        reply = await self._store.run(_LOST, _keys(customer_id), (self._store.offset_us,))
        found = [_lost(*each) for each in cast("list[_Found]", reply)]
        return tuple(sorted(found, key=lambda each: (each.admitted_us, each.reservation_id)))

    async def release(
        self, customer_id: str, ids: Sequence[str] = (), *, before_us: int = _EVER_US
    ) -> tuple[LostReservation, ...]:
        """Give back the money of lost reservations, all that were admitted before a moment or those of `ids`.

        A row of the ledger says so. A gateway that settles one within the hour after all is booked then.

        Returns:
            Those that were released now; ids that are not lost are passed over.
        """
        released: list[LostReservation] = []
        batches = [tuple(ids[start : start + _AT_ONCE]) for start in range(0, len(ids), _AT_ONCE)] or [()]
        for batch in batches:
            while True:
                done = await self._release(customer_id, batch, before_us)
                released += done
                if len(done) < _AT_ONCE or batch:
                    break
        return tuple(released)

    async def _release(self, customer_id: str, ids: tuple[str, ...], before_us: int) -> list[LostReservation]:
        reply = await self._store.run(
            _RELEASE,
            (*_keys(customer_id), spelled.ledger(customer_id), spelled.closing(customer_id)),
            (
                self._store.offset_us,
                before_us,
                _AT_ONCE,
                self._rows_kept_us,
                spelled.marks(customer_id),
                int(MARK_S * 1000),
                *ids,
            ),
        )
        return [_lost(*each) for each in cast("list[_Found]", reply)]


def _lost(
    name: bytes, admitted_us: int, tokens: int, microusd: int, scopes: bytes, about: bytes
) -> LostReservation:
    names = tuple(scopes.decode().split("\n"))
    return LostReservation(name.decode(), admitted_us, tokens, microusd, names, about)


def _keys(customer_id: str) -> tuple[str, str, str, str]:
    return (
        spelled.use(customer_id),
        spelled.held(customer_id),
        spelled.due(customer_id),
        spelled.lost(customer_id),
    )
