"""What leaves last, and in which order: the one state machine between a provider's frames and the end of an answer.

The contract:

1. Each choice has exactly one finish reason. A repeat is merged: what it reports counts, it does not leave again.
2. A finish frame is held while every choice seen so far has finished, because it may be the last. As soon as a frame
   of another, unfinished choice arrives, it was not: it leaves unchanged, before that frame.
3. A usage chunk (`choices: []`) never leaves as it came. Usage on a frame with choices counts, and the frame leaves.
4. Frames with neither finish nor usage are never held, wherever they come.
5. `close`: the finish frame; the usage chunk if it was asked for; the end mark. Not asked for: usage and the block of
   facts ride on the finish frame, so that code which reads `choices[0]` never breaks.
6. An answer is complete when each choice seen has finished. Only a complete one can be closed; `broken` ends any
   other, and one whose provider reports an error after all: the held frame is dropped.

Bytes come from the dialect's `Closer`; what an answer cost comes from `facts`. Nothing here reads JSON or a clock.
"""

from collections.abc import Callable, Collection
from typing import Any, Generic, NamedTuple, Protocol, TypeVar


class Frame(Protocol):
    """What the tail looks at in a frame; see the dialects' own type."""

    @property
    def raw(self) -> bytes: ...
    @property
    def marked(self) -> bool: ...
    @property
    def content(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    @property
    def choices(self) -> Collection[int]: ...
    @property
    def finished(self) -> Collection[int]: ...
    @property
    def usage(self) -> Any: ...  # the dialect's own type, or None; only passed through


F = TypeVar("F", bound=Frame)


class Facts(NamedTuple):
    """What the end of an answer says.

    Attributes:
        usage: JSON of the usage object.
        block: JSON of the `headgate` block.
        status: the HTTP status that fits how the answer ended.
    """

    usage: bytes
    block: bytes
    status: int = 200


class Closer(Protocol[F]):
    """Makes the bytes; one per client dialect."""

    def without_repeats(self, frame: F, repeated: Collection[int]) -> F | None: ...
    def finish(self, frame: F, usage: bytes | None, extra: bytes | None) -> bytes: ...
    def usage(self, base: F, usage: bytes, extra: bytes) -> bytes: ...
    def error(self, error: Any, status: int, usage: bytes, extra: bytes, base: F | None) -> bytes: ...
    def done(self, frame: F | None) -> bytes: ...


class Tail(Generic[F]):
    """Frames in, the bytes that may leave now out. One per answer."""

    __slots__ = (
        "_base",
        "_closer",
        "_facts",
        "_held",
        "_unfinished",
        "_usage_frame",
        "_usage_wanted",
        "finished",
        "usage",
    )

    def __init__(self, closer: Closer[F], *, usage_wanted: bool, facts: Callable[[Any, Any], Facts]) -> None:
        """`usage` tells at any time what was reported so far.

        Args:
            closer: makes the bytes.
            usage_wanted: the client asked for a usage chunk.
            facts: called once, at the end, with the usage reported (`None`: none was) and what broke the answer.
        """
        self._closer = closer
        self._usage_wanted = usage_wanted
        self._facts = facts
        self.finished: set[int] = set()
        self._unfinished: set[int] = set()
        self._held: F | None = None
        self.usage: Any = None
        self._usage_frame: F | None = None
        self._base: F | None = None

    @property
    def held(self) -> F | None:
        """The finish frame that is held."""
        return self._held

    @property
    def complete(self) -> bool:
        """Whether each choice seen has finished; then a finish frame is held, and `close` may be called."""
        return self._held is not None

    def feed(self, frame: F) -> bytes:
        """Take a frame that is neither an error nor the end mark; give what may leave."""
        if not frame.marked:
            return frame.raw
        if self._base is None:
            self._base = frame
        if frame.usage is not None:
            self.usage = frame.usage
            if not frame.choices:
                self._usage_frame = frame
                return b""
        if frame.finished:
            return self._feed_finish(frame)
        leaving = self._release_for(frame)
        self._unfinished.update(index for index in frame.choices if index not in self.finished)
        if self._held is not None and frame.usage is not None:
            return leaving + self._late_usage(frame)
        return leaving + frame.raw

    def note(self, frame: F) -> None:
        """What a frame with an error reports counts, though the frame itself does not leave."""
        if self._base is None:
            self._base = frame
        if frame.usage is not None:
            self.usage = frame.usage

    def close(self, end_mark: F | None) -> bytes:
        """End a complete answer. `end_mark` is the provider's own, `None` where it sent none."""
        held = self._held
        assert held is not None, "only a complete answer can be closed"
        facts = self._facts(self.usage, None)
        if self._usage_wanted:
            chunk = self._closer.usage(self._usage_frame or held, facts.usage, facts.block)
            return self._closer.finish(held, None, None) + chunk + self._closer.done(end_mark)
        return self._closer.finish(held, facts.usage, facts.block) + self._closer.done(end_mark)

    def broken(self, error: Exception) -> bytes:
        """End an answer that cannot be completed: one error frame, and no end mark."""
        facts = self._facts(self.usage, error)
        return self._closer.error(error, facts.status, facts.usage, facts.block, self._base)

    def _feed_finish(self, frame: F) -> bytes:
        repeated = [index for index in frame.finished if index in self.finished]
        if repeated:
            if frame.usage is not None:
                self._usage_frame = frame
            trimmed = self._closer.without_repeats(frame, repeated)
            if trimmed is None:
                return b""
            frame = trimmed
            if not frame.finished:
                return self._release_for(frame) + frame.raw
        leaving = self._release_for(frame)
        self.finished.update(frame.finished)
        self._unfinished.update(frame.choices)
        self._unfinished -= self.finished
        if self._unfinished:
            return leaving + frame.raw
        self._held = frame
        return leaving

    def _release_for(self, frame: F) -> bytes:
        """The held frame, if `frame` speaks of a choice that has not finished."""
        held = self._held
        if held is None or all(index in self.finished for index in frame.choices):
            return b""
        self._held = None
        return held.raw

    def _late_usage(self, frame: F) -> bytes:
        # Usage behind the finish reason, on a frame with choices: kept, and only its content, if any, leaves.
        self._usage_frame = frame
        trimmed = self._closer.without_repeats(frame, frame.choices)
        return b"" if trimmed is None else trimmed.raw
