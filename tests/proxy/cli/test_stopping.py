"""What signals come to."""

import asyncio

from proxy.cli.stopping import Stopping


def state(stopping: Stopping) -> tuple[bool, bool, bool]:
    return stopping.asked.is_set(), stopping.closing.is_set(), stopping.at_once.is_set()


def test_sigterm_again_and_again() -> None:
    """The second one skips the lame duck; none of them ends what is under way: orchestrators repeat themselves."""
    stopping = Stopping()
    stopping.terminate()
    assert (True, False, False) == state(stopping)
    stopping.terminate()
    stopping.terminate()
    assert (True, True, False) == state(stopping)


def test_sigint_again() -> None:
    stopping = Stopping()
    stopping.interrupt()
    assert (True, True, False) == state(stopping)
    stopping.interrupt()
    assert (True, True, True) == state(stopping)


def test_sigint_after_sigterm_skips_the_lame_duck_first() -> None:
    stopping = Stopping()
    stopping.terminate()
    stopping.interrupt()
    assert (True, True, False) == state(stopping)


async def test_a_lame_duck_ends_by_itself_or_earlier() -> None:
    stopping = Stopping()
    stopping.terminate()
    await stopping.lame_duck(0.001)
    assert stopping.closing.is_set()
    other = Stopping()
    waiting = asyncio.ensure_future(other.lame_duck(3600))
    await asyncio.sleep(0)
    other.closing.set()
    await waiting
