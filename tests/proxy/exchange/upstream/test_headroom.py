"""What a provider still allows: its last word, as old as it is by now."""

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import rate_limits
from providers.rate_limits import HeaderNames, RateLimits, Window
from proxy.exchange.upstream.headroom import Headroom, Slot
from tests.proxy.exchange.saying import Clock

WALL_S: Final = 1_754_667_600.0  # Fri, 08 Aug 2025 15:40:00 GMT
SLOT: Final = Slot("first/m", "first/0")

Headers = list[tuple[bytes, bytes]]


class Desk:
    """Headroom, and the two clocks it reads; they run alike."""

    def __init__(self) -> None:
        self.clock = Clock()
        started_s = self.clock.now_s
        self.headroom = Headroom(self.clock, lambda: WALL_S + self.clock.now_s - started_s)

    def hear(self, names: HeaderNames, headers: Headers, slot: Slot = SLOT) -> None:
        self.headroom.note(slot, names, [(b"content-type", b"text/plain"), *headers])

    @property
    def left(self) -> RateLimits:
        return self.headroom.now()[SLOT]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def said(**parts: str) -> Headers:
    """`x-ratelimit-…` headers."""
    return [
        (f"x-ratelimit-{name.replace('_', '-')}".encode(), value.encode()) for name, value in parts.items()
    ]


BOTH: Final = said(
    limit_requests="100",
    remaining_requests="7",
    reset_requests="1m0s",
    limit_tokens="9000",
    remaining_tokens="10",
    reset_tokens="8s",
)


def test_nobody_has_spoken(desk: Desk) -> None:
    """Nothing is known before the first answer."""
    assert {} == desk.headroom.now()


def test_a_word_grows_old(desk: Desk) -> None:
    """What is left stands as told while the time until it is whole runs down."""
    desk.hear(rate_limits.OPENAI, BOTH)
    assert RateLimits(Window(100, 7, 60.0), Window(9000, 10, 8.0)) == desk.left
    desk.clock.now_s += 5
    assert RateLimits(Window(100, 7, 55.0), Window(9000, 10, 3.0)) == desk.left


def test_a_window_whose_reset_has_passed_is_whole(desk: Desk) -> None:
    """From that moment on, each window by itself."""
    desk.hear(rate_limits.OPENAI, BOTH)
    desk.clock.now_s += 8
    assert RateLimits(Window(100, 7, 52.0), Window(9000, 9000, 0.0)) == desk.left
    desk.clock.now_s += 52
    assert RateLimits(Window(100, 100, 0.0), Window(9000, 9000, 0.0)) == desk.left
    desk.clock.now_s += 10_000
    assert RateLimits(Window(100, 100, 0.0), Window(9000, 9000, 0.0)) == desk.left


def test_a_minute_that_is_over_does_not_hide_a_day(desk: Desk) -> None:
    """Of several windows the tightest counts at the moment of asking, not at that of the answer."""
    desk.hear(
        rate_limits.CEREBRAS,
        said(
            limit_requests_minute="30",
            remaining_requests_minute="0",
            reset_requests_minute="10.5",
            limit_requests_day="1000",
            remaining_requests_day="5",
            reset_requests_day="3600",
        ),
    )
    assert Window(30, 0, 10.5) == desk.left.requests
    desk.clock.now_s += 11
    assert Window(1000, 5, 3589.0) == desk.left.requests
    desk.clock.now_s += 3600
    assert desk.left.requests is not None
    assert desk.left.requests.limit == desk.left.requests.remaining


def test_a_window_without_reset_stands(desk: Desk) -> None:
    """Nobody said when it will be whole."""
    desk.hear(rate_limits.MISTRAL, said(limit_req_minute="60", remaining_req_minute="3"))
    desk.clock.now_s += 600
    assert RateLimits(Window(60, 3, None), None) == desk.left


def test_a_reset_of_zero_is_no_moment(desk: Desk) -> None:
    """Azure says 0 of windows that are not whole: what it says of the rest counts."""
    desk.hear(
        rate_limits.AZURE,
        said(
            limit_requests="250",
            remaining_requests="249",
            reset_requests="0",
            limit_tokens="250000",
            remaining_tokens="0",
            reset_tokens="0",
        ),
    )
    for _ in range(2):
        assert RateLimits(Window(250, 249, 0.0), Window(250_000, 0, 0.0)) == desk.left
        desk.clock.now_s += 30


def test_whole_again_but_nobody_knows_how_much(desk: Desk) -> None:
    """A window that never told its limit is unknown once its reset has passed."""
    desk.hear(rate_limits.OPENAI, said(remaining_requests="0", reset_requests="5s"))
    assert RateLimits(Window(None, 0, 5.0), None) == desk.left
    desk.clock.now_s += 5
    assert {} == desk.headroom.now()


@pytest.mark.parametrize(
    ("names", "headers"),
    [
        (
            rate_limits.OPENROUTER,
            said(limit="20", remaining="0", reset=str(int((WALL_S + 60) * 1000))),
        ),
        (
            rate_limits.ANTHROPIC,
            [
                (b"anthropic-ratelimit-requests-limit", b"20"),
                (b"anthropic-ratelimit-requests-remaining", b"0"),
                (
                    b"anthropic-ratelimit-requests-reset",
                    datetime.fromtimestamp(WALL_S + 60, UTC).isoformat().encode(),
                ),
            ],
        ),
    ],
)
def test_a_moment_of_the_calendar(desk: Desk, names: HeaderNames, headers: Headers) -> None:
    """A reset given as a point in time is one, however long ago it was said."""
    desk.hear(names, headers)
    desk.clock.now_s += 20
    assert Window(20, 0, 40.0) == desk.left.requests
    desk.clock.now_s += 40
    assert Window(20, 20, 0.0) == desk.left.requests


def test_backends_and_keys_are_counted_apart(desk: Desk) -> None:
    """Each has its own word; the latest counts."""
    slots = [Slot("first/m", "first/0"), Slot("first/m", "first/1"), Slot("second/m", "second/0")]
    for number, slot in enumerate(slots):
        desk.hear(rate_limits.OPENAI, said(limit_requests="9", remaining_requests=str(number)), slot)
    desk.hear(rate_limits.OPENAI, said(limit_requests="9", remaining_requests="8"), slots[1])
    left = {slot: limits.requests for slot, limits in desk.headroom.now().items()}
    assert {slots[0]: Window(9, 0, None), slots[1]: Window(9, 8, None), slots[2]: Window(9, 2, None)} == left


def test_a_provider_that_says_nothing(desk: Desk) -> None:
    """It is left out; so is one whose headers say that it does not know."""
    desk.hear(rate_limits.STANDARD, [(b"server", b"uvicorn")])
    desk.hear(
        rate_limits.AZURE,
        said(limit_tokens="-1", remaining_tokens="-1", reset_tokens="0"),
        Slot("azure/m", "azure/0"),
    )
    desk.hear(HeaderNames(), BOTH, Slot("mute/m", "mute/0"))
    assert {} == desk.headroom.now()


@pytest.mark.parametrize(
    "silence", [[], [(b"retry-after", b"3")], said(reset_requests="1s", limit_input_images="5")]
)
def test_an_answer_that_says_nothing_leaves_the_last_word(desk: Desk, silence: Headers) -> None:
    """An error page of some machine in between does not make the limits unknown; they grow old as before."""
    desk.hear(rate_limits.OPENAI, BOTH)
    desk.clock.now_s += 2
    desk.hear(rate_limits.OPENAI, silence)
    assert RateLimits(Window(100, 7, 58.0), Window(9000, 10, 6.0)) == desk.left


@given(
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in BOTH]) | st.binary(max_size=20),
            st.binary(max_size=24) | st.sampled_from([b"0", b"-1", b"1s", b"99999999999999999999", b"5"]),
        )
    ),
    st.floats(0, 1e9),
)
def test_nonsense_is_not_known(headers: Headers, age_s: float) -> None:
    """Whatever a provider sends, asking never fails, and no figure is negative."""
    desk = Desk()
    desk.hear(rate_limits.OPENAI, headers)
    desk.clock.now_s += age_s
    for limits in desk.headroom.now().values():
        for window in limits:
            assert window is None or all(part is None or part >= 0 for part in window)


def test_backends_that_are_gone_are_forgotten(desk: Desk) -> None:
    """Those that are kept say what they said."""
    other = Slot("second/m", "p/0")
    desk.hear(rate_limits.STANDARD, BOTH)
    desk.hear(rate_limits.STANDARD, BOTH, other)
    desk.headroom.keep({"first/m"})
    assert {SLOT} == set(desk.headroom.now())
    desk.hear(rate_limits.STANDARD, BOTH, other)
    assert {SLOT, other} == set(desk.headroom.now())
