"""The end of an answer: what is held, what leaves, and in which order. One rule, one test."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.types import Frame, UpstreamError, Usage
from providers.upstreams.openai_chat import OpenAIChat
from proxy.exchange.tail import Facts, Tail
from tests.support.recordings import chunk_of

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


# What is held


def test_finish_is_held() -> None:
    """The finish frame waits for the end; what comes before leaves at once."""
    story = Story(asked=True)
    assert [said("a"), said("b"), b""] == story.feed(said("a"), said("b"), stop())
    assert story.tail.complete


def test_usage_is_held_and_releases_nothing() -> None:
    """Usage alone ends nothing: more may follow."""
    story = Story(asked=True)
    assert [b"", b"", b""] == story.feed(stop(), REPORT, REPORT)
    assert [] == story.told


@pytest.mark.parametrize("asked", [True, False])
def test_frames_behind_the_finish_leave_as_they_came(asked: bool) -> None:  # noqa: FBT001 - a column
    """Moderation behind finish and usage is not held: it leaves before the finish frame."""
    late = chunk(choice(0, more=b',"content_filter_results":{}'))
    frames = [said("a"), stop(), MODERATION, REPORT, late, MODERATION, b": comment\n\n"]
    left = whole(frames, asked=asked)
    assert left.startswith(said("a") + MODERATION + late + MODERATION + b": comment\n\n" + stop()[:-3])


def test_comments_are_kept() -> None:
    """Comments and empty frames leave where they came, before the first content too."""
    story = Story(asked=True)
    ping, empty = b": OPENROUTER PROCESSING\n\n", b"event: ping\n\n"
    assert [ping, empty, said("a"), ping, b"", ping] == story.feed(ping, empty, said("a"), ping, stop(), ping)


# Asked, and not asked


def test_asked() -> None:
    """Asked for usage: the finish frame without it, a chunk with usage and block, the end mark."""
    assert said("a") + stop() + usage_chunk() + DONE == whole([said("a"), stop(), REPORT], asked=True)


def test_not_asked() -> None:
    """Not asked: usage and block ride on the finish frame, and no chunk without choices ever leaves."""
    assert said("a") + with_usage(stop()) + DONE == whole([said("a"), stop(), REPORT], asked=False)


def test_every_chunk_has_a_choice_when_not_asked() -> None:
    """Code that reads `choices[0]` never breaks."""
    for frames in (
        [stop(), REPORT],
        [REPORT, said("a"), REPORT, stop()],
        [stop(more=b',"usage":' + USAGE), REPORT],
    ):
        left = whole(frames, asked=False)
        for raw in left.removesuffix(DONE).split(b"\n\n")[:-1]:
            assert (chunk_of(raw) or {})["choices"]


# Where usage comes


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([said("a"), stop(), REPORT], id="last"),
        pytest.param([said("a"), stop(), REPORT, MODERATION], id="second to last"),
        pytest.param([said("a"), stop(more=b',"usage":' + USAGE)], id="on the finish frame"),
        pytest.param(
            [said("a"), stop(), chunk(choice(0), more=b',"usage":' + USAGE)], id="on a chunk with choices"
        ),
        pytest.param([said("a"), REPORT, stop()], id="before the finish"),
        pytest.param([REPORT, said("a"), stop()], id="first"),
        pytest.param(
            [said("a"), stop(), chunk(more=b',"x_groq":{"usage":' + USAGE + b"}")], id="at groq's place"
        ),
        pytest.param([said("a"), stop(), stop(more=b',"usage":' + USAGE)], id="on a repeated finish"),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_where_usage_comes(frames: list[bytes], asked: bool) -> None:  # noqa: FBT001 - a column
    """Wherever the provider reports it, usage leaves once, at the end, in our words."""
    left = whole(frames, asked=asked)
    chunks = [read for raw in left.split(b"\n\n") if (read := chunk_of(raw)) is not None]
    reporting = [read for read in chunks if read.get("usage") is not None]
    assert [(not asked, {"ours": 5}, {"request_id": "r"})] == [
        (bool(read["choices"]), read["usage"], read["headgate"]) for read in reporting
    ]
    assert 1 == left.count(b'"headgate"')
    finish = [read for read in chunks if any(each["finish_reason"] for each in read["choices"])]
    assert 1 == len(finish)
    assert chunks[-1] is reporting[-1]
    assert left.endswith(b"\n\n" + DONE)


def test_the_last_report_counts() -> None:
    """Of several reports the last one is said."""
    early = chunk(more=b',"usage":{"completion_tokens":1}')
    assert stop() + usage_chunk() + DONE == whole([early, stop(), early, REPORT], asked=True)


def test_a_late_report_on_a_chunk_with_content() -> None:
    """Content behind the finish reason is not lost when usage rides on it; its usage leaves at the end."""
    late = chunk(choice(0, b'{"content":"b"}'), more=b',"usage":' + USAGE)
    assert said("a") + said("b") + with_usage(stop()) + DONE == whole([said("a"), stop(), late], asked=False)


@pytest.mark.parametrize("asked", [True, False])
def test_running_usage_is_left_alone(asked: bool) -> None:  # noqa: FBT001 - a column
    """`usage: null` and running usage on content frames leave as they came."""
    null = chunk(choice(0, b'{"content":"a"}'), more=b',"usage":null')
    running = chunk(choice(0, b'{"content":"b"}'), more=b',"usage":{"completion_tokens":1}')
    story = Story(asked=asked)
    assert [null, running, b""] == story.feed(null, running, stop())


def test_usage_null_on_the_finish_frame() -> None:
    """`usage: null` stays where a usage chunk follows, and is filled where none does."""
    null = stop(more=b',"usage":null')
    assert null + usage_chunk() + DONE == whole([null, REPORT], asked=True)
    filled = stop(more=b',"usage":' + OUR_USAGE + b',"headgate":' + BLOCK)
    assert filled + DONE == whole([null, REPORT], asked=False)


@pytest.mark.parametrize("asked", [True, False])
def test_no_usage(asked: bool) -> None:  # noqa: FBT001 - a column
    """A provider that reports nothing: the estimate takes its place."""
    expected = stop() + usage_chunk(ESTIMATE) if asked else with_usage(stop(), ESTIMATE)
    assert expected + DONE == whole([stop()], asked=asked)


# Repeats


@pytest.mark.parametrize("asked", [True, False])
def test_a_repeated_finish_is_merged(asked: bool) -> None:  # noqa: FBT001 - a column
    """OpenRouter's shape: the finish reason, then the same again with usage. It leaves once."""
    first = chunk(choice(0, b'{"content":""}', b'"stop"', b',"native_finish_reason":"STOP"'))
    again = chunk(choice(0, b'{"content":""}', b'"stop"'), more=b',"usage":' + USAGE)
    expected = first + usage_chunk() if asked else with_usage(first)
    assert said("a") + expected + DONE == whole([said("a"), first, again], asked=asked)


def test_repeats_of_two_choices() -> None:
    """Both finish reasons come again, in one frame or in two: each leaves once."""
    both = chunk(choice(0, finish=b'"stop"'), choice(1, finish=b'"stop"'), more=b',"usage":' + USAGE)
    expected = said("a") + said("b", 1) + stop(0) + stop(1) + usage_chunk() + DONE
    start = [said("a"), said("b", 1), stop(0), stop(1)]
    assert expected == whole([*start, both], asked=True, many=True)
    assert expected == whole([*start, stop(0), stop(1, b',"usage":' + USAGE)], asked=True, many=True)


def test_a_repeat_beside_a_first_finish() -> None:
    """A frame that repeats one choice's finish and brings another's: the new one stays, alone."""
    both = chunk(choice(0, finish=b'"stop"'), choice(1, finish=b'"length"'))
    left = whole([said("a"), said("b", 1), stop(0), both, REPORT], asked=True, many=True)
    alone = chunk(choice(1, finish=b'"length"'))
    assert said("a") + said("b", 1) + stop(0) + alone + usage_chunk() + DONE == left


def test_content_on_a_repeated_finish() -> None:
    """Content is never lost: the frame leaves without its finish reason."""
    again = chunk(choice(0, b'{"content":"b"}', b'"stop"'), more=b',"usage":' + USAGE)
    assert said("b") + with_usage(stop()) + DONE == whole([stop(), again], asked=False)


# Several choices


def test_two_choices_interleaved() -> None:
    """A held finish frame leaves unchanged as soon as another, unfinished choice speaks."""
    story = Story(asked=False, many=True)
    frames = [said("a"), stop(0), said("b", 1), said("c", 1), stop(1), REPORT]
    assert [said("a"), b"", stop(0) + said("b", 1), said("c", 1), b"", b""] == story.feed(*frames)
    assert with_usage(stop(1)) + DONE == story.close()


def test_a_finish_beside_an_unfinished_choice_is_not_held() -> None:
    """While another choice is under way, a finish frame cannot be the last."""
    story = Story(asked=False, many=True)
    assert [said("a"), said("b", 1), stop(0)] == story.feed(said("a"), said("b", 1), stop(0))
    assert not story.tail.complete
    assert [b""] == story.feed(stop(1))
    assert story.tail.complete


def test_a_released_finish_keeps_its_usage() -> None:
    """What leaves because another choice speaks is not edited, whatever it reports."""
    story = Story(asked=True, many=True)
    first = stop(0, b',"usage":{"completion_tokens":2}')
    assert [b"", first + said("b", 1), b""] == story.feed(first, said("b", 1), stop(1, b',"usage":' + USAGE))
    assert stop(1) + usage_chunk() + DONE == story.close()


def test_a_choice_that_only_finishes() -> None:
    """The finish frame of a choice that never spoke releases the held one of another."""
    story = Story(asked=True, many=True)
    assert [b"", stop(0)] == story.feed(stop(0), stop(1))
    assert stop(1) + usage_chunk(ESTIMATE) + DONE == story.close()


def test_choices_count_from_their_first_frame() -> None:
    """Two were asked for and one came: the answer is complete without the other."""
    assert said("a") + stop() + usage_chunk() + DONE == whole(
        [said("a"), stop(), REPORT], asked=True, many=True
    )


def test_frames_of_a_finished_choice_release_nothing() -> None:
    """Only an unfinished choice proves that the held frame is not the last."""
    story = Story(asked=True, many=True)
    late = chunk(choice(0, more=b',"content_filter_results":{}'))
    assert [b"", late, b""] == story.feed(stop(0), late, REPORT)


def test_a_frame_of_a_finished_and_an_unfinished_choice() -> None:
    """One unfinished choice among those of a frame releases the held one before it."""
    story = Story(asked=True, many=True)
    both = chunk(choice(0), choice(1, b'{"content":"b"}'))
    assert [b"", stop(0) + both, b""] == story.feed(stop(0), both, stop(1))


def test_both_choices_in_one_frame() -> None:
    """One frame may finish all."""
    both = chunk(choice(0, finish=b'"stop"'), choice(1, finish=b'"length"'))
    start = said("a") + said("b", 1)
    assert start + with_usage(both) + DONE == whole([start, both, REPORT], asked=False, many=True)


# What stays


def test_the_finish_frame_is_edited_not_rewritten() -> None:
    """Delta, logprobs, vendor members, order and white space of the finish frame stay."""
    raw = (
        b'data: { "v" : 1.50, "choices" : [ {"index":0, "delta":{"content":"end","x":[ ]},'
        b' "logprobs":{"content":[1e-3]}, "finish_reason" : "stop", "seed":7 } ], "p":"\\u0061" }\n\n'
    )
    edited = raw.replace(b" }\n\n", b',"usage":' + OUR_USAGE + b',"headgate":' + BLOCK + b" }\n\n")
    assert said("a") + edited + DONE == whole([said("a"), raw, REPORT], asked=False)
    assert said("a") + raw + usage_chunk() + DONE == whole([said("a"), raw, REPORT], asked=True)


def test_vendor_members_of_the_usage_chunk_stay() -> None:
    """The provider's own usage chunk carries ours: ids and vendor members stay."""
    own = chunk(more=b',"service_tier":"default","usage":' + USAGE + b',"obfuscation":"xx"')
    expected = chunk(
        more=b',"service_tier":"default","usage":' + OUR_USAGE + b',"obfuscation":"xx","headgate":' + BLOCK
    )
    assert stop() + expected + DONE == whole([stop(), own], asked=True)


def test_groq_extras_stay() -> None:
    """A vendor's second place for usage is left alone; only `usage` itself is ours."""
    finish = stop(more=b',"x_groq":{"usage":' + USAGE + b'},"usage":' + USAGE)
    left = whole([finish], asked=True)
    assert left.startswith(stop(more=b',"x_groq":{"usage":' + USAGE + b"}"))


def test_crlf() -> None:
    """Line ends stay the provider's, in edited frames too."""
    frames = [raw.replace(b"\n", b"\r\n") for raw in (said("a"), stop(), REPORT)]
    story = Story(asked=True)
    left = b"".join(story.feed(*frames)) + story.close(DONE.replace(b"\n", b"\r\n"))
    assert (said("a") + stop() + usage_chunk() + DONE).replace(b"\n", b"\r\n") == left


@pytest.mark.parametrize(
    ("reason", "public"),
    [("eos", "stop"), ("model_length", "length"), ("insufficient_system_resource", "length")],
)
def test_native_finish_reason(reason: str, public: str) -> None:
    """A finish reason outside OpenAI's set is mapped, once, and the original kept."""
    left = whole([said("a"), stop().replace(b'"stop"', orjson.dumps(reason)), REPORT], asked=False)
    read = chunk_of(left[len(said("a")) :].split(b"\n\n")[0]) or {}
    assert (public, reason) == (
        read["choices"][0]["finish_reason"],
        read["choices"][0]["native_finish_reason"],
    )


def test_openrouters_native_finish_reason_stays() -> None:
    """A provider's own `native_finish_reason` is not touched."""
    finish = chunk(choice(0, finish=b'"stop"', more=b',"native_finish_reason":"STOP"'))
    assert finish + usage_chunk() + DONE == whole([finish, REPORT], asked=True)


def test_words_in_the_content_hold_nothing() -> None:
    """An answer that talks about finish reasons and usage is content."""
    tricky = said('\\"finish_reason\\": \\"stop\\", \\"usage\\": {\\"prompt_tokens\\": 1}, data: [DONE]')
    story = Story(asked=False)
    assert [said("a"), tricky, tricky] == story.feed(said("a"), tricky, tricky)
    assert not story.tail.complete


# Ends


@pytest.mark.parametrize("asked", [True, False])
def test_missing_end_mark(asked: bool) -> None:  # noqa: FBT001 - a column
    """Where the provider sends no end mark, we do."""
    story = Story(asked=asked)
    story.feed(stop(), REPORT)
    expected = stop() + usage_chunk() if asked else with_usage(stop())
    assert expected + DONE == story.close(None)


def test_facts_are_asked_once() -> None:
    """Usage and block are made when the answer ends, with the usage that was reported."""
    story = Story(asked=True)
    story.feed(said("a"), stop(), REPORT)
    story.close()
    ((usage, error),) = story.told
    assert usage is not None
    assert (5, None) == (usage.output_tokens, error)


def test_incomplete() -> None:
    """Content, usage or nothing at all make no complete answer."""
    for frames in ([], [said("a")], [said("a"), REPORT], [MODERATION], [b": comment\n\n"]):
        story = Story(asked=True)
        story.feed(*frames)
        assert not story.tail.complete


def error_frame(left: bytes) -> dict[str, Any]:
    assert left.endswith(b"\n\n")
    assert 1 == left.count(b"\n\n")
    read = chunk_of(left)
    assert read is not None
    return read


def test_an_error_behind_the_finish_drops_the_held_frame() -> None:
    """An error is an error even behind a finish reason: the client sees no finish but `error`, and no end mark."""
    story = Story(asked=True)
    story.feed(said("a"), stop(), REPORT)
    read = error_frame(story.tail.broken(UpstreamError("overloaded", "too busy", code="E")))
    assert "error" == read["choices"][0]["finish_reason"]
    assert ("too busy", 503) == (read["error"]["message"], read["error"]["code"])
    assert ({"ours": 5}, {"request_id": "r"}) == (read["usage"], read["headgate"])
    assert ("c-1", "m") == (read["id"], read["model"])


def test_what_an_error_frame_reports_counts() -> None:
    """Usage that comes with the error is the usage so far."""
    story = Story(asked=False)
    story.feed(said("a"))
    (frame,) = story.reader.feed(event(b'"choices":[],"error":{"message":"x"},"usage":' + USAGE))
    story.tail.note(frame)
    assert {"ours": 5} == error_frame(story.tail.broken(UpstreamError("overloaded", "x")))["usage"]


def test_a_break_without_usage() -> None:
    """Before any report, the usage so far is the estimate."""
    story = Story(asked=False)
    story.feed(said("a"))
    assert {"estimated": True} == error_frame(story.tail.broken(UpstreamError("timeout", "late")))["usage"]
