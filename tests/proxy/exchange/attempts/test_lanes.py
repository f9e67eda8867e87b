"""One lane per backend: made once, with what its provider says in its own words."""

from collections.abc import Mapping

from providers.rate_limits import RateLimits, Window
from providers.registry import REGISTRY
from proxy.exchange.attempts.lanes import Lanes
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.headroom import Headroom, Slot
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys
from proxy.routing.catalogue.types import Backend
from proxy.routing.policy import NAMED, Attempt, Plan
from tests.proxy.exchange.saying import Clock


def lanes_to(
    *adapters: str, headroom: Headroom | None = None, customers: Mapping[str, str] | None = None
) -> Lanes:
    """`customers`: for whom alone a provider's key is kept."""
    clock = Clock()
    providers = {}
    for name in adapters:
        timeouts = Timeouts(5.0, 60.0, 120.0, 30.0, 600.0)
        base_url = f"http://{name}.test/v1"
        providers[name] = Provider(REGISTRY[name], base_url, Credentials("test-key-0001"), timeouts)
    keys = ProviderKeys(
        {
            name: [
                ProviderKey(f"{name}/0", each, customers=frozenset((customers or {}).get(name, "").split()))
            ]
            for name, each in providers.items()
        }
    )
    return Lanes(providers, headroom or Headroom(clock, clock), tail_s=2.0, wall_clock_s=clock, keys=keys)


def plan(*names: str) -> Plan:
    return Plan(
        None,
        NAMED,
        tuple(
            Attempt(Backend(f"{name}/m", name, "m", None), "public", 8000, ("named", f"place {place}"))
            for place, name in enumerate(names, 1)
        ),
    )


def test_a_lane_is_made_once() -> None:
    """It holds the provider and its time-outs."""
    lanes = lanes_to("openai")
    backend = plan("openai").attempts[0].backend
    (lane,) = lanes.to(backend)
    assert lanes.to(backend)[0] is lane
    assert (60.0, 120.0, 30.0, 600.0, 2.0) == (
        lane.deadlines.first_byte_s,
        lane.deadlines.first_content_s,
        lane.deadlines.stall_s,
        lane.deadlines.total_s,
        lane.deadlines.tail_s,
    )
    assert Slot("openai/m", "openai/0") == lane.slot
    assert lane.deadlines is lane.deadlines_before_others


def test_an_answer_tells_the_limits_in_its_providers_words() -> None:
    """The headers are read by the scheme of the adapter."""
    clock = Clock()
    headroom = Headroom(clock, clock)
    lanes = lanes_to("mistral", "openai", headroom=headroom)
    headers = [(b"x-ratelimit-limit-req-minute", b"60"), (b"x-ratelimit-remaining-req-minute", b"9")]
    for attempt in plan("mistral", "openai").attempts:
        lanes.to(attempt.backend)[0].answered(headers)
    assert {Slot("mistral/m", "mistral/0"): RateLimits(Window(60, 9, None), None)} == headroom.now()


def test_an_error_is_worded_by_its_provider() -> None:
    """Status and body as the dialect reads them; a date of `retry-after` counts from the wall clock."""
    (lane,) = lanes_to("openai").to(plan("openai").attempts[0].backend)
    at = "Thu, 01 Jan 1970 00:17:10 GMT"  # the clock stands at 1000 s
    error = lane.of_status(429, {"retry-after": at}, b'{"error": {"message": "slow down"}}')
    assert ("rate_limited", 429, "slow down", 30.0) == (
        error.kind,
        error.status,
        error.message,
        error.retry_after_s,
    )
    assert ("timeout", "late", 0) == (lane.of("timeout", "late").kind, lane.of("timeout", "late").message, 0)


def test_lanes_of_a_request() -> None:
    """One per key that may serve it, each with a slot of its own."""
    lanes = lanes_to("groq", customers={"groq": "acme"})
    backend = plan("groq").attempts[0].backend
    assert [Slot("groq/m", "groq/0")] == [
        lane.slot for lane in lanes.chosen(backend, customer_id="acme", tier=None, request_id="r")
    ]
    assert [] == list(lanes.chosen(backend, customer_id="other", tier=None, request_id="r"))
