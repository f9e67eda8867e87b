"""Whether a request may run at all: today the requests-per-minute bucket of its key and customer."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from proxy.exchange.errors import Refused
from ratelimit.limits.bucket import Decision, RequestBuckets
from ratelimit.store.errors import StoreUnavailable
from ratelimit.subjects.types import Subject

Headers = Sequence[tuple[bytes, bytes]]


class Admission(NamedTuple):
    """A request that may run. `headers` tell the tighter limit and what is left of it."""

    headers: Headers


class Admissions:
    """The gate in front of every attempt."""

    def __init__(self, buckets: RequestBuckets, *, open_on_outage: bool) -> None:
        """
        Args:
            open_on_outage: let requests of known keys pass uncounted while the store is away.
        """
        self._buckets = buckets
        self._open_on_outage = open_on_outage

    async def admit(self, subject: Subject, request_id: str) -> Admission:
        """Count the request, all or nothing.

        Raises:
            Refused: a limit is reached, or limits cannot be checked.
        """
        try:
            decision = await self._buckets.take_request(
                request_id=request_id,
                customer_id=subject.customer_id,
                key_id=subject.key_id,
                key_per_minute=subject.key_requests_per_minute,
                customer_per_minute=subject.customer_requests_per_minute,
            )
        except StoreUnavailable as outage:
            if self._open_on_outage:
                return Admission(())
            raise Refused(
                "limits_unavailable",
                "limits cannot be checked at the moment; try again shortly",
                retry_after_s=1.0,
            ) from outage
        headers = _headers(decision)
        if not decision.allowed:
            raise _refusal(decision, headers)
        return Admission(headers)


def _refusal(decision: Decision, headers: Headers) -> Refused:
    assert decision.limit is not None
    reset = duration(decision.reset_after_s)
    return Refused(
        "rate_limit_exceeded",
        f"the {decision.subject}'s limit of {decision.limit:g} requests per minute is reached "
        f"({decision.used} used; it is free again in {reset})",
        retry_after_s=decision.retry_after_s,
        details={
            "subject": decision.subject,
            "limit": "requests_per_minute",
            "used": decision.used,
            "maximum": decision.limit,
            "reset": reset,
        },
        headers=headers,
    )


def _headers(decision: Decision) -> Headers:
    if decision.limit is None:
        return ()
    return (
        (
            b"x-ratelimit-limit-requests",
            b"%g" % decision.limit if decision.limit < 1_000_000 else b"%d" % decision.limit,
        ),
        (b"x-ratelimit-remaining-requests", b"%d" % decision.remaining),
        (b"x-ratelimit-reset-requests", duration(decision.reset_after_s).encode()),
    )


def duration(seconds: float) -> str:
    """Whole seconds, rounded up, as OpenAI writes them: `1s`, `6m0s`, `2h0m5s`."""
    whole = math.ceil(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"
