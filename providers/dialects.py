"""What a dialect is, on either side, and how two of them are joined.

Where client and upstream speak the same one, frames pass through; else the upstream's decoder and the client's renderer
are joined behind the same surface, so that nobody above knows which of the two runs.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, cast

from providers import events
from providers.endpoints import Operation
from providers.types import Canonical, Completion, Frame, UpstreamError, UpstreamRequest, Usage


class Decoder(Protocol):
    """Upstream bytes in, events out. One per response. A failure or a cut is the last event, `Broken`."""

    def feed(self, data: bytes) -> Sequence[events.Event]: ...
    def close(self) -> Sequence[events.Event]: ...


class Renderer(Protocol):
    """Events in, frames of the client's dialect out. One per response."""

    def render(self, event: events.Event) -> Frame: ...


class Reader(Protocol):
    """Upstream bytes in, frames of the client's dialect out. One per response."""

    def feed(self, data: bytes) -> Sequence[Frame]: ...
    def close(self) -> Sequence[Frame]: ...
    def estimated_output_tokens(self) -> int: ...


class PlainUpstream(Protocol):
    """One provider's dialect of an operation without streams. Frozen; shared by all requests."""

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:
        """What this request needs and the provider does not have, by path.

        Args:
            model: the provider's name of it; without one, only what none of its models has.

        Raises:
            RequestError: the request cannot be read.
        """
        ...

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that the provider does not have and without which the answer is the same."""
        ...

    def encode(self, request: Canonical, model: str) -> UpstreamRequest: ...


class Embedder(PlainUpstream, Protocol):
    """One provider's dialect of embeddings: answers come out in OpenAI's shape."""

    def decode(self, body: bytes, request: Canonical) -> Completion: ...


class Upstream(PlainUpstream, Protocol):
    """One provider's dialect of completions. `speaks` names the dialect."""

    @property
    def speaks(self) -> str: ...
    def read(self, body: bytes) -> Sequence[events.Event]:
        """A plain answer as events: what a stream of the same answer would say. A failure is the last event."""
        ...

    def decoder(self) -> Decoder: ...
    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_epoch_s: float
    ) -> UpstreamError: ...


class Native(Upstream, Protocol):
    """A dialect that some clients speak, too, so that answers can pass through."""

    def decode(self, body: bytes) -> Completion: ...
    def reader(self, *, many_choices: bool) -> Reader: ...


class PlainCloser(Protocol):
    """Makes the bytes of a plain answer in a client's dialect. `usage` and `extra` are JSON."""

    def plain(self, completion: Completion, usage: bytes, extra: bytes) -> bytes: ...


class Closer(PlainCloser, Protocol):
    """Also makes the bytes that end a stream."""

    def without_repeats(self, frame: Frame, repeated: Collection[int]) -> Frame | None: ...
    def finish(self, frame: Frame, usage: bytes | None, extra: bytes | None) -> bytes: ...
    def usage(self, base: Frame, usage: bytes, extra: bytes) -> bytes: ...
    def error(
        self, error: UpstreamError, status: int, usage: bytes, extra: bytes, base: Frame | None
    ) -> bytes: ...
    def done(self, frame: Frame | None) -> bytes: ...


class PlainClient(Protocol):
    """One client's dialect of an operation. Without state; shared by all requests."""

    @property
    def operation(self) -> Operation: ...
    def parse(self, body: bytes) -> Canonical: ...
    def closer(self) -> PlainCloser: ...
    def usage_json(
        self, usage: Usage, *, cost_usd: float | None, upstream_cost_usd: float | None
    ) -> bytes: ...


class Client(PlainClient, Protocol):
    """A dialect that has streams."""

    @property
    def speaks(self) -> str: ...
    def renderer(self, *, answer_id: str, model: str, created_s: int) -> Renderer: ...
    def assemble(
        self, said: Sequence[events.Event], *, answer_id: str, model: str, created_s: int
    ) -> Completion:
        """A whole answer of events. Raises `UpstreamError` when they end in a failure."""
        ...

    def closer(self) -> Closer: ...


def open_reader(
    upstream: Upstream, client: Client, *, many_choices: bool, answer_id: str, model: str, created_s: int
) -> Reader:
    """The reader for one response: pass-through where both speak the same dialect, else a translation."""
    if upstream.speaks == client.speaks:
        return cast("Native", upstream).reader(many_choices=many_choices)
    return Translation(
        upstream.decoder(), client.renderer(answer_id=answer_id, model=model, created_s=created_s)
    )


def whole(
    upstream: Upstream, client: Client, body: bytes, *, answer_id: str, model: str, created_s: int
) -> Completion:
    """A plain answer in the client's dialect: the provider's own bytes where both speak the same one.

    Raises:
        UpstreamError: it is an error after all, or nothing the dialect knows.
    """
    if upstream.speaks == client.speaks:
        return cast("Native", upstream).decode(body)
    return client.assemble(upstream.read(body), answer_id=answer_id, model=model, created_s=created_s)


class Translation:
    """Upstream bytes in, frames of the client's dialect out. One per response."""

    __slots__ = ("_decoder", "_pieces", "_renderer", "_text_bytes")

    def __init__(self, decoder: Decoder, renderer: Renderer) -> None:
        self._decoder = decoder
        self._renderer = renderer
        self._pieces = 0
        self._text_bytes = 0

    def feed(self, data: bytes) -> Sequence[Frame]:
        """The frames that `data` completes. Nonsense comes out as a frame with an error; nothing is raised."""
        return self._rendered(self._decoder.feed(data))

    def close(self) -> Sequence[Frame]:
        """The end of the body; cut short, it is a frame with an error."""
        return self._rendered(self._decoder.close())

    def estimated_output_tokens(self) -> int:
        """A guess at what was relayed: about a token a piece, or four bytes of text."""
        return max(self._pieces, self._text_bytes // 4)

    def _rendered(self, said: Sequence[events.Event]) -> list[Frame]:
        frames: list[Frame] = []
        render = self._renderer.render
        for event in said:
            frame = render(event)
            if frame.content:
                self._pieces += 1
                self._text_bytes += frame.text_bytes
            if frame.raw or frame.marked:
                frames.append(frame)
        return frames
