"""The hottest loop of the program: a provider's bytes in, the client's bytes out, nothing awaited.

`StreamRelay` is called from the event loop's read of the provider's connection and writes to the client's in the same
turn. It knows bytes, marks and deadlines; frames, order and errors come as arguments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from proxy.exchange.downstream import Downstream, Headers
from proxy.exchange.relay.attempt import Attempt, Call, Ending, Source

MAX_PRELUDE_BYTES: Final = 64 * 1024
"""What is held before the first content; one byte more commits the attempt."""


class Frame(Protocol):
    """What the relay looks at in a frame."""

    @property
    def raw(self) -> bytes: ...
    @property
    def marked(self) -> bool: ...
    @property
    def content(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    @property
    def finished(self) -> Sequence[int]: ...
    @property
    def error(self) -> Exception | None: ...


F = TypeVar("F", bound=Frame)
F_co = TypeVar("F_co", bound=Frame, covariant=True)
F_contra = TypeVar("F_contra", bound=Frame, contravariant=True)


class Reader(Protocol[F_co]):
    """Upstream bytes in, frames out."""

    def feed(self, data: bytes) -> Sequence[F_co]: ...
    def close(self) -> Sequence[F_co]: ...


class Tail(Protocol[F_contra]):
    """Frames in, the bytes that may leave now out. See `proxy.exchange.tail`."""

    @property
    def complete(self) -> bool: ...
    def feed(self, frame: F_contra) -> bytes: ...
    def note(self, frame: F_contra) -> None: ...
    def close(self, end_mark: F_contra | None) -> bytes: ...
    def broken(self, error: Exception) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Bounds of one attempt in seconds, counted from the moment the request is written; 0 means none.

    Attributes:
        first_byte_s: until the first byte of the body.
        first_content_s: until the first content.
        stall_s: between two reads, while we wait for the provider.
        total_s: the whole attempt.
        tail_s: silence after which a complete answer is closed.
    """

    first_byte_s: float
    first_content_s: float
    stall_s: float
    total_s: float
    tail_s: float


class StreamRelay(Attempt, Generic[F]):
    """One attempt at a streamed answer."""

    def __init__(
        self,
        client: Downstream,
        reader: Reader[F],
        tail: Tail[F],
        source: Source,
        deadlines: Deadlines,
        on_commit: Callable[[], tuple[int, Headers]],
    ) -> None:
        """
        Args:
            on_commit: called when the first content has come; gives status and headers of the answer.
        """
        super().__init__(client, source, client.loop.time)
        self._reader = reader
        self._tail = tail
        self._deadlines = deadlines
        self._on_commit = on_commit
        self._commit_done = False
        self._prelude: list[bytes] = []
        self._prelude_bytes = 0
        self._last_byte_s = 0.0
        self._paused = False

    @property
    def _committed(self) -> bool:
        return self._commit_done

    def begin(self, call: Call) -> None:
        """The request has been written."""
        self._call = call
        self._sent_s = self._clock()
        self._arm()
        self._client.listen(self)

    def on_body(self, data: bytes) -> None:
        first = not self._last_byte_s
        self._last_byte_s = self._clock()
        if self._failed_body is not None:
            self._collect_error(data)
            return
        frames = self._reader.feed(data)
        if self._commit_done and len(frames) == 1 and not frames[0].marked:
            # By far the most reads: one run of frames that nobody need look at.
            self._client.write(frames[0].raw)
            return
        leaving: list[bytes] = []
        tail = self._tail
        was_complete = tail.complete
        for frame in frames:
            if frame.error is not None:
                self._send(leaving)
                tail.note(frame)
                self._broken(frame.error)
                return
            if frame.done:
                self._send_end_mark(frame, leaving)
                return
            if piece := tail.feed(frame):
                leaving.append(piece)
            if not self._commit_done and (frame.content or frame.finished):
                self._commit()
        if leaving:
            self._send(leaving)
        if first or (tail.complete and not was_complete):
            self._arm()  # a stall, or the end of the answer, may now be due before what the timer is set to

    def on_end(self) -> None:
        if self._failed_body is not None:
            self._call = None
            self._fail_by_status()
            return
        leaving: list[bytes] = []
        for frame in self._reader.close():
            if frame.error is not None:
                self._send(leaving)
                self._tail.note(frame)
                self._broken(frame.error)
                return
            if frame.done:
                self._send_end_mark(frame, leaving)
                return
            if piece := self._tail.feed(frame):
                leaving.append(piece)
            if not self._commit_done and (frame.content or frame.finished):
                self._commit()
        self._send(leaving)
        self._cut(self._source.of("protocol", "the provider's stream ended before its answer was complete"))

    def on_break(self, error: Exception, *, stale: bool) -> None:
        if stale:
            self._stop(Ending(error, stale=True))
        elif self._failed_body is not None:
            self._fail_by_status()
        else:
            self._cut(error)

    def stop(self, error: Exception) -> None:
        """End the attempt from our side; a committed answer ends properly."""
        self._cut(error)

    def client_paused(self) -> None:
        self._paused = True
        super().client_paused()

    def client_resumed(self) -> None:
        self._paused = False
        self._last_byte_s = max(self._last_byte_s, self._clock())  # we kept the provider waiting, not it us
        super().client_resumed()
        if not self._over:
            self._arm()

    def _send(self, leaving: list[bytes]) -> None:
        if not leaving:
            return
        data = leaving[0] if len(leaving) == 1 else b"".join(leaving)
        if self._commit_done:
            self._client.write(data)
            return
        self._prelude.append(data)
        self._prelude_bytes += len(data)
        if self._prelude_bytes > MAX_PRELUDE_BYTES:
            self._commit()

    def _commit(self) -> None:
        """From here on the answer is this attempt's."""
        self._commit_done = True
        self._client.start(*self._on_commit())
        if self._prelude:
            self._client.write(b"".join(self._prelude))
            self._prelude.clear()

    def _send_end_mark(self, end_mark: F, leaving: list[bytes]) -> None:
        if self._tail.complete:
            self._complete(end_mark, leaving)
        else:
            self._send(leaving)
            self._broken(self._source.of("protocol", "the provider ended its stream without a finish reason"))

    def _complete(self, end_mark: F | None, leaving: list[bytes]) -> None:
        leaving.append(self._tail.close(end_mark))
        self._client.end(b"".join(leaving))
        if self._call is not None and end_mark is not None:
            self._call.linger()
            self._call = None
        self._stop(Ending(committed=True))

    def _cut(self, error: Exception) -> None:
        """The connection ended, or fell silent: all that matters is whether the answer was complete."""
        if self._tail.complete:
            self._complete(None, [])
        else:
            self._broken(error)

    def _broken(self, error: Exception) -> None:
        error = self._source.shown(error)
        if self._commit_done:
            self._client.end(self._tail.broken(error))
        self._stop(Ending(error, committed=self._commit_done))

    def _arm(self) -> None:
        """See to it that the one timer looks no later than at the next moment a deadline may have passed."""
        due_s = min(self._due().values(), default=None)
        if due_s is None:
            return
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return  # it looks early enough, and then again
            self._timer.cancel()
        self._timer = self._loop.call_at(due_s, self._check)

    def _check(self) -> None:
        """A deadline may have passed: a chunk only moves `_last_byte_s`, and the timer looks where that is now."""
        self._timer = None
        now = self._clock()
        for name, due_s in self._due().items():
            if due_s <= now and name != "look again":
                self._cut(self._source.of("timeout", self._too_late(name)))
                return
        self._arm()

    def _due(self) -> dict[str, float]:
        """When each deadline that holds now would pass."""
        limits = self._deadlines
        due: dict[str, float] = {}
        if limits.total_s:
            due["total"] = self._sent_s + limits.total_s
        if self._paused:
            # Time that the client takes is not the provider's.
            due["look again"] = self._clock() + max(limits.stall_s, 1.0)
            return due
        if not self._last_byte_s and limits.first_byte_s:
            due["first byte"] = self._sent_s + limits.first_byte_s
        if not self._commit_done and limits.first_content_s:
            due["first content"] = self._sent_s + limits.first_content_s
        if self._last_byte_s and limits.stall_s:
            due["stall"] = self._last_byte_s + limits.stall_s
        if self._tail.complete:
            due["tail"] = self._last_byte_s + limits.tail_s
        return due

    def _too_late(self, deadline: str) -> str:
        limits = self._deadlines
        return {
            "total": f"the provider took more than {limits.total_s:g} s",
            "first byte": f"the provider sent nothing for {limits.first_byte_s:g} s",
            "first content": f"the provider sent no content for {limits.first_content_s:g} s",
            "stall": f"the provider fell silent for {limits.stall_s:g} s",
            "tail": f"the provider sent no end mark for {limits.tail_s:g} s",
        }[deadline]
