"""The end of an answer: what is held, what leaves, and in which order. One rule, one test."""

from typing import Any

import orjson
import pytest

from providers.types import UpstreamError
from tests.proxy.exchange.story import (
    BLOCK,
    DONE,
    ESTIMATE,
    MODERATION,
    OUR_USAGE,
    REPORT,
    USAGE,
    Story,
    choice,
    chunk,
    event,
    said,
    stop,
    usage_chunk,
    whole,
    with_usage,
)
from tests.support.recordings import chunk_of

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
