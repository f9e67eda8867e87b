"""What an attempt that has ended tells about its backend: each is noted once, by how it ended."""

from typing import Final, cast

from providers.types import UpstreamError
from proxy.exchange.attempts.ways import Way
from proxy.exchange.books.record import Record
from ratelimit.health.health import Health
from ratelimit.health.summary import Kind

FORBIDDEN: Final = 403
SPENT_COOL_DOWN_S: Final = 60.0
"""After a 429 that means money or a day's quota: it is not mended in seconds, and a probe looks again."""


def note(health: Health, record: Record, way: Way, error: UpstreamError | None, *, gone: bool) -> None:
    """Count the attempt that ran last, or give its probe back when nothing was sent.

    Args:
        error: what failed.
        gone: the client has left; tells who ended an attempt that was cut off before it had an outcome.
    """
    ended = record.tries[-1]
    if not ended.sent_s:
        if way.probe is not None:
            health.give_back(way.probe)
        return
    kind = _kind(ended.outcome or ("client_gone" if gone else "cancelled"), error)
    began_s = record.first_content_s if record.stream else 0.0
    # An estimate leaves out hidden reasoning, and a slow client's time is not the provider's.
    usage = record.usage
    health.note(
        backend=way.attempt.backend.id,
        provider_key_id=way.lane.key.id,
        kind=kind,
        first_content_ms=(began_s - ended.sent_s) * 1000 if began_s else None,
        output_tokens=0 if usage is None or usage.estimated or ended.slowed else usage.output_tokens,
        duration_s=ended.began_s + ended.elapsed_s - ended.sent_s,
        retry_after_s=_wait_s(error),
        # A key that is no good at all is 401; a model or region it may not use is 403.
        elsewhere_good=ended.status == FORBIDDEN,
        probe=way.probe,
    )


def _wait_s(error: UpstreamError | None) -> float | None:
    """For how long others should not be sent there, where the failure says it."""
    if error is None:
        return None
    if error.retry_after_s is None and error.spent:
        return SPENT_COOL_DOWN_S
    return error.retry_after_s


def _kind(outcome: str, error: UpstreamError | None) -> Kind:
    if outcome == "auth" and error is not None and error.no_such_model:
        return "not_found"
    return cast("Kind", outcome)
