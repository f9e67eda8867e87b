"""A tail between a dialect's reader and a client that keeps what it gets; and frames to tell stories with."""

from collections.abc import Iterable

from providers.clients.openai_chat import OpenAIChat as Client
from providers.types import Frame, UpstreamError, Usage
from providers.upstreams.openai_chat.dialect import OpenAIChat
from proxy.exchange.tail import Facts, Tail

USAGE = b'{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}'
OUR_USAGE = b'{"ours":5}'
ESTIMATE = b'{"estimated":true}'
BLOCK = b'{"request_id":"r"}'
DONE = b"data: [DONE]\n\n"


def event(members: bytes) -> bytes:
    return b'data: {"id":"c-1","model":"m",' + members + b"}\n\n"


def choice(index: int, delta: bytes = b"{}", finish: bytes = b"null", more: bytes = b"") -> bytes:
    return b'{"index":%d,"delta":%b,"finish_reason":%b%b}' % (index, delta, finish, more)


def chunk(*choices: bytes, more: bytes = b"") -> bytes:
    return event(b'"choices":[' + b",".join(choices) + b"]" + more)


def said(text: str, index: int = 0) -> bytes:
    return chunk(choice(index, b'{"content":"%b"}' % text.encode()))


def stop(index: int = 0, more: bytes = b"") -> bytes:
    return chunk(choice(index, finish=b'"stop"'), more=more)


REPORT = chunk(more=b',"usage":' + USAGE)
MODERATION = chunk(more=b',"prompt_filter_results":[{"index":0}]')


class Story:
    """A tail between a dialect's reader and a client that keeps what it gets."""

    def __init__(self, *, asked: bool, many: bool = False) -> None:
        self.reader = OpenAIChat().reader(many_choices=many)
        self.tail: Tail[Frame] = Tail(Client().closer(), usage_wanted=asked, facts=self.facts)
        self.told: list[tuple[Usage | None, UpstreamError | None]] = []

    def facts(self, usage: Usage | None, error: UpstreamError | None) -> Facts:
        self.told.append((usage, error))
        mine = ESTIMATE if usage is None else b'{"ours":%d}' % usage.output_tokens
        return Facts(mine, BLOCK, 200 if error is None else 503)

    def feed(self, *raws: bytes) -> list[bytes]:
        """What leaves with each of these frames."""
        left: list[bytes] = []
        for raw in raws:
            frames = self.reader.feed(raw)
            assert [] == [frame for frame in frames if frame.error or frame.done]
            left.append(b"".join(self.tail.feed(frame) for frame in frames))
        return left

    def close(self, end_mark: bytes | None = DONE) -> bytes:
        frame = None if end_mark is None else OpenAIChat().inspect(end_mark)
        return self.tail.close(frame)


def whole(frames: Iterable[bytes], *, asked: bool, many: bool = False) -> bytes:
    """All that leaves of a complete answer."""
    story = Story(asked=asked, many=many)
    left = b"".join(story.feed(*frames))
    assert story.tail.complete
    return left + story.close()


def with_usage(finish: bytes, usage: bytes = OUR_USAGE) -> bytes:
    """A finish frame on which usage and block ride."""
    return finish.replace(b"}\n\n", b',"usage":' + usage + b',"headgate":' + BLOCK + b"}\n\n")


def usage_chunk(usage: bytes = OUR_USAGE) -> bytes:
    return chunk(more=b',"usage":' + usage + b',"headgate":' + BLOCK)
