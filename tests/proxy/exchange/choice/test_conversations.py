"""What is remembered of conversations: by whom, of which, and that nothing of them can be read from it."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.asking.messages import looked_at
from classifiers.cascade import Cascade, settled
from classifiers.rules import Rules
from classifiers.scorer import load
from proxy.exchange.choice.conversations import Conversations, Place, Remembered, read, written
from proxy.exchange.choice.digests import Digests
from proxy.exchange.choice.judging import Judge, Judgement, thresholds
from proxy.exchange.choice.steering import kept_verdict
from proxy.routing.policy import UNDECIDED, Verdict

TIERS = ("frugal", "balanced", "premium")
VERDICT = Verdict("rules", "simple", "explanation", 0.97, "short-definition", "general")
CASCADE = Cascade(Rules(), load())
ASKS = (
    "What does HTTP stand for?",
    "Fix the race in the scheduler.",
    "continue",
    "??",
    "Prove that there are infinitely many primes.",
)


@dataclass
class Blobs:
    """A store's memory."""

    kept: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    asked: int = 0

    def put(self, customer_id: str, kind: str, digest: str, blob: bytes, *, ttl_s: float) -> None:
        assert 3600 == ttl_s
        self.kept[customer_id, kind, digest] = blob

    async def get(self, customer_id: str, kind: str, digest: str) -> bytes | None:
        self.asked += 1
        return self.kept.get((customer_id, kind, digest))


def gateway(blobs: Blobs, secret: bytes = b"secret") -> Conversations:
    return Conversations(blobs, Digests(secret), clock=lambda: 0.0)


def place_of(one: Conversations, *messages: dict[str, Any], customer: str = "acme", **members: Any) -> Place:
    return one.place(customer, {"messages": list(messages), **members}, looked_at(messages))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str = "Here it is.") -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def remembered(place: Place) -> Remembered:
    return Remembered(place.turn, place.turns, VERDICT, "frugal", "a/b", 12, 1.0)


START = ({"role": "system", "content": "You help."}, user("Hello, what is a mutex?"))
LATER = (*START, answer(), user("And a semaphore?"))


async def test_a_conversation_is_known_by_its_beginning() -> None:
    """Later requests of it find what the first left; another beginning, user or customer does not."""
    one = gateway(Blobs())
    one.keep(first := place_of(one, *START), remembered(first), tell_store=True)
    assert remembered(first) == await one.recall(place_of(one, *LATER), ask_store=False)
    for other in (
        place_of(one, {"role": "system", "content": "You harm."}, *LATER[1:]),
        place_of(one, LATER[0], user("Hello, what is a lock?"), *LATER[2:]),
        place_of(one, *LATER, customer="others"),
        place_of(one, *LATER, user="somebody"),
        place_of(one, *LATER, session_id="named"),
    ):
        assert await one.recall(other, ask_store=True) is None


@pytest.mark.parametrize("name", ["session_id", "prompt_cache_key"])
async def test_a_name_is_better_than_a_beginning(name: str) -> None:
    """Whatever is said: the same name is the same conversation, and `session_id` counts before the other."""
    one = gateway(Blobs())
    one.keep(first := place_of(one, *START, **{name: "s"}), remembered(first), tell_store=True)
    renamed = place_of(one, user("Quite another start"), answer(), user("x"), **{name: "s"})
    assert remembered(first) == await one.recall(renamed, ask_store=False)
    both = {"session_id": "s", "prompt_cache_key": "other"}
    found = await one.recall(place_of(one, *LATER, **both), ask_store=False)
    assert (name == "session_id") == (found is not None)


async def test_first_requests_do_not_ask_the_store() -> None:
    """Nor do they tell it: most are the only one of their conversation. A named one may have others elsewhere."""
    blobs = Blobs()
    one = gateway(blobs)
    first = place_of(one, *START)
    assert await one.recall(first, ask_store=True) is None
    one.keep(first, remembered(first), tell_store=True)
    assert (0, {}) == (blobs.asked, blobs.kept)
    named = place_of(one, *START, session_id="s")
    assert await one.recall(named, ask_store=True) is None
    one.keep(named, remembered(named), tell_store=True)
    assert (1, 1) == (blobs.asked, len(blobs.kept))


async def test_other_gateways_remember_with_the_same_secret() -> None:
    """And with another one not even where to look."""
    blobs = Blobs()
    one, two, stranger = gateway(blobs), gateway(blobs), gateway(blobs, b"else")
    place = place_of(one, *LATER)
    one.keep(place, remembered(place), tell_store=True)
    assert remembered(place) == await two.recall(place_of(two, *LATER), ask_store=True)
    assert await two.recall(place_of(two, *LATER), ask_store=False) is None
    assert await stranger.recall(place_of(stranger, *LATER), ask_store=True) is None


async def test_what_is_older_than_a_turn_is_not_it() -> None:
    """A gateway that missed some turns asks the store; a conversation of the same beginning elsewhere does not fit."""
    blobs = Blobs()
    one, two = gateway(blobs), gateway(blobs)
    old = place_of(one, *LATER)
    one.keep(old, remembered(old), tell_store=True)
    further = (*LATER, answer(), user("More?"), answer(), user("Still more?"))
    newer = place_of(two, *further[:-2])
    two.keep(newer, remembered(newer), tell_store=True)
    assert remembered(newer) == await one.recall(place_of(one, *further), ask_store=True)
    assert (
        await one.recall(place_of(one, *further, answer(), user("a"), answer(), user("b")), ask_store=True)
        is None
    )


@pytest.mark.parametrize(
    "blob",
    [b"", b"x", b"null", b"[]", b"[1]", b'[2,"t",1,["rules"],"f","a",0,0]', b'[1,"t",1,7,"f","a",0,0]'],
)
def test_another_versions_blob_is_nothing(blob: bytes) -> None:
    """Versions run side by side during an update."""
    assert read(blob) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3), st.lists, max_leaves=12
    )
)
def test_no_blob_is_a_fault(value: Any) -> None:
    """Whatever is found there: it is read as it was written, or as nothing."""
    whole = [1, "t", 1, ["rules", "simple"], "frugal", "a/b", 0, 1.0]
    for place in range(len(whole)):
        found = read(orjson.dumps([*whole[:place], value, *whole[place + 1 :]]))
        assert found is None or found.verdict.complexity in {"simple", "moderate", "complex"}
    assert read(orjson.dumps(value)) is None
    assert read(orjson.dumps(whole)) is not None


def test_a_blob_holds_what_is_remembered() -> None:
    """And no word of anybody."""
    place = place_of(gateway(Blobs()), *LATER)
    assert remembered(place) == read(written(remembered(place)))
    assert {"turn", "digest"} == {
        name for name, value in place._asdict().items() if isinstance(value, str) and len(value) == 32
    }
    orjson.loads(written(remembered(place)))


class Mishaps:
    def unclassified(self, reason: str) -> None:
        raise AssertionError(reason)


class Log:
    def error(self, event: str, **fields: object) -> object:
        raise AssertionError(event, fields)


def judged(messages: list[dict[str, Any]]) -> Judgement:
    return Judge(CASCADE, Mishaps(), Log()).of("balanced", TIERS, {"messages": messages})


STEP = (
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "content": "done"},
)


@given(st.lists(st.sampled_from(ASKS), min_size=1, max_size=3), st.integers(0, 12))
def test_with_and_without_memory_a_turn_has_one_verdict(texts: list[str], steps: int) -> None:
    """Judged anew after any number of tools' results, a turn is what it was; what is remembered says the same."""
    messages = [message for text in texts for message in (user(text), answer())][:-1]
    one = gateway(Blobs())
    start, later = judged(messages), judged([*messages, *STEP * steps])
    place = one.place("acme", {"messages": messages}, start.ask)
    place_later = one.place("acme", {"messages": [*messages, *STEP * steps]}, later.ask)
    assert (place.turn, place.digest) == (place_later.turn, place_later.digest)
    before = Remembered(place.turn, place.turns, start.verdict, "frugal", "a/b", 0, 0.0)
    assert later.verdict == kept_verdict(later, place_later, before)
    anew = judged([*messages, *STEP * steps, answer(), user("Something else entirely?")])
    place_anew = one.place("acme", {"messages": messages}, anew.ask)
    assert kept_verdict(anew, place_anew, before) is None


def test_a_fault_inside_is_undecided_and_told_once() -> None:
    """No request fails because nobody knows what it is."""

    class Broken(Cascade):
        def judge(self, *_: Any) -> Any:
            raise ZeroDivisionError

    @dataclass
    class Told:
        reasons: list[str] = field(default_factory=list)
        events: list[str] = field(default_factory=list)

        def unclassified(self, reason: str) -> None:
            self.reasons.append(reason)

        def error(self, event: str, **_: object) -> object:
            self.events.append(event)
            return None

    told = Told()
    judge = Judge(Broken(Rules(), load()), told, told)
    for _ in range(3):
        assert UNDECIDED == judge.of("balanced", TIERS, {"messages": [user("Hello")]}).verdict
    assert (["fault"] * 3, 1) == (told.reasons, len(told.events))
    told.reasons.clear()
    assert "Hello" == judge.seen("balanced", TIERS, {"messages": [user("Hello")]}).ask.text
    assert [] == told.reasons, "what is only looked at is not judged"


def test_what_the_gateway_says_is_what_the_command_says() -> None:
    """`headgate classify` and a request of the same words."""
    for text in ASKS:
        expected = settled(CASCADE.judge(looked_at([user(text)]), thresholds("balanced", TIERS)))
        found = judged([user(text)]).verdict
        assert (expected.complexity, expected.source, expected.domain) == (
            found.complexity,
            found.source,
            found.domain,
        )
