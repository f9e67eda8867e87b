"""The shell of decoders whose streams are server-sent events with a JSON object in each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from providers import events
from providers.framing import sse
from providers.types import UpstreamError


class JsonStream(ABC):
    """Upstream bytes in, events out. One per response; a dialect says what an object means.

    Attributes:
        finished: the provider has said that the answer is whole.
    """

    __slots__ = ("_over", "_splitter", "finished")

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._over = False
        self.finished = False

    @abstractmethod
    def said(self, members: Mapping[str, Any]) -> list[events.Event]:
        """What one object says; one of an unknown type says nothing. A failure is the last event."""

    def feed(self, data: bytes) -> Sequence[events.Event]:
        """Events that `data` completes; nonsense, or an error the provider sent, is the last of them."""
        if self._over:
            return ()
        try:
            run = self._splitter.feed(data)
        except sse.FrameTooLarge:
            self._over = True
            return (nonsense("the provider sent a frame beyond the limit"),)
        found: list[events.Event] = []
        for raw in sse.frames(run):
            found += self._frame(raw)
            if found and isinstance(found[-1], events.Broken):
                self._over = True
                break
        return found

    def close(self) -> Sequence[events.Event]:
        """The end of the body. Before the answer was whole, the stream was cut short."""
        if self._over:
            return ()
        self._over = True
        last: list[events.Event] = []
        rest = self._splitter.close()
        if rest.strip():
            last = self._frame(rest + b"\n\n")
            if last and isinstance(last[-1], events.Broken):
                if last[-1].error.kind != "protocol":
                    return last
                last.pop()  # half a frame
        return last if self.finished else [*last, nonsense("the provider's stream was cut short")]

    def _frame(self, raw: bytes) -> list[events.Event]:
        data = sse.payload(raw)
        # `[DONE]` is OpenAI's; servers that speak many dialects send it elsewhere, too.
        if data is None or not (data := data.strip()) or data == b"[DONE]":
            return []
        try:
            members = orjson.loads(data)
        except orjson.JSONDecodeError:
            return [nonsense("the provider sent a frame that is not JSON")]
        if not isinstance(members, dict):
            return [nonsense("the provider sent a frame that is no JSON object")]
        return self.said(members)


def nonsense(message: str) -> events.Broken:
    """The provider does not keep to its dialect."""
    return events.Broken(UpstreamError("protocol", message))
