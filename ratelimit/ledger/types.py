"""What the ledger holds and what it was found to add up to: values only."""

from typing import Literal, NamedTuple

Span = Literal["total", "day", "month"]


class Released(NamedTuple):
    """Money given back for a reservation whose gateway was not heard of.

    Attributes:
        admitted_us: microseconds since the epoch.
        about: as its claim had it, opaque.
    """

    reservation_id: str
    tokens: int
    microusd: int
    admitted_us: int
    about: bytes


class Entry(NamedTuple):
    """A row.

    Attributes:
        id: grows with time; where a page begins.
        settled_ms: milliseconds since the epoch.
        day: of the admission, days since 1970-01-01.
        scopes: what it counted for, the customer's first.
        tokens, microusd: booked.
        text: as it was given; empty where `released` says what this is.
    """

    id: str
    settled_ms: int
    day: int
    scopes: tuple[str, ...]
    tokens: int
    microusd: int
    text: bytes
    released: Released | None = None


class Figures(NamedTuple):
    """One group's figures of one day. `day`: days since 1970-01-01. `group`: JSON, as it was given."""

    day: int
    group: bytes
    figures: tuple[int, ...]


class Sums(NamedTuple):
    """Tokens and micro-dollars."""

    tokens: int = 0
    microusd: int = 0

    def plus(self, tokens: int, microusd: int) -> "Sums":
        return Sums(self.tokens + tokens, self.microusd + microusd)


class LostSums(NamedTuple):
    """Reservations of dead gateways that are about the same. `about`: as their claims had it, opaque."""

    about: bytes
    requests: int
    sums: Sums


class Difference(NamedTuple):
    """A scope whose counter is not what was booked."""

    scope: str
    span: Span
    counted: Sums
    booked: Sums


class Reconciliation(NamedTuple):
    """One customer's books.

    Attributes:
        scopes: how many were compared.
        rows: how many rows there are.
        closed, booked, lost: of the customer: closing balances, rows, and what dead gateways held.
        lost_by: `lost`, by what the reservations were about.
        counted: the customer's counter for ever; closed, booked and lost together unless there are differences.
        beyond: windows (`day`, `month`) that could not be compared, since some of their rows are gone.
    """

    customer_id: str
    scopes: int
    rows: int
    closed: Sums
    booked: Sums
    lost: Sums
    counted: Sums
    differences: tuple[Difference, ...]
    beyond: tuple[Span, ...]
    lost_by: tuple[LostSums, ...]
