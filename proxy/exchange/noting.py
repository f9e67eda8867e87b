"""What an attempt that has ended tells about its backend: each is noted once, by how it ended."""

from typing import cast

from providers.types import UpstreamError
from proxy.exchange.record import Record
from proxy.exchange.ways import Way
from ratelimit.health.health import Health
from ratelimit.health.summary import Kind


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
    usage = record.usage
    health.note(
        backend=way.attempt.backend.id,
        provider_key_id=way.lane.key.id,
        kind=kind,
        first_content_ms=(began_s - ended.sent_s) * 1000 if began_s else None,
        # An estimate counts the bytes that were seen: hidden reasoning is not among them.
        output_tokens=usage.output_tokens if usage is not None and not usage.estimated else 0,
        duration_s=ended.began_s + ended.elapsed_s - ended.sent_s,
        retry_after_s=error.retry_after_s if error is not None else None,
        probe=way.probe,
    )


def _kind(outcome: str, error: UpstreamError | None) -> Kind:
    if outcome == "auth" and error is not None and error.no_such_model:
        return "not_found"
    return cast("Kind", outcome)
