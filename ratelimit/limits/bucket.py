"""Requests per minute, for a key and its customer together."""

from dataclasses import dataclass
from typing import Final, Literal, cast

from ratelimit.store import keys as spelled
from ratelimit.store.scripts import load_script
from ratelimit.store.store import Store

_BUCKET: Final = load_script("ratelimit.limits", "bucket")

# A request is repeated within its own deadline, a minute by default; later its id means nothing any more.
_ANSWER_KEPT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request passed, with the figures of the tighter bucket, or of the one that refused.

    Without any limit `subject` and `limit` are None and the figures 0.

    Attributes:
        limit: requests per minute.
        remaining: whole requests that would pass now.
        reset_after_s: until nothing is used any more.
        retry_after_s: until one request would pass in both buckets; None: never (a limit of 0).
        used: requests, rounded up.
    """

    allowed: bool
    subject: Literal["key", "customer"] | None
    limit: float | None
    remaining: int
    reset_after_s: float
    retry_after_s: float | None
    used: int


_NO_LIMIT: Final = Decision(
    allowed=True, subject=None, limit=None, remaining=0, reset_after_s=0.0, retry_after_s=0.0, used=0
)


class RequestBuckets:
    """Buckets that hold one minute's requests and fill up continuously."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take_request(
        self,
        *,
        request_id: str,
        customer_id: str,
        key_id: str,
        key_per_minute: float | None,
        customer_per_minute: float | None,
    ) -> Decision:
        """Take one request from both buckets, all or none; a refused request takes nothing.

        Repeated with the same id within a minute it takes nothing more, and answers a passed request as it
        was answered. Limits may differ from call to call: a lowered one holds at once, a raised one gives the
        difference at once. 0 lets nothing pass; between 0 and 1, one request at a time.

        Raises:
            StoreUnavailable: no answer within the store's time-out. The request may have been counted: ask
                again with the same id.

        One round trip, none without limits. Time is the server's.
        """
        if key_per_minute is None and customer_per_minute is None:
            return _NO_LIMIT
        reply = await self._store.run(
            _BUCKET,
            (
                spelled.request_taken(customer_id, request_id),
                spelled.key_requests(customer_id, key_id),
                spelled.customer_requests(customer_id),
            ),
            (
                "" if key_per_minute is None else key_per_minute,
                "" if customer_per_minute is None else customer_per_minute,
                self._store.offset_us,
                _ANSWER_KEPT_MS,
            ),
        )
        passed, subject, remaining, reset_us, retry_us, used = cast("list[int]", reply)
        of_key = subject == 1
        return Decision(
            allowed=passed == 1,
            subject="key" if of_key else "customer",
            limit=key_per_minute if of_key else customer_per_minute,
            remaining=remaining,
            reset_after_s=reset_us / 1_000_000,
            retry_after_s=None if retry_us < 0 else retry_us / 1_000_000,
            used=used,
        )
