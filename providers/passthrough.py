"""Client and upstream speak the same dialect: bytes leave as they came, and only marked frames are parsed.

Frames are parsed until the first content, where a byte search finds a mark, when several choices run side by side,
and behind the first finish reason, where few come and their order matters.
"""

from collections.abc import Sequence
from typing import Protocol

from providers.framing import sse
from providers.types import Frame, Unparsable, UpstreamError


class Inspector(Protocol):
    """What pass-through must know of a dialect. Frozen; shared by all requests."""

    def first_mark(self, run: bytes, start: int) -> int:
        """Where in this run of frames, from `start` on, something may need parsing; negative: nowhere.

        A byte search; false alarms only cost time.
        """
        ...

    def inspect(self, raw: bytes) -> Frame:
        """Read one frame.

        Raises:
            Unparsable: it has data, and that is no JSON of this dialect.
        """
        ...


class Passthrough:
    """Upstream bytes in, frames out. One per response.

    What the frames' `raw` join to is what came in, but for the documented repairs of the inspector.
    """

    __slots__ = (
        "_content_seen",
        "_finish_seen",
        "_frame_overhead_bytes",
        "_inspector",
        "_many_choices",
        "_relayed_bytes",
        "_relayed_frames",
        "_splitter",
    )

    def __init__(self, inspector: Inspector, *, many_choices: bool) -> None:
        """
        Args:
            inspector: of the dialect.
            many_choices: more than one choice was asked for, so each frame must tell whose it is.
        """
        self._inspector = inspector
        self._many_choices = many_choices
        self._splitter = sse.Splitter()
        self._content_seen = False
        self._finish_seen = False
        self._relayed_frames = 0
        self._relayed_bytes = 0
        self._frame_overhead_bytes = 0

    def feed(self, data: bytes) -> Sequence[Frame]:
        """The frames that `data` completes. Nonsense comes out as a frame with an error; nothing is raised."""
        try:
            run = self._splitter.feed(data)
        except sse.FrameTooLarge:
            limit_mb = sse.MAX_FRAME_BYTES // 1024 // 1024
            error = UpstreamError("protocol", f"the provider sent a frame of more than {limit_mb} MB")
            return (Frame(b"", marked=True, error=error),)
        if not run:
            return ()
        if (
            self._content_seen
            and not self._finish_seen
            and not self._many_choices
            and self._inspector.first_mark(run, 0) < 0
        ):
            # By far the most reads: nothing remarkable in them.
            self._relayed_frames += run.count(b"\n\n") or run.count(b"\r\n\r\n") or 1
            self._relayed_bytes += len(run)
            return (Frame(run),)
        if b"\r" in run:  # frames end in more ways than one: take them one by one
            return [self._read(raw) for raw in sse.frames(run)]
        return self._cut(run)

    def close(self) -> Sequence[Frame]:
        """The end of the body: a last frame without its blank line counts when it can be read whole."""
        rest = self._splitter.close()
        if not rest.strip():
            return ()
        try:
            return (self._noted(self._inspector.inspect(rest + b"\n\n")),)
        except Unparsable:
            return ()  # cut in the middle; whether the answer was complete is for the tail to say

    def estimated_output_tokens(self) -> int:
        """A guess at what was relayed, for answers whose provider reported nothing.

        Providers send about a token a frame; where frames are larger, four bytes of text make a token.
        """
        text_bytes = self._relayed_bytes - self._relayed_frames * self._frame_overhead_bytes
        return max(self._relayed_frames, text_bytes // 4)

    def _cut(self, run: bytes) -> Sequence[Frame]:
        """The frames of a run; those between two marks, in which nothing is remarkable, stay together."""
        found: list[Frame] = []
        start, end = 0, len(run)
        while start < end:
            if self._content_seen and not self._finish_seen and not self._many_choices:
                mark = self._inspector.first_mark(run, start)
                border = end if mark < 0 else run.rfind(b"\n\n", start, mark) + 2
                if border > start + 1:
                    quiet = run[start:border]
                    self._relayed_frames += quiet.count(b"\n\n")
                    self._relayed_bytes += len(quiet)
                    found.append(Frame(quiet))
                    start = border
                    continue
            blank = run.find(b"\n\n", start)
            border = end if blank < 0 else blank + 2  # a stray line end may be left over
            found.append(self._read(run[start:border]))
            start = border
        return found

    def _read(self, raw: bytes) -> Frame:
        try:
            return self._noted(self._inspector.inspect(raw))
        except Unparsable as problem:
            if self._content_seen:
                return Frame(raw)
            return Frame(b"", marked=True, error=UpstreamError("protocol", str(problem)))

    def _noted(self, frame: Frame) -> Frame:
        if frame.content:
            if not self._content_seen:
                self._frame_overhead_bytes = len(frame.raw) - frame.text_bytes
            self._relayed_frames += 1
            self._relayed_bytes += len(frame.raw)
        self._content_seen = self._content_seen or frame.content or bool(frame.finished)
        self._finish_seen = self._finish_seen or bool(frame.finished)
        return frame
