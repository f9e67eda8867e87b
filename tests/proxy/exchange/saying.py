"""Frames of a small answer, how an attempt ended, and a clock that is moved by hand."""

import asyncio

from providers.types import UpstreamError
from tests.proxy.exchange.inprocess import Attempt
from tests.support.recordings import chunk_of, frames_of

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
COMMENT = b": waiting\n\n"
BUSY = b'data: {"error":{"message":"too busy","code":503}}\n\n'


class Clock:
    """The event loop's clock, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, and whatever is due then happen."""
        self.now_s += seconds
        for _ in range(3):
            await asyncio.sleep(0)


def error_of(made: Attempt) -> UpstreamError:
    error = made.ending.error
    assert isinstance(error, UpstreamError)
    return error


def said_last(made: Attempt) -> tuple[str, str]:
    """Kind and message of the error frame that ended the answer."""
    assert made.sink.ended
    assert DONE not in made.sink.body
    chunk = chunk_of(frames_of(made.sink.body)[-1])
    assert chunk is not None
    assert "error" == chunk["choices"][0]["finish_reason"]
    return chunk["error"]["type"], chunk["error"]["message"]
