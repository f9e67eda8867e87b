"""Server-sent events: cut a byte stream into frames, and keep every byte.

A frame runs up to and including its blank line. Line ends are LF, CRLF or CR, mixed as the sender likes
(https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5). What the frames join to is what came in.
"""

import re
from collections.abc import Iterator
from typing import Final

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""No provider sends a larger one: it holds a base64 image of about 12 MB."""

# A line end, then a blank line. A CR that is the last byte so far may be half of a CRLF: not yet an end.
_BLANK: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")
_LINE: Final = re.compile(rb"\r\n|\n|\r")


class FrameTooLarge(ValueError):
    """A frame exceeds `MAX_FRAME_BYTES`."""


class Splitter:
    """Bytes in, whole frames out. One per response."""

    __slots__ = ("_held", "_held_bytes")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """The run of whole frames that is ready; empty while the current frame is not whole.

        Raises:
            FrameTooLarge: the frame under way is beyond the limit.
        """
        held = self._held
        if not held and data.endswith(b"\n\n"):
            return data
        # A frame's end may straddle two reads by up to three bytes (CRLF CRLF); earlier bytes held no end.
        overlap = b"".join(held[-4:])[-4:] if held else b""
        window = overlap + data if overlap else data
        end = _last_end(window)
        if end <= 0:
            if data:  # an empty piece would push the overlap out of sight
                held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > MAX_FRAME_BYTES:
                raise FrameTooLarge
            if len(held) > 4096:  # a peer that sends single bytes must not cost an object each
                self._held = [b"".join(held)]
            return b""
        cut = end - len(overlap)
        whole = b"".join((*held, data))
        border = self._held_bytes + cut
        rest = whole[border:]
        self._held = [rest] if rest else []
        self._held_bytes = len(rest)
        return whole[:border]

    def close(self) -> bytes:
        """What is left at the end of the body: an unfinished frame, or nothing."""
        rest = b"".join(self._held)
        self._held, self._held_bytes = [], 0
        return rest


def frames(run: bytes) -> Iterator[bytes]:
    """Cut a run of whole frames (and, at the end, an unfinished one) into its frames."""
    start = 0
    if b"\r" in run:
        for match in _BLANK.finditer(
            run + b" "
        ):  # the end of the run is the end of a line, so a last CR counts
            yield run[start : match.end()]
            start = match.end()
    else:
        while (end := run.find(b"\n\n", start)) >= 0:
            yield run[start : end + 2]
            start = end + 2
    if start < len(run):
        yield run[start:]


def payload(frame: bytes) -> bytes | None:
    """The frame's data: `data:` lines joined by LF; `None` when it has none (a comment, a blank line)."""
    span = payload_span(frame)
    if span is not None:
        return frame[span[0] : span[1]]
    lines = [
        line[6:] if line.startswith(b"data: ") else line[5:]
        for line in _LINE.split(frame.removeprefix(b"\xef\xbb\xbf"))
        if line.startswith(b"data:") or line == b"data"
    ]
    return b"\n".join(lines) if lines else None


def payload_span(frame: bytes) -> tuple[int, int] | None:
    """Where the payload lies when it is one `data:` line, as nearly always; else `None`."""
    start = frame.find(b"data")
    if start < 0 or frame[start + 4 : start + 5] != b":" or (start > 0 and frame[start - 1] not in b"\r\n"):
        return None
    if frame.find(b"\ndata", start + 5) >= 0 or frame.find(b"\rdata", start + 5) >= 0:
        return None
    end = len(frame)
    for mark in (b"\n", b"\r"):
        found = frame.find(mark, start)
        if 0 <= found < end:
            end = found
    start += 6 if frame[start + 5 : start + 6] == b" " else 5
    return start, end


def _last_end(window: bytes) -> int:
    """One past the last blank line in `window`, 0 when there is none."""
    if b"\r" not in window:
        return window.rfind(b"\n\n") + 2 if b"\n\n" in window else 0
    end = 0
    for match in _BLANK.finditer(window):
        end = match.end()
    return end
