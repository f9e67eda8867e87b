"""Every deadline of an attempt, on a clock that is moved by hand."""

import pytest

from proxy.exchange.relay.stream import Deadlines
from tests.proxy.exchange.inprocess import attempt
from tests.proxy.exchange.saying import COMMENT, DONE, ROLE, SAID, STOP, Clock, error_of, said_last


def deadlines(
    *,
    first_byte_s: float = 0,
    first_content_s: float = 0,
    stall_s: float = 0,
    total_s: float = 0,
    tail_s: float = 2,
) -> Deadlines:
    return Deadlines(first_byte_s, first_content_s, stall_s, total_s, tail_s)


async def test_first_byte(clock: Clock) -> None:
    """A provider that sends nothing is given up after `first_byte_s`."""
    made = attempt(deadlines=deadlines(first_byte_s=10, first_content_s=60, stall_s=60))
    await clock.pass_s(9.9)
    assert not made.relay.ended.done()
    await clock.pass_s(0.2)
    assert ("timeout", "the provider sent nothing for 10 s") == (error_of(made).kind, error_of(made).message)
    assert made.call.cancelled


@pytest.mark.parametrize("byte", [COMMENT, ROLE, COMMENT[:3]])
async def test_comments_are_bytes_but_no_content(clock: Clock, byte: bytes) -> None:
    """Comments and role frames satisfy first byte and stall, never first content."""
    made = attempt(deadlines=deadlines(first_byte_s=10, first_content_s=30, stall_s=10))
    for _ in range(3):
        await clock.pass_s(9)
        made.relay.on_body(byte)
        assert not made.relay.ended.done()
    await clock.pass_s(4)
    assert "the provider sent no content for 30 s" == error_of(made).message
    assert not made.ending.committed


async def test_stall(clock: Clock) -> None:
    """Silence between two reads is bounded; each read starts it anew."""
    made = attempt(deadlines=deadlines(first_byte_s=100, first_content_s=100, stall_s=5))
    for _ in range(20):
        await clock.pass_s(4.9)
        made.relay.on_body(SAID)
        assert not made.relay.ended.done()
    await clock.pass_s(5.1)
    assert ("timeout", "the provider fell silent for 5 s") == said_last(made)


async def test_stall_alone(clock: Clock) -> None:
    """The stall bound holds when it is the only one."""
    made = attempt(deadlines=deadlines(stall_s=5))
    await clock.pass_s(1000)
    made.relay.on_body(SAID)
    await clock.pass_s(5.1)
    assert "the provider fell silent for 5 s" == error_of(made).message


async def test_stall_before_the_first_content(clock: Clock) -> None:
    """A provider that falls silent behind its role frame is given up before the content's own bound."""
    made = attempt(deadlines=deadlines(first_byte_s=60, first_content_s=120, stall_s=5))
    await clock.pass_s(1)
    made.relay.on_body(ROLE)
    await clock.pass_s(5.1)
    assert "the provider fell silent for 5 s" == error_of(made).message


async def test_total(clock: Clock) -> None:
    """`total_s` bounds an attempt however lively it is."""
    made = attempt(deadlines=deadlines(first_byte_s=5, stall_s=5, total_s=30))
    for _ in range(10):
        await clock.pass_s(2.9)
        made.relay.on_body(SAID)
    assert not made.relay.ended.done()
    await clock.pass_s(1.1)
    assert ("timeout", "the provider took more than 30 s") == said_last(made)


async def test_silence_behind_a_complete_answer(clock: Clock) -> None:
    """A complete answer is closed after `tail_s` of silence, though no end mark came: no error."""
    made = attempt(deadlines=deadlines(stall_s=60, tail_s=2))
    made.relay.on_body(SAID + STOP)
    await clock.pass_s(1.9)
    made.relay.on_body(COMMENT)
    await clock.pass_s(1.9)
    assert not made.relay.ended.done()
    await clock.pass_s(0.2)
    assert (None, True) == (made.ending.error, made.call.cancelled)
    assert made.sink.body.endswith(DONE)


@pytest.mark.parametrize("bound", ["total_s", "stall_s"])
async def test_a_late_complete_answer_is_complete(clock: Clock, bound: str) -> None:
    """A deadline that passes while only the end mark is missing is no error."""
    made = attempt(deadlines=deadlines(**{bound: 5, "tail_s": 60}))
    made.relay.on_body(SAID + STOP)
    await clock.pass_s(5.1)
    assert made.ending.error is None


async def test_a_released_finish_is_not_complete(clock: Clock) -> None:
    """When another choice speaks again, silence is a stall."""
    made = attempt(many=True, deadlines=deadlines(stall_s=20, tail_s=2))
    made.relay.on_body(SAID + STOP)
    made.relay.on_body(SAID.replace(b'"index":0', b'"index":1'))
    await clock.pass_s(2.1)
    assert not made.relay.ended.done()
    await clock.pass_s(20)
    assert "the provider fell silent for 20 s" == error_of(made).message


async def test_a_slow_client_is_not_the_providers_fault(clock: Clock) -> None:
    """No stall is counted while the client does not read; it starts anew when it does."""
    made = attempt(deadlines=deadlines(first_byte_s=5, first_content_s=5, stall_s=5))
    made.relay.on_body(SAID)
    made.connection.pause()
    await clock.pass_s(500)
    assert not made.relay.ended.done()
    made.connection.resume()
    await clock.pass_s(4.9)
    assert not made.relay.ended.done()
    await clock.pass_s(0.2)
    assert "the provider fell silent for 5 s" == error_of(made).message


async def test_a_complete_answer_behind_a_slow_client(clock: Clock) -> None:
    """Once the client reads again, a complete answer waits no longer than `tail_s`."""
    made = attempt(deadlines=deadlines(stall_s=60, tail_s=2))
    made.relay.on_body(SAID)
    made.connection.pause()
    made.relay.on_body(STOP)
    await clock.pass_s(30)
    assert not made.relay.ended.done()
    made.connection.resume()
    await clock.pass_s(2.1)
    assert made.ending.error is None


async def test_total_holds_for_a_slow_client_too(clock: Clock) -> None:
    """The bound of the whole attempt asks nobody whose time it was."""
    made = attempt(deadlines=deadlines(stall_s=60, total_s=10))
    made.relay.on_body(SAID)
    made.connection.pause()
    await clock.pass_s(10.1)
    assert "the provider took more than 10 s" == error_of(made).message


async def test_no_deadline(clock: Clock) -> None:
    """Zero means none."""
    made = attempt(deadlines=deadlines())
    await clock.pass_s(100_000)
    made.relay.on_body(SAID)
    await clock.pass_s(100_000)
    assert not made.relay.ended.done()


async def test_deadlines_end_with_the_attempt(clock: Clock) -> None:
    """A finished attempt's timers do nothing."""
    made = attempt(deadlines=deadlines(first_byte_s=5, first_content_s=5, stall_s=5, total_s=5))
    made.relay.on_body(SAID + STOP + DONE)
    await clock.pass_s(100)
    assert made.ending.error is None
    assert 1 == len(made.told)
