"""What a request's attempts tell of health, and what health means for their order: circuits, probes, keys, limits."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from providers.types import UpstreamError
from proxy.exchange.upstream.backends import Provider
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys
from proxy.exchange.upstream.places import Places
from ratelimit.health.summary import Kind
from ratelimit.health.types import Target
from tests.proxy.exchange.saying import Clock
from tests.proxy.exchange.staging import DONE, PLAIN, SAID, STOP, Answer, Scene, Stage, failing, stage_with


@pytest.fixture(name="stage")
def _stage(clock: Clock) -> Stage:
    return stage_with(clock)


def several(*weights: int, **scopes: tuple[str, ...]) -> Callable[[Mapping[str, Provider]], ProviderKeys]:
    """Keys for provider `a`; the others have one each. `customers` and `tiers` are the first key's."""

    def keys(providers: Mapping[str, Provider]) -> ProviderKeys:
        made = {name: [ProviderKey(f"{name}/0", provider)] for name, provider in providers.items()}
        made["a"] = [
            ProviderKey(f"a/{place}", providers["a"], weight)
            for place, weight in enumerate(weights or (1, 1))
        ]
        named = {name: frozenset(values) for name, values in scopes.items()}
        made["a"][0] = replace(made["a"][0], **named)  # type: ignore[arg-type] # names of its fields
        return ProviderKeys(made)

    return keys


def noted(scene: Scene) -> dict[str, dict[str, int]]:
    """By backend, how many attempts were noted of each kind."""
    kinds: dict[str, dict[str, int]] = {}
    for call in scene.notes:
        counts = kinds.setdefault(call["backend"], {})
        counts[call["kind"]] = counts.get(call["kind"], 0) + 1
    return kinds


# What is noted


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failing(500), "overloaded"),
        (failing(503), "overloaded"),
        (failing(502), "unreachable"),
        (failing(504), "timeout"),
        (failing(429), "rate_limited"),
        (failing(401), "auth"),
        (failing(402), "auth"),
        (failing(403), "auth"),
        (failing(404), "not_found"),
        (failing(410), "not_found"),
        (Answer(b"<html>"), "protocol"),
        (Answer(no_connection=UpstreamError("unreachable", "no")), "unreachable"),
        (Answer(no_connection=UpstreamError("timeout", "no")), "timeout"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_each_attempt_is_noted_once(stage: Stage, answer: Answer, kind: Kind, *, stream: bool) -> None:
    """By how it ended; the one that answered too."""
    good = Answer() if stream else Answer(PLAIN)
    scene = stage(answer, good, backends=("a", "b"), stream=stream)
    await scene.run()
    assert {"a/m": {kind: 1}, "b/m": {"ok": 1}} == noted(scene)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"no","code":"model_not_found"}}',
        b'{"error":{"message":"no","type":"invalid_request_error","code":"invalid_model"}}',
    ],
)
async def test_a_model_that_is_not_there(stage: Stage, body: bytes) -> None:
    """Whatever the status: it is the backend's, not the key's."""
    scene = stage(Answer(body, 400), Answer(), backends=("a", "b"))
    await scene.run()
    assert {"a/m": {"not_found": 1}, "b/m": {"ok": 1}} == noted(scene)
    assert [Target("a/m", "")] == list(scene.health.snapshot().circuits)


@pytest.mark.parametrize(
    ("status", "target"), [(401, Target("", "a/0")), (402, Target("", "a/0")), (403, Target("a/m", "a/0"))]
)
async def test_a_refused_key(stage: Stage, status: int, target: Target) -> None:
    """It is passed over for all backends; after a 403 for this one, since it may be good for others."""
    scene = stage(failing(status), Answer(), backends=("a", "b"))
    await scene.run()
    assert [target] == list(scene.health.snapshot().circuits)


async def test_an_empty_account(stage: Stage) -> None:
    """It asks for no wait and will not be full again soon: the backend over this key is passed over."""
    body = b'{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}'
    scene = stage(Answer(body, 429), Answer(), backends=("a", "b"))
    await scene.run()
    assert {"a/m": {"rate_limited": 1}, "b/m": {"ok": 1}} == noted(scene)
    assert [Target("a/m", "a/0")] == list(scene.health.snapshot().circuits)


@pytest.mark.parametrize("message", ["Request too large for gpt-4o on tokens per min", "Slow down."])
async def test_a_limit_of_the_moment(stage: Stage, message: str) -> None:
    """Without a wait that it asks for it opens nothing; nor does a request that is too large by itself."""
    scene = stage(failing(429, message), Answer(), backends=("a", "b"))
    await scene.run()
    assert {"a/m": {"rate_limited": 1}, "b/m": {"ok": 1}} == noted(scene)
    assert {} == scene.health.snapshot().circuits


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_clients_own_mistake(stage: Stage, status: int) -> None:
    scene = stage(failing(status))
    await scene.refused()
    assert {"a/m": {"bad_request": 1}} == noted(scene)


async def test_cut_after_its_first_content(stage: Stage) -> None:
    """Noted once, with its first content."""
    scene = stage(Answer(SAID, end="break"), backends=("a", "b"))
    await scene.run()
    (call,) = scene.notes
    assert ("protocol", True) == (call["kind"], call["first_content_ms"] is not None)


async def test_a_dead_connection_that_is_replaced(stage: Stage) -> None:
    """It counts for nothing: only the attempt over the new one does."""
    scene = stage(Answer(b"", end="stale"), Answer())
    await scene.run()
    assert {"a/m": {"ok": 1}} == noted(scene)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_departure(stage: Stage, *, stream: bool) -> None:
    scene = stage(Answer(SAID if stream else b"{", end="hang"), stream=stream)
    asyncio.get_running_loop().call_later(1.0, scene.connection.leave)
    await scene.run()
    assert {"a/m": {"client_gone": 1}} == noted(scene)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_server_is_stopping(stage: Stage, *, stream: bool) -> None:
    scene = stage(Answer(SAID if stream else b"{", end="hang"), stream=stream)
    running = asyncio.get_running_loop().create_task(scene.dispatch.run(scene.job))
    for _ in range(6):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert {"a/m": {"cancelled": 1}} == noted(scene)


async def test_our_own_limit(stage: Stage) -> None:
    """Without a place nothing was sent: the provider is not to blame, and a probe is free for the next."""
    place = Places("a", 1, 0)
    await place.take()
    scene = stage(Answer(), backends=("a", "b"), places={"a": place})
    await scene.run()
    assert {"b/m": {"ok": 1}} == noted(scene)
    assert [("a/m", "overloaded", 0), ("b/m", "ok", 200)] == scene.outcomes


async def test_speed(stage: Stage, clock: Clock) -> None:
    """Tokens as reported and the time since the request was sent; an estimate has no speed."""
    scene = stage(Answer())
    await scene.run()
    (call,) = scene.notes
    assert (5, True) == (call["output_tokens"], call["duration_s"] >= 0)
    scene = stage(Answer(SAID + STOP + DONE))
    await scene.run()
    assert 0 == scene.notes[0]["output_tokens"]
    assert clock() >= 1000


async def test_a_slow_client_is_not_the_providers_pace(stage: Stage) -> None:
    """What a client held up has no speed; its first content was the provider's all the same."""
    scene = stage(Answer())
    asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(scene.connection.pause))
    await scene.run()
    (call,) = scene.notes
    assert ("ok", 0, True) == (call["kind"], call["output_tokens"], call["first_content_ms"] is not None)


async def test_a_plain_answer_has_no_first_content(stage: Stage) -> None:
    scene = stage(Answer(PLAIN), stream=False)
    await scene.run()
    assert scene.notes[0]["first_content_ms"] is None


# Circuits


async def test_an_open_circuit_is_last(stage: Stage) -> None:
    """Its backend is passed over; with nothing else left it is asked all the same."""
    scene = stage(Answer(), backends=("a", "b"))
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    await scene.run()
    assert [("b/m", "ok", 200)] == scene.outcomes
    scene = stage(failing(500), Answer(), backends=("a", "b"))
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    await scene.run()
    assert [("b/m", "overloaded", 500), ("a/m", "ok", 200)] == scene.outcomes


async def test_all_are_open(stage: Stage) -> None:
    """The plan's order, then."""
    scene = stage(failing(500), Answer(), backends=("a", "b"))
    for name in "ab":
        scene.health.note(backend=f"{name}/m", provider_key_id=f"{name}/0", kind="not_found")
    await scene.run()
    assert [("a/m", "overloaded", 500), ("b/m", "ok", 200)] == scene.outcomes


async def test_a_probe(stage: Stage, clock: Clock) -> None:
    """When the cool-down is over, one request is sent where it would have gone, and its answer closes the circuit."""
    scene = stage(Answer(), backends=("a", "b"))
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    clock.now_s += 61
    await scene.run()
    assert [("a/m", "ok", 200)] == scene.outcomes
    assert {} == scene.health.snapshot().circuits


async def test_a_probe_of_somebody_else(stage: Stage, clock: Clock) -> None:
    """Then it counts as open."""
    scene = stage(Answer(), backends=("a", "b"))
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    clock.now_s += 61
    assert await scene.health.take_probe("a/m", "a/0") is not None
    await scene.run()
    assert [("b/m", "ok", 200)] == scene.outcomes


async def test_a_probe_that_fails(stage: Stage, clock: Clock) -> None:
    """The next backend answers, and the cool-down is doubled."""
    scene = stage(failing(404), Answer(), backends=("a", "b"), deadline_s=600)
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    clock.now_s += 61
    await scene.run()
    assert [("a/m", "auth", 404), ("b/m", "ok", 200)] == scene.outcomes
    assert scene.health.snapshot().circuit("a/m", "a/0").open_for_s > 100


async def test_an_unused_probe_is_given_back(stage: Stage, clock: Clock) -> None:
    """Nothing could be sent: the next request may probe at once."""
    place = Places("a", 1, 0)
    await place.take()
    scene = stage(Answer(), backends=("a", "b"), places={"a": place}, deadline_s=600)
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    clock.now_s += 61
    await scene.run()
    assert [("a/m", "overloaded", 0), ("b/m", "ok", 200)] == scene.outcomes
    assert "due" == scene.health.snapshot().circuit("a/m", "a/0").state


async def test_a_probe_closes_with_the_first_content(stage: Stage, clock: Clock) -> None:
    """Not when a long answer ends."""
    scene = stage(Answer(SAID, end="hang"))
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    clock.now_s += 61
    running = asyncio.get_running_loop().create_task(scene.dispatch.run(scene.job))
    for _ in range(6):
        await asyncio.sleep(0)
    assert {} == scene.health.snapshot().circuits
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_conditions_follow_a_change(stage: Stage) -> None:
    """A circuit that opens here is in the conditions in the next turn of the loop."""
    scene = stage(failing(401), Answer(), backends=("a", "b"))
    await scene.run()
    await asyncio.sleep(0)
    state = scene.board.conditions.of("a/m")
    assert ("open", "auth", True) == (state.circuit, state.circuit_reason, state.open_for_s > 50)
    assert "closed" == scene.board.conditions.of("b/m").circuit


# Keys


@pytest.mark.parametrize("status", [401, 429])
async def test_another_key_at_once(stage: Stage, status: int) -> None:
    """A refused or limited key: the other one of the same backend is next; the backend's name stays in `attempts`."""
    scene = stage(failing(status), Answer(), backends=("a", "b"), keys=several())
    await scene.run()
    outcome = "auth" if status == 401 else "rate_limited"
    assert [("a/m", outcome, status), ("a/m", "ok", 200)] == scene.outcomes
    assert {"a/0", "a/1"} == {call["provider_key_id"] for call in scene.notes}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_no_other_key_for_the_backends_own_fault(stage: Stage, status: int) -> None:
    """Another key would meet the same."""
    scene = stage(failing(status), Answer(), backends=("a", "b"), keys=several())
    await scene.run()
    assert ["a/m", "b/m"] == [backend for backend, _, _ in scene.outcomes]


async def test_the_last_try_is_another_backends(stage: Stage) -> None:
    """Keys do not use up all tries while another backend is there."""
    scene = stage(failing(429), failing(429), Answer(), backends=("a", "b"), keys=several(1, 1, 1, 1))
    await scene.run()
    assert ["a/m", "a/m", "b/m"] == [backend for backend, _, _ in scene.outcomes]


async def test_keys_alone_use_all_tries(stage: Stage) -> None:
    """With no other backend."""
    scene = stage(failing(429), failing(429), Answer(), keys=several(1, 1, 1, 1))
    await scene.run()
    assert 3 == len({call["provider_key_id"] for call in scene.notes})
    assert ["rate_limited", "rate_limited", "ok"] == [outcome for _, outcome, _ in scene.outcomes]


async def test_a_key_with_an_open_circuit_is_passed_over(stage: Stage) -> None:
    """The other key serves; the backend itself is not passed over."""
    for refused in (0, 1):
        scene = stage(Answer(), backends=("a", "b"), keys=several())
        scene.health.note(backend="other/m", provider_key_id=f"a/{refused}", kind="auth")
        await scene.run()
        assert [("a/m", "ok", 200)] == scene.outcomes
        assert f"a/{1 - refused}" == scene.notes[-1]["provider_key_id"]


@pytest.mark.parametrize("scope", [{"customers": ("else",)}, {"tiers": ("premium",)}])
async def test_a_kept_key_serves_nobody_else(stage: Stage, scope: dict[str, Any]) -> None:
    """Not even when everything else fails."""
    scene = stage(failing(401), keys=several(1000, 1, **scope))
    await scene.refused()
    assert ["a/1"] == [call["provider_key_id"] for call in scene.notes]


async def test_no_key_at_all(stage: Stage) -> None:
    """A plan that names no backend with a key for this customer is refused before anything is sent."""
    scene = stage(keys=several(1, customers=("else",)))
    refused = await scene.refused()
    assert (400, "no_capable_backend") == (refused.status, refused.code)
    assert [] == scene.outcomes


# Limits of the provider


def limits(
    *, requests: int | None = None, tokens: int | None = None, reset: str = "5m0s"
) -> list[tuple[bytes, bytes]]:
    named = {"requests": requests, "tokens": tokens}
    return [
        header
        for name, left in named.items()
        if left is not None
        for header in (
            (f"x-ratelimit-limit-{name}".encode(), b"60000"),
            (f"x-ratelimit-remaining-{name}".encode(), str(left).encode()),
            (f"x-ratelimit-reset-{name}".encode(), reset.encode()),
        )
    ]


@pytest.mark.parametrize("said", [limits(requests=0), limits(tokens=3), limits(requests=0, tokens=0)])
async def test_no_room(stage: Stage, said: list[tuple[bytes, bytes]]) -> None:
    """A backend or key whose provider says that nothing is left comes behind the others."""
    scene = stage(Answer(), backends=("a", "b"))
    scene.lanes.to(scene.attempts[0].backend)[0].answered(said)
    scene.board.refresh()
    await scene.run()
    assert [("b/m", "ok", 200)] == scene.outcomes
    scene = stage(Answer(), keys=several())
    for lane in scene.lanes.to(scene.attempts[0].backend)[:1]:
        lane.answered(said)
    scene.board.refresh()
    await scene.run()
    assert "a/1" == scene.notes[-1]["provider_key_id"]


async def test_room_again(stage: Stage, clock: Clock) -> None:
    """When the window is over, without another word; and a lone backend is asked whatever it said."""
    scene = stage(Answer(), backends=("a", "b"))
    scene.lanes.to(scene.attempts[0].backend)[0].answered(limits(requests=0, reset="30s"))
    scene.board.refresh()
    clock.now_s += 31
    await scene.run()
    assert [("a/m", "ok", 200)] == scene.outcomes
    scene = stage(Answer())
    scene.lanes.to(scene.attempts[0].backend)[0].answered(limits(requests=0))
    scene.board.refresh()
    await scene.run()
    assert [("a/m", "ok", 200)] == scene.outcomes


async def test_full_before_open(stage: Stage) -> None:
    """Of those that wait, one without room is asked before one whose circuit is open."""
    scene = stage(Answer(), backends=("a", "b"))
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="not_found")
    scene.lanes.to(scene.attempts[1].backend)[0].answered(limits(requests=0))
    scene.board.refresh()
    await scene.run()
    assert [("b/m", "ok", 200)] == scene.outcomes


async def test_conditions_tell_of_limits_and_load(stage: Stage) -> None:
    """Of all keys together; unknown while one has said nothing."""
    scene = stage(keys=several())
    backend = scene.attempts[0].backend
    first, second = scene.lanes.to(backend)
    first.answered(limits(requests=10, tokens=100))
    scene.board.begin("a")
    scene.board.refresh()
    state = scene.board.conditions.of("a/m")
    assert (1, None, None, None) == (
        state.in_flight,
        state.max_in_flight,
        state.left_requests,
        state.left_tokens,
    )
    second.answered(limits(requests=7, tokens=50))
    scene.board.end("a")
    scene.board.refresh()
    state = scene.board.conditions.of("a/m")
    assert (0, 17, 120_000, 150) == (
        state.in_flight,
        state.left_requests,
        state.limit_requests,
        state.left_tokens,
    )
    assert [("a/0", 10, 100), ("a/1", 7, 50)] == [
        (key.id, key.left_requests, key.left_tokens) for key in scene.board.keys(backend)
    ]


async def test_one_good_key_is_a_way(stage: Stage) -> None:
    """A backend's circuit is that of the key over which it is reached best."""
    scene = stage(keys=several())
    scene.health.note(backend="a/m", provider_key_id="a/0", kind="auth")
    scene.board.refresh()
    assert "closed" == scene.board.conditions.of("a/m").circuit
    assert [("a/0", "open", True), ("a/1", "closed", False)] == [
        (key.id, key.circuit.state, key.refused) for key in scene.board.keys(scene.attempts[0].backend)
    ]
    scene.health.note(backend="a/m", provider_key_id="a/1", kind="auth")
    scene.board.refresh()
    assert ("open", "auth") == (
        scene.board.conditions.of("a/m").circuit,
        scene.board.conditions.of("a/m").circuit_reason,
    )


async def test_unknown_backends_are_left_out(stage: Stage) -> None:
    """Nobody has met them: the conditions have their neutral figures without naming them."""
    scene = stage()
    scene.board.refresh()
    assert {} == scene.board.conditions.backends
    assert 0.99 == scene.board.conditions.of("a/m").availability
