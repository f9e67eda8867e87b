"""What one outcome means for circuits: read off once, applied here at once and in the store with the next batch."""

from dataclasses import dataclass, field
from typing import Final, Literal

from ratelimit.health.summary import FAULTS, Kind
from ratelimit.health.types import Probe, Reason, Target

# What is refused for what it is (a credential, a model's name) is not mended in seconds.
REFUSED_COOL_DOWN_S: Final = 60.0
# A date far off may be a slip, and a day's quota is sometimes raised: one request an hour finds out.
LONGEST_RETRY_AFTER_S: Final = 3600.0
# Where doubling after failed probes ends.
LONGEST_COOL_DOWN_S: Final = 600.0
WINDOW_S: Final = 60.0
"""Over which errors are set against answers."""

Verdict = Literal["passed", "failed", "unclear"]


@dataclass(frozen=True, slots=True)
class Opening:
    """Open this circuit, or keep it open, until then at least (the gateway's own clock)."""

    target: Target
    reason: Reason
    until_s: float


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A probe is over: what it means for each circuit it was taken for."""

    token: str
    of: dict[Target, Verdict] = field(hash=False)


def opening(
    backend: str,
    provider_key_id: str,
    kind: Kind,
    retry_after_s: float | None,
    now_s: float,
    *,
    elsewhere_good: bool = False,
) -> Opening | None:
    """What an outcome opens by itself, whatever the errors' share.

    A wait that a provider asks for is kept by the backend; one of a rate limit by the backend over this key,
    since another key has limits of its own. A refused credential opens its key, or the
    backend over this key when it may be good for others; an unknown model its backend.
    """
    if kind == "auth":
        target = Target(backend if elsewhere_good or not provider_key_id else "", provider_key_id)
        return Opening(target, "auth", now_s + REFUSED_COOL_DOWN_S)
    if kind == "not_found":
        return Opening(Target(backend, ""), "not_found", now_s + REFUSED_COOL_DOWN_S)
    if not retry_after_s or retry_after_s < 0:
        return None
    until_s = now_s + min(retry_after_s, LONGEST_RETRY_AFTER_S)
    if kind == "rate_limited":
        return Opening(Target(backend, provider_key_id), "retry_after", until_s)
    if kind in FAULTS:
        return Opening(Target(backend, ""), "retry_after", until_s)
    return None


def verdicts(probe: Probe, kind: Kind) -> Verdicts:
    """What an outcome says about each circuit its probe was for: only the one to blame stays open for it."""
    return Verdicts(probe.token, {target: _verdict(target, kind) for target in probe.targets})


def _verdict(target: Target, kind: Kind) -> Verdict:
    if kind == "ok":
        return "passed"
    of_key_alone = not target.backend
    of_backend_alone = not target.provider_key_id
    if kind in FAULTS or kind == "not_found":
        blamed = of_backend_alone
    elif kind == "auth":
        blamed = not of_backend_alone
    elif kind == "rate_limited":
        blamed = not of_key_alone
    else:  # bad_request, client_gone, cancelled
        blamed = False
    return "failed" if blamed else "unclear"
