"""What is counted for customers, as the admin API reads and mends it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ratelimit.ledger.ledger import Ledger
from ratelimit.ledger.types import Reconciliation
from ratelimit.limits.lost import Lost
from ratelimit.limits.reservations import Reservations

Reconciling = Callable[[str], Awaitable[Reconciliation]]


class Books(NamedTuple):
    """All of it. `reconcile`: compares a customer's counters with its ledger, by id."""

    reservations: Reservations
    ledger: Ledger
    lost: Lost
    reconcile: Reconciling
