"""OpenAI's chat completions on the client's side: requests are read once, answers end in its words."""

from typing import Any

import orjson
import pytest

from providers import events
from providers.clients.openai_chat import DONE, OpenAIChat
from providers.types import Canonical, Completion, Frame, RequestError, UpstreamError, Usage
from providers.upstreams.openai_chat.dialect import OpenAIChat as Upstream
from tests.support.recordings import chunk_of

CLIENT = OpenAIChat()
CLOSER = CLIENT.closer()
MESSAGES = [{"role": "user", "content": "hello"}]


def parse(**members: Any) -> Canonical:
    return CLIENT.parse(orjson.dumps({"model": "gpt-5-mini", "messages": MESSAGES, **members}))


def refusal(body: bytes) -> tuple[str, str | None, str]:
    with pytest.raises(RequestError) as refused:
        CLIENT.parse(body)
    return refused.value.message, refused.value.param, refused.value.code


def frame(raw: bytes) -> Frame:
    return Upstream().inspect(raw)


def test_parse_reads_what_the_gateway_needs() -> None:
    """Known members are typed; the body itself is kept byte for byte."""
    body = (
        b'{ "model": "gpt-5-mini",\n "messages": [{"role": "user", "content": "hello"}], "stream": true,'
        b' "stream_options": {"include_usage": true}, "n": 2, "max_completion_tokens": 7, "vendor": {"x": 1} }'
    )
    read = CLIENT.parse(body)
    assert body == read.raw
    assert orjson.loads(body) == read.members
    assert ("gpt-5-mini", True, True, 2, 7, True) == (
        read.model,
        read.stream,
        read.usage_wanted,
        read.choices,
        read.output_limit_tokens,
        read.named,
    )
    assert list(read.members) == [member.name for member in read.layout]


def test_parse_defaults() -> None:
    """What is absent and what is null mean the same."""
    nulls = dict.fromkeys(
        ("stream", "stream_options", "n", "max_tokens", "max_completion_tokens"),
    )
    for read in (parse(), parse(**nulls)):
        assert (False, False, 1, None) == (
            read.stream,
            read.usage_wanted,
            read.choices,
            read.output_limit_tokens,
        )


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
    ],
)
def test_output_limit(members: dict[str, Any], expected: int) -> None:
    """The newer name of the output limit wins."""
    assert expected == parse(**members).output_limit_tokens


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"include_usage": False}, False),
        ({"include_usage": None}, False),
        ({"include_usage": True}, True),
    ],
)
def test_usage_wanted(options: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """A usage chunk is wanted only where the client says so."""
    assert expected == parse(stream=True, stream_options=options).usage_wanted


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty; a JSON object was expected"),
        (b" \n ", "the body is empty; a JSON object was expected"),
        (b"\xff{}", "the body is not valid UTF-8 (byte 0)"),
        (b'{"model": "\xe9"}', "the body is not valid UTF-8 (byte 11)"),
        (b"{", "the body is not valid JSON (line 1, column 2)"),
        (b'{\n"model": x}', "the body is not valid JSON (line 2, column 10)"),
        (b'{"model": NaN}', "the body is not valid JSON (line 1, column 11)"),
        (b'{"model": "\\ud800"}', "the body is not valid JSON (line 1, column 12)"),
        (b'{"a":' * 1100 + b"1" + b"}" * 1100, "the body is nested too deeply (more than 1,024 levels)"),
        (b"[]", "the body must be a JSON object"),
        (b'"model"', "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
    ],
)
def test_no_object(body: bytes, message: str) -> None:
    """A body that is no JSON object is refused, and the place of the mistake named."""
    assert (message, None, "invalid_request") == refusal(body)


@pytest.mark.parametrize(
    ("members", "message", "param"),
    [
        ({"model": None}, "`model` must name a model or a tier", "model"),
        ({"model": ""}, "`model` must name a model or a tier", "model"),
        ({"model": 5}, "`model` must name a model or a tier", "model"),
        ({"messages": None}, "`messages` must be a list with at least one message", "messages"),
        ({"messages": []}, "`messages` must be a list with at least one message", "messages"),
        ({"messages": {}}, "`messages` must be a list with at least one message", "messages"),
        ({"messages": [*MESSAGES, "x"]}, "`messages[1]` must be an object", "messages[1]"),
        ({"stream": "yes"}, "`stream` must be true or false", "stream"),
        ({"stream": 1}, "`stream` must be true or false", "stream"),
        ({"stream_options": []}, "`stream_options` must be an object", "stream_options"),
        ({"n": 0}, "`n` must be a whole number of at least 1", "n"),
        ({"n": True}, "`n` must be a whole number of at least 1", "n"),
        ({"n": 1.5}, "`n` must be a whole number of at least 1", "n"),
        ({"max_tokens": -1}, "`max_tokens` must be a whole number of at least 0", "max_tokens"),
        (
            {"max_completion_tokens": "9"},
            "`max_completion_tokens` must be a whole number of at least 0",
            "max_completion_tokens",
        ),
    ],
)
def test_wrong_members(members: dict[str, Any], message: str, param: str) -> None:
    """A member of the wrong kind is refused by name."""
    body = orjson.dumps({"model": "gpt-5-mini", "messages": MESSAGES, **members})
    assert (message, param, "invalid_request") == refusal(body)


@pytest.mark.parametrize("again", [b'"model"', b'"\\u006dodel"'])
def test_a_member_twice(again: bytes) -> None:
    """A name that occurs twice at the top level is refused, however it is spelled."""
    body = b'{"model":"a","messages":[{}],' + again + b':"b"}'
    message = 'the body names "model" twice at its top level; which one is meant?'
    assert (message, "model", "invalid_request") == refusal(body)


def test_deep_bodies_are_read() -> None:
    """A body that can be parsed is read, however deep it is."""
    deep = b"[" * 600 + b"]" * 600
    assert "a" == CLIENT.parse(b'{"model":"a","messages":[{"x":' + deep + b"}]}").model


def test_usage_json_keeps_what_was_reported() -> None:
    """The provider's own object stays, with what it lacks and what the answer cost here."""
    reported = {"prompt_tokens": 1, "total_tokens": 9, "queue_time": 0.5, "cost": 7, "cost_details": {"x": 1}}
    made = CLIENT.usage_json(Usage(10, 20, reported=reported), cost_usd=0.25, upstream_cost_usd=7.0)
    assert {
        "prompt_tokens": 1,
        "completion_tokens": 20,
        "total_tokens": 9,
        "queue_time": 0.5,
        "cost": 0.25,
        "cost_details": {"x": 1, "upstream_inference_cost": 7.0},
    } == orjson.loads(made)


def test_usage_json_of_an_estimate() -> None:
    """An estimate says so."""
    made = CLIENT.usage_json(Usage(10, 20, estimated=True), cost_usd=None, upstream_cost_usd=None)
    assert {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "cost": None,
        "cost_details": {"upstream_inference_cost": None},
        "estimated": True,
    } == orjson.loads(made)


def test_finish_edits_only_usage_and_block() -> None:
    """Spelling, white space and vendor members of a finish frame stay as they came."""
    start = b'data:  { "choices" : [ {"index":0,"delta":{},"finish_reason":"stop","x": [ 1 ] } ]'
    raw = start + b' , "usage" : {"a":1}, "v":1.50}\n\n'
    assert start + b', "v":1.50}\n\n' == CLOSER.finish(frame(raw), None, None)
    both = start + b' , "usage" : {"u":2}, "v":1.50,"headgate":{"r":1}}\n\n'
    assert both == CLOSER.finish(frame(raw), b'{"u":2}', b'{"r":1}')


def test_finish_without_usage_leaves_as_it_came() -> None:
    """A finish frame that needs no edit is not touched, `usage: null` included."""
    raw = b'data: {"choices":[{"index":0,"finish_reason":"stop"}],"usage":null}\n\n'
    assert raw is CLOSER.finish(frame(raw), None, None)


def test_usage_chunk_has_the_ids_of_its_answer() -> None:
    """A usage chunk made from a finish frame keeps ids and model, and has no choices."""
    base = frame(b'data: {"id":"c-1","model":"m","choices":[{"index":0,"finish_reason":"stop"}]}\r\n\r\n')
    made = CLOSER.usage(base, b'{"u":1}', b'{"r":2}')
    assert b'data: {"id":"c-1","model":"m","choices":[],"usage":{"u":1},"headgate":{"r":2}}\r\n\r\n' == made


def test_without_repeats() -> None:
    """Of a repeated finish frame nothing is left, unless it holds content or speaks of another choice too."""
    bare = frame(
        b'data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"a":1}}\n\n'
    )
    assert CLOSER.without_repeats(bare, [0]) is None
    speaking = frame(
        b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"a":1}}\n\n'
    )
    kept = CLOSER.without_repeats(speaking, [0])
    assert kept is not None
    assert b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n' == kept.raw
    assert () == kept.finished
    both = frame(
        b'data: {"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":"stop"}]}\n\n'
    )
    other = CLOSER.without_repeats(both, [0])
    assert other is not None
    assert b'data: {"choices":[{"index":1,"finish_reason":"stop"}]}\n\n' == other.raw
    assert (1,) == other.finished


def test_error_frame() -> None:
    """The one frame that ends a broken stream: ids of the answer, the provider's words, usage and block."""
    base = frame(
        b'data: {"id":"c-1","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    )
    error = UpstreamError("overloaded", "too busy", code="E7")
    made = CLOSER.error(error, 503, b'{"u":1}', b'{"r":2}', base)
    assert made.startswith(b"data: ")
    assert made.endswith(b"\n\n")
    assert {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        "error": {
            "code": 503,
            "message": "too busy",
            "type": "overloaded",
            "param": None,
            "source": "provider",
            "metadata": {"error_type": "overloaded", "provider_code": "E7"},
        },
        "usage": {"u": 1},
        "headgate": {"r": 2},
    } == chunk_of(made)


def test_error_frame_without_a_frame_before_it() -> None:
    """A stream that broke before anything could be read still ends in a whole frame."""
    made = chunk_of(CLOSER.error(UpstreamError("timeout", "late"), 504, b"null", b"{}", None))
    assert made is not None
    assert ("", "", 504) == (made["id"], made["model"], made["error"]["code"])


def test_done() -> None:
    """The provider's own end mark where it sent one, else ours."""
    own = Frame(b"data:[DONE]\r\n\r\n", marked=True, done=True)
    assert own.raw == CLOSER.done(own)
    assert b"data: [DONE]\n\n" == DONE == CLOSER.done(None)


def test_plain_answers_keep_their_bytes() -> None:
    """Usage is replaced in its place, the block is added, and nothing else changes."""
    raw = b'{ "id" : "c",\n "usage" : {"a": 1}, "choices": [ ] }\n'
    made = CLOSER.plain(Completion(raw, orjson.loads(raw), None), b'{"u":1}', b'{"r":2}')
    assert b'{ "id" : "c",\n "usage" : {"u":1}, "choices": [ ],"headgate":{"r":2} }\n' == made


def render(*said: events.Event) -> list[tuple[Frame, dict[str, Any]]]:
    renderer = CLIENT.renderer(answer_id="req-1", model="m", created_s=9)
    found = []
    for event in said:
        made = renderer.render(event)
        chunk = chunk_of(made.raw)
        assert chunk is not None
        assert made.raw == b"data: " + orjson.dumps(chunk) + b"\n\n"
        assert ("req-1", "chat.completion.chunk", 9, "m") == tuple(
            chunk[name] for name in ("id", "object", "created", "model")
        )
        found.append((made, chunk))
    return found


@pytest.mark.parametrize(
    ("event", "delta", "text_bytes"),
    [
        (events.Text(0, "hé"), {"content": "hé"}, 3),
        (events.Reasoning(0, "hm"), {"reasoning_content": "hm", "reasoning": "hm"}, 2),
        (events.Refusal(0, "no"), {"refusal": "no"}, 2),
        (
            events.ToolDelta(0, 1, "call_1", "add", ""),
            {
                "tool_calls": [
                    {
                        "index": 1,
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "add", "arguments": ""},
                    }
                ]
            },
            0,
        ),
        (
            events.ToolDelta(0, 1, "", "", '{"a"'),
            {"tool_calls": [{"index": 1, "function": {"arguments": '{"a"'}}]},
            4,
        ),
        (events.Opaque(0, "images", [1]), {"images": [1]}, 0),
    ],
)
def test_rendered_content(event: events.Event, delta: dict[str, Any], text_bytes: int) -> None:
    """Each event is one chunk; the first one of a choice names the role."""
    (first, first_chunk), (second, second_chunk) = render(event, event)
    assert [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": None, **delta},
            "logprobs": None,
            "finish_reason": None,
        }
    ] == (first_chunk["choices"])
    assert [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}] == second_chunk["choices"]
    for made in (first, second):
        assert (True, True, text_bytes, (0,), ()) == (
            made.marked,
            made.content,
            made.text_bytes,
            made.choices,
            made.finished,
        )


def test_rendered_roles_are_per_choice() -> None:
    """Each choice begins with its role."""
    (_, one), (_, two), (_, again) = render(events.Text(0, "a"), events.Text(1, "b"), events.Text(1, "c"))
    assert ["assistant", "assistant", None] == [
        chunk["choices"][0]["delta"].get("role") for chunk in (one, two, again)
    ]


def test_rendered_finish() -> None:
    """A finish reason is a chunk of its own; the provider's own word is added where it differs."""
    (made, chunk), (_, foreign) = render(
        events.Finish(2, "stop", "stop"), events.Finish(0, "length", "MAX_TOKENS")
    )
    assert ((2,), (2,), False) == (made.choices, made.finished, made.content)
    delta = {"role": "assistant", "content": None}
    assert [{"index": 2, "delta": delta, "logprobs": None, "finish_reason": "stop"}] == chunk["choices"]
    assert "MAX_TOKENS" == foreign["choices"][0]["native_finish_reason"]


def test_rendered_usage() -> None:
    """A usage report is a frame without choices, which the end of the answer uses."""
    usage = Usage(1, 2)
    ((made, chunk),) = render(events.UsageReport(usage))
    assert (usage, (), []) == (made.usage, made.choices, chunk["choices"])


def test_options_nested_too_deeply_are_refused() -> None:
    """What the gateway must write again, it must be able to write: an error of the client's, never of ours."""
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    with pytest.raises(RequestError) as refused:
        OpenAIChat().parse(
            b'{"model":"m","messages":[{}],"stream":true,"stream_options":{"x":' + deep + b"}}"
        )
    assert "stream_options" == refused.value.param


def test_what_cannot_be_written_is_a_failure() -> None:
    """Values nested more deeply than can be written end the answer; no other exception escapes."""
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    event = events.Opaque(0, "annotations", deep)
    frame = CLIENT.renderer(answer_id="r", model="m", created_s=1).render(event)
    assert frame.error is not None
    assert ("protocol", b"") == (frame.error.kind, frame.raw)
    with pytest.raises(UpstreamError, match="too deeply"):
        CLIENT.assemble([event], answer_id="r", model="m", created_s=1)
