"""The channel between supervisor and worker."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.cli.channel import Channel, ChannelLost, first_told

LIMIT_S = 10.0


async def echo(subject: str, content: Any) -> Any:
    if subject == "fail":
        raise ValueError(content)
    if subject == "wait":
        await asyncio.sleep(LIMIT_S * 10)
    return content


@asynccontextmanager
async def pair(heard: list[tuple[str, Any]]) -> AsyncIterator[tuple[Channel, Channel]]:
    """Two ends; the second one echoes, and keeps what it hears."""
    one, other = socket.socketpair()
    channels = (
        Channel(lambda *_: None, echo),
        Channel(lambda subject, content: heard.append((subject, content)), echo),
    )
    for channel, sock in zip(channels, (one, other), strict=True):
        await channel.open(sock)
    try:
        yield channels
    finally:
        for channel in channels:
            channel.close()
        await asyncio.sleep(0)


async def test_asking_and_telling() -> None:
    """Answers go to their questions, whatever their size; what is told arrives in order before them."""
    heard: list[tuple[str, Any]] = []
    async with pair(heard) as (one, _):
        for number in range(100):
            one.tell("number", number)
        large = b"x" * 1_000_000
        answers = await asyncio.gather(*(one.ask("echo", (n, large), limit_s=LIMIT_S) for n in range(5)))
        assert [(n, large) for n in range(5)] == answers
    assert [("number", number) for number in range(100)] == heard


async def test_a_refusal_is_raised_where_it_was_asked() -> None:
    async with pair([]) as (one, _):
        with pytest.raises(ValueError, match="because"):
            await one.ask("fail", "because", limit_s=LIMIT_S)
        assert 1 == await one.ask("echo", 1, limit_s=LIMIT_S)


async def test_an_end_that_is_gone() -> None:
    """Whoever waits for its answer learns it at once, and whoever asks later too."""
    async with pair([]) as (one, other):
        waiting = asyncio.ensure_future(one.ask("wait", limit_s=LIMIT_S))
        await asyncio.sleep(0)
        other.close()
        with pytest.raises(ChannelLost):
            await waiting
        with pytest.raises(ChannelLost):
            await one.ask("echo", limit_s=LIMIT_S)
        assert one.lost.is_set()


async def test_no_answer_in_time() -> None:
    async with pair([]) as (one, _):
        with pytest.raises(TimeoutError):
            await one.ask("wait", limit_s=0.01)
        assert 1 == await one.ask("echo", 1, limit_s=LIMIT_S)


async def test_the_first_thing_told() -> None:
    """It is read without an event loop, and takes nothing of what follows."""
    one, other = socket.socketpair()
    heard: list[tuple[str, Any]] = []
    channel = Channel(lambda *_: None, echo)
    await channel.open(one)
    channel.tell("start", {"large": "y" * 100_000})
    channel.tell("next", 1)
    assert {"large": "y" * 100_000} == await asyncio.to_thread(first_told, other)
    later = Channel(lambda subject, content: heard.append((subject, content)), echo)
    await later.open(other)
    assert 2 == await channel.ask("echo", 2, limit_s=LIMIT_S)
    assert [("next", 1)] == heard
    channel.close()
    later.close()
    await asyncio.sleep(0)


def test_nobody_tells_anything() -> None:
    one, other = socket.socketpair()
    one.close()
    with other, pytest.raises(ChannelLost):
        first_told(other)
