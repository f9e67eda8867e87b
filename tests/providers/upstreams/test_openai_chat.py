"""OpenAI's chat completions on the provider's side: requests keep the client's bytes, answers are read leniently."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import Translation, open_reader
from providers.passthrough import Passthrough
from providers.registry import PLANNED, REGISTRY
from providers.types import Canonical, Frame, Unparsable, UpstreamError, Usage
from providers.upstreams.openai_chat import FINISH_REASONS, OpenAIChat, edit, read_usage
from tests.support.recordings import (
    Recording,
    chat_answers,
    chat_streams,
    chunk_of,
    frames_of,
    parameters,
)

DIALECT = OpenAIChat()
CLIENT = Client()


def request(body: bytes) -> Canonical:
    return CLIENT.parse(body)


def encoded(body: bytes, dialect: OpenAIChat = DIALECT, model: str = "up") -> bytes:
    return dialect.encode(request(body), model).body


def frame(chunk: Any) -> Frame:
    return DIALECT.inspect(b"data: " + orjson.dumps(chunk) + b"\n\n")


# Requests


def test_encode_replaces_the_model_and_nothing_else() -> None:
    """White space, order, spelling of numbers and unknown members travel on."""
    body = (
        b'{ "messages" : [ {"role":"user", "content":"\\u0068i"} ],\n'
        b'\t"model" : "public" , "temperature":1.50, "x":{"a":1,"a":2} }\n'
    )
    assert body.replace(b'"public"', b'"up"') == encoded(body)
    assert "/chat/completions" == DIALECT.encode(request(body), "up").path


def test_encode_may_run_again() -> None:
    """The next attempt starts from the same request."""
    asked = request(b'{"model":"public","messages":[{}],"headgate":{},"stream":true}')
    first = DIALECT.encode(asked, "one").body
    assert first.replace(b"one", b"two") == DIALECT.encode(asked, "two").body


def test_encode_spells_any_model() -> None:
    """A model's name is JSON, whatever is in it."""
    assert b'{"model":"a\\"b/\xc3\xa9","messages":[{}]}' == encoded(
        b'{"model":"x","messages":[{}]}', model='a"b/é'
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":null', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{}', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options": { "include_usage" : false }', b',"stream_options": {"include_usage":true}'),
        (b',"stream_options":{"x":1}', b',"stream_options":{"x":1,"include_usage":true}'),
        (b',"stream_options": { "include_usage" : true }', b',"stream_options": { "include_usage" : true }'),
    ],
)
def test_streams_are_always_asked_for_usage(options: bytes, expected: bytes) -> None:
    """A provider is asked for usage whether the client wants it or not."""
    head = b'{"model":"up","messages":[{}],"stream":true'
    assert head + expected + b"}" == encoded(head + options + b"}")


def test_plain_requests_are_not_asked_for_usage() -> None:
    """`stream_options` without `stream` would be refused by the provider."""
    body = b'{"model":"up","messages":[{}],"stream":false}'
    assert body == encoded(body)


def test_a_provider_that_knows_no_stream_options() -> None:
    """Where a provider cannot be asked, nothing is added."""
    body = b'{"model":"up","messages":[{}],"stream":true}'
    assert body == encoded(body, OpenAIChat(ask_for_usage=False))


GATEWAY = b'"headgate":{"tier":"x"},"models":["a"],"provider":{"order":[]},"session_id":"s"'


def test_gateway_members_are_removed() -> None:
    """Members addressed to the gateway stay here."""
    body = b'{"model":"up",' + GATEWAY + b',"messages":[{}],"usage":{"include":true},"metadata":{}}'
    assert b'{"model":"up","messages":[{}],"metadata":{}}' == encoded(body)


def test_openrouter_keeps_its_own_when_named() -> None:
    """OpenRouter reads four of these words itself, when the client named the model."""
    openrouter = REGISTRY["openrouter"].dialect
    assert isinstance(openrouter, OpenAIChat)
    body = b'{"model":"up",' + GATEWAY + b',"messages":[{}],"usage":{"include":true}}'
    named = (
        b'{"model":"up","models":["a"],"provider":{"order":[]},'
        b'"session_id":"s","messages":[{}],"usage":{"include":true}}'
    )
    assert named == encoded(body, openrouter)
    chosen = Canonical(
        **{name: getattr(request(body), name) for name in Canonical.__slots__} | {"named": False}
    )
    assert b'{"model":"up","messages":[{}]}' == openrouter.encode(chosen, "up").body


@pytest.mark.parametrize("value", [b"null", b"true", b'"x"'])
def test_usage_that_is_no_switch_travels_on(value: bytes) -> None:
    """Only OpenRouter's own object is taken for its switch; what else is called so is the provider's to judge."""
    body = b'{"model":"up","messages":[{}],"usage":' + value + b"}"
    assert body == encoded(body)


def test_registry() -> None:
    """Each adapter is found under its name, has a dialect, and is not also announced as missing."""
    assert {"openai", "groq", "openrouter", "ollama", "vllm", "sandbox"} <= REGISTRY.keys()
    for name, adapter in REGISTRY.items():
        assert name == adapter.name
        assert name not in PLANNED
        assert adapter.base_url is None or not adapter.base_url.endswith("/")
        assert all(header == header.lower() for header in adapter.forward_headers)


# Plain answers


def test_decode() -> None:
    """A plain answer is kept as it came, with its usage read."""
    body = (
        b'{ "choices": [{"message": {"content": "hi"}, '
        b'"finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}'
    )
    made = DIALECT.decode(body)
    assert (body, Usage(3, 2, reported={"prompt_tokens": 3, "completion_tokens": 2})) == (
        made.raw,
        made.usage,
    )


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", "protocol", "the provider's answer is not JSON"),
        (b"<html>", "protocol", "the provider's answer is not JSON"),
        (b"[]", "protocol", "the provider's answer has no choices"),
        (b"{}", "protocol", "the provider's answer has no choices"),
        (b'{"choices":null}', "protocol", "the provider's answer has no choices"),
        (b'{"error":{"message":"busy","code":503},"choices":[]}', "overloaded", "busy"),
        (b'{"error":"busy"}', "overloaded", "busy"),
    ],
)
def test_decode_refuses(body: bytes, kind: str, message: str) -> None:
    """What is no answer is a failure, an error under status 200 included."""
    with pytest.raises(UpstreamError) as failed:
        DIALECT.decode(body)
    assert (kind, message) == (failed.value.kind, failed.value.message)


def test_decode_maps_foreign_finish_reasons() -> None:
    """A finish reason outside OpenAI's set is mapped, and the original kept."""
    made = DIALECT.decode(b'{"id":"x", "choices":[{"index":0,"finish_reason":"model_length"}]}')
    assert (
        b'{"id":"x", "choices":[{"index":0,"finish_reason":"length","native_finish_reason":"model_length"}]}'
        == made.raw
    )


def test_estimate_of_a_plain_answer() -> None:
    """Without usage, four bytes of text make a token."""
    made = DIALECT.decode(
        orjson.dumps({"choices": [{"message": {"content": "x" * 40}}, {"message": {"reasoning": "y" * 40}}]})
    )
    assert made.usage is None
    assert 21 == DIALECT.estimated_output_tokens(made)


@pytest.mark.parametrize("recording", parameters(chat_answers()))
def test_recorded_answers(recording: Recording) -> None:
    """Every recorded plain answer can be read, and leaves as it came."""
    made = DIALECT.decode(recording.body)
    reasons = {choice.get("finish_reason") for choice in orjson.loads(recording.body)["choices"]}
    if reasons <= {*FINISH_REASONS, None}:
        assert recording.body == made.raw
    assert {choice.get("finish_reason") for choice in orjson.loads(made.raw)["choices"]} <= {
        *FINISH_REASONS,
        None,
    }
    reported = orjson.loads(recording.body).get("usage")
    assert (reported is None) == (made.usage is None)
    if made.usage is not None:
        assert reported == made.usage.reported
        assert (reported["prompt_tokens"], reported["completion_tokens"]) == (
            made.usage.input_tokens,
            made.usage.output_tokens,
        )


# Usage

COUNTS = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, None),
        ({"usage": None}, None),
        ({"usage": "many"}, None),
        ({"usage": COUNTS}, Usage(30, 12)),
        (
            {"usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": 20}}},
            Usage(30, 12, cache_read_tokens=20),
        ),
        (
            {"usage": {**COUNTS, "prompt_tokens_details": {"cache_write_tokens": 9}}},
            Usage(30, 12, cache_write_tokens=9),
        ),
        (
            {"usage": {**COUNTS, "completion_tokens_details": {"reasoning_tokens": 8}}},
            Usage(30, 12, reasoning_tokens=8),
        ),
        (
            {"usage": {**COUNTS, "prompt_tokens_details": None, "completion_tokens_details": None}},
            Usage(30, 12),
        ),
        ({"usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": None}}}, Usage(30, 12)),
        (
            {"usage": {**COUNTS, "prompt_cache_hit_tokens": 16, "prompt_cache_miss_tokens": 14}},
            Usage(30, 12, cache_read_tokens=16),
        ),
        ({"usage": {**COUNTS, "cost": 0.25}}, Usage(30, 12, provider_cost_usd=0.25)),
        ({"usage": {**COUNTS, "cost": 0}}, Usage(30, 12, provider_cost_usd=0.0)),
        ({"usage": {**COUNTS, "cost": None}}, Usage(30, 12)),
        ({"usage": {**COUNTS, "cost": {"total_cost": 0.006}}}, Usage(30, 12)),
        ({"usage": {"prompt_tokens": 30}}, Usage(30, 0)),
        ({"usage": {"prompt_tokens": None, "completion_tokens": -1}}, Usage(0, 0)),
        ({"x_groq": {"usage": COUNTS}}, Usage(30, 12)),
        ({"usage": None, "x_groq": {"usage": COUNTS}}, Usage(30, 12)),
        ({"usage": COUNTS, "x_groq": {"usage": {"prompt_tokens": 1}}}, Usage(30, 12)),
        ({"x_groq": {"id": "r"}}, None),
        ({"x_groq": None}, None),
    ],
)
def test_usage(members: dict[str, Any], expected: Usage | None) -> None:
    """Usage is found in each place this family puts it; null and missing mean the same."""
    read = read_usage(members)
    if expected is None or read is None:
        assert expected == read
        return
    names = [name for name in Usage.__slots__ if name != "reported"]
    assert [getattr(expected, name) for name in names] == [getattr(read, name) for name in names]


# Frames


def test_inspect_content() -> None:
    """What counts as content, and how much of it is text."""
    cases: list[tuple[dict[str, Any], bool, int]] = [
        ({"role": "assistant"}, False, 0),
        ({"role": "assistant", "content": ""}, False, 0),
        ({"content": None}, False, 0),
        ({"content": "hé"}, True, 3),
        ({"content": [{"type": "text", "text": "x"}]}, True, 0),
        ({"content": []}, False, 0),
        ({"reasoning_content": "abc"}, True, 3),
        ({"reasoning": "abc"}, True, 3),
        ({"reasoning": "abc", "reasoning_content": "abc"}, True, 3),
        ({"reasoning_details": [{"type": "reasoning.encrypted"}]}, True, 0),
        ({"reasoning_details": []}, False, 0),
        ({"refusal": "no"}, True, 2),
        ({"tool_calls": [{"index": 0}]}, True, 0),
        ({"tool_calls": []}, False, 0),
        ({"function_call": {"name": "x"}}, True, 0),
        ({"audio": {"data": "x"}}, True, 0),
        ({"images": [{}]}, True, 0),
    ]
    for delta, content, text_bytes in cases:
        read = frame({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        assert (content, text_bytes, True, (0,), ()) == (
            read.content,
            read.text_bytes,
            read.marked,
            read.choices,
            read.finished,
        ), delta


def test_inspect_choices() -> None:
    """A frame says whose it is and who finished; a missing index is the first."""
    read = frame(
        {
            "choices": [
                {"index": 2, "finish_reason": "stop"},
                {"finish_reason": None},
                {"index": None, "delta": None},
            ]
        }
    )
    assert ((2, 0, 0), (2,)) == (read.choices, read.finished)


@pytest.mark.parametrize(
    "raw", [b": c\n\n", b"\n", b"event: ping\n\n", b"data:\n\n", b"data:  \n\n", b"id: 1\r\n\r\n"]
)
def test_frames_without_data(raw: bytes) -> None:
    """Comments and empty frames are unremarkable."""
    read = DIALECT.inspect(raw)
    assert (raw, False, False) == (read.raw, read.marked, read.done)


@pytest.mark.parametrize(
    "raw", [b"data: [DONE]\n\n", b"data:[DONE]\r\n\r\n", b"data:  [DONE] \n\n", b"event: x\ndata: [DONE]\n\n"]
)
def test_end_mark(raw: bytes) -> None:
    """The end mark, as its spellings go."""
    read = DIALECT.inspect(raw)
    assert (raw, True, True) == (read.raw, read.marked, read.done)


@pytest.mark.parametrize("data", [b"{", b"[]", b"5", b"null", b"[DONE", b"{} {}", b"\xff"])
def test_unparsable_frames(data: bytes) -> None:
    """Data that is no JSON object is told from data that is."""
    with pytest.raises(Unparsable):
        DIALECT.inspect(b"data: " + data + b"\n\n")


def test_error_members() -> None:
    """An error inside the stream is read, whatever stands beside it; what it reports as usage counts."""
    read = frame({"error": {"message": "busy", "code": 503}, "choices": [{"index": 0}], "usage": COUNTS})
    assert read.error is not None
    assert ("overloaded", "busy") == (read.error.kind, read.error.message)
    assert read.usage is not None
    assert 30 == read.usage.input_tokens
    assert frame({"error": None, "choices": []}).error is None


def test_error_as_finish_reason() -> None:
    """`finish_reason: "error"` is an error, not an answer."""
    read = frame({"choices": [{"index": 0, "finish_reason": "error"}]})
    assert read.error is not None
    assert "overloaded" == read.error.kind


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("insufficient_system_resource", "length"),
        ("tool_use", "tool_calls"),
        ("tool_call", "tool_calls"),
        ("sensitive", "content_filter"),
        ("something_new", "stop"),
        (7, "stop"),
    ],
)
def test_finish_reasons_are_mapped(native: Any, expected: str) -> None:
    """A finish reason outside OpenAI's set is mapped, the original beside it, and no other byte changes."""
    spelled = orjson.dumps(native)
    read = DIALECT.inspect(
        b'data: { "x" : 1.0, "choices": [ {"index":0,"finish_reason":' + spelled + b"} ] }\n\n"
    )
    assert (
        b'data: { "x" : 1.0, "choices": [{"index":0,"finish_reason":"'
        + expected.encode()
        + b'","native_finish_reason":'
        + spelled
        + b"}] }\n\n"
        == read.raw
    )
    assert (0,) == read.finished


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "function_call"])
def test_known_finish_reasons_stay(reason: str) -> None:
    """OpenAI's own finish reasons leave as they came."""
    raw = (
        b'data: {"choices":[ {"index":0,"finish_reason":"'
        + reason.encode()
        + b'","native_finish_reason":"X"}]}\n\n'
    )
    assert raw == DIALECT.inspect(raw).raw


def test_an_edit_of_several_data_lines() -> None:
    """A payload over several lines comes back on one, whole."""
    raw = b'data: {"choices":\ndata: [],"usage":{"a":1}}\n\n'
    assert {"choices": [], "usage": {"b": 2}} == chunk_of(
        edit(raw, chunk_of(raw) or {}, {"usage": b'{"b":2}'})
    )


# The byte search

QUIET = (
    b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}],"usage":null}\n\n',
    b'data: {"choices":[{"delta":{"content":"x"},"finish_reason": null}],"usage" : null}\n\n',
    b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"\\"finish_reason\\": \\"stop\\""},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"\\"usage\\": {"},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"finish_reason usage error DONE"},"finish_reason":\tnull}]}\n\n',
    b": OPENROUTER PROCESSING\n\n",
    b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null,"native_finish_reason":null}]}\r\n\r\n',
)
LOUD = (
    b'data: {"choices":[{"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[{"finish_reason" :\n "stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
    b'data: {"choices":[],"usage" : { "prompt_tokens":1}}\n\n',
    b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":1}}}\n\n',
    b'data: {"error":{"message":"x"}}\n\n',
    b'data: {"error" : "x"}\n\n',
    b"data: [DONE]\n\n",
    b"data:[DONE]\n\n",
    b"data:  [DONE]\n\n",
)


@pytest.mark.parametrize("run", QUIET)
def test_quiet_runs(run: bytes) -> None:
    """Nothing is parsed for words inside the content, for nulls, or for spaces around a colon."""
    assert DIALECT.quiet(run)


@pytest.mark.parametrize("run", LOUD)
def test_loud_runs(run: bytes) -> None:
    """Finish reasons, usage, errors and end marks are seen, alone or among quiet frames."""
    assert not DIALECT.quiet(run)
    before = b"".join(QUIET)
    mark = DIALECT.first_mark(before + run + before, 0)
    assert len(before) <= mark < len(before + run)
    assert -1 == DIALECT.first_mark(before + run + before, len(before + run))


@given(st.lists(st.sampled_from((*QUIET, *LOUD)), min_size=1, max_size=6))
def test_the_search_misses_nothing(frames: list[bytes]) -> None:
    """A run is quiet only when reading each of its frames would find nothing to act on."""
    if DIALECT.quiet(b"".join(frames)):
        for raw in frames:
            read = DIALECT.inspect(raw)
            assert [False, (), None, None] == [read.done, read.finished, read.usage, read.error]


# Anything at all

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["index", "delta", "message", "finish_reason", "native_finish_reason", "content", "reasoning", "reasoning_content",
     "refusal", "tool_calls", "function", "arguments", "name", "id", "audio", "usage", "prompt_tokens", "cost",
     "prompt_tokens_details", "cached_tokens", "choices", "error", "code", "type", "x_groq", "cost_details"]
)  # fmt: skip
shaped = st.recursive(
    junk, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
chunks = st.dictionaries(names, shaped, max_size=4) | st.fixed_dictionaries(
    {"choices": st.lists(st.dictionaries(names, shaped, max_size=4), max_size=2)},
    optional={"usage": shaped, "error": shaped},
)


@given(chunks)
def test_any_chunk_can_be_read(chunk: dict[str, Any]) -> None:
    """A chunk of any shape is read or refused; no other exception escapes, on either way through."""
    raw = b"data: " + orjson.dumps(chunk) + b"\n\n"
    for many in (False, True):
        found = Passthrough(DIALECT, many_choices=many).feed(raw)
        assert 1 == len(found)
        if found[0].usage is not None:
            CLIENT.usage_json(found[0].usage, cost_usd=None, upstream_cost_usd=None)
    with contextlib.suppress(UpstreamError):
        DIALECT.decoder().feed(raw)


@given(chunks | junk)
def test_any_answer_can_be_read(answer: Any) -> None:
    """A plain answer of any shape is read or refused; no other exception escapes."""
    with contextlib.suppress(UpstreamError):
        made = DIALECT.decode(orjson.dumps(answer))
        DIALECT.estimated_output_tokens(made)
        CLIENT.closer().plain(made, b"{}", b"{}")


# Events


def merged(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client makes of a stream: everything said, joined by choice."""
    said: dict[str, Any] = {"usage": None, "choices": {}}
    for chunk in chunks:
        if (usage := read_usage(chunk)) is not None:
            said["usage"] = usage
        for choice in chunk.get("choices") or ():
            mine = said["choices"].setdefault(
                choice.get("index", 0),
                {"text": "", "reasoning": "", "refusal": "", "parts": [], "calls": {}, "finish": set()},
            )
            delta = choice.get("delta") or {}
            content = delta.get("content")
            if isinstance(content, list):
                mine["parts"] += content
            else:
                mine["text"] += content or ""
            mine["reasoning"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
            mine["refusal"] += delta.get("refusal") or ""
            for position, call in enumerate(delta.get("tool_calls") or ()):
                known = mine["calls"].setdefault(
                    call.get("index", position), {"id": "", "name": "", "arguments": ""}
                )
                known["id"] = known["id"] or call.get("id") or ""
                known["name"] += call["function"].get("name") or ""
                known["arguments"] += call["function"].get("arguments") or ""
            if choice.get("finish_reason"):
                mine["finish"].add(choice["finish_reason"])
    return said


@pytest.mark.parametrize("recording", parameters(chat_streams()))
def test_decoded_and_rendered_again(recording: Recording) -> None:
    """Decoded to events and rendered for an OpenAI client, a stream says the same as its own frames do."""
    read: list[dict[str, Any]] = []
    broken = False
    for raw in frames_of(recording.body):
        chunk = chunk_of(raw)
        if chunk is not None and chunk.get("error"):
            broken = True
            break
        if chunk is not None:
            read.append(chunk)
    renderer = CLIENT.renderer(answer_id="req-1", model="m", created_s=1)
    translation = Translation(DIALECT.decoder(), renderer)
    made = [*translation.feed(recording.body), *translation.close()]
    if broken:
        assert any(each.error is not None for each in made)
        return
    assert [] == [each.error for each in made if each.error is not None]
    rendered = [chunk for each in made if (chunk := chunk_of(each.raw)) is not None]
    again, direct = merged(rendered), merged(read)
    assert direct["choices"] == again["choices"]
    usages = [each.usage for each in made if each.usage is not None]
    assert direct["usage"] == (usages[-1] if usages else None)


@pytest.mark.parametrize("recording", parameters(chat_streams()))
def test_decoder_does_not_depend_on_cuts(recording: Recording) -> None:
    """Events are the same whole and in pieces of seven bytes."""

    def events(size: int) -> list[Any]:
        decoder = DIALECT.decoder()
        found: list[Any] = []
        try:
            for start in range(0, len(recording.body), size):
                found += decoder.feed(recording.body[start : start + size])
            found += decoder.close()
        except UpstreamError as error:
            return [(error.kind, error.message)]
        return found

    assert events(len(recording.body)) == events(7)


SAID = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
MODERATED = b'data: {"choices":[{"index":0,"delta":{},"content_filter_results":{}}]}\n\n'
LATE_USAGE = b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}\n\n'
OTHER = b'data: {"choices":[{"index":1,"delta":{"content":"y"}}]}\n\n'


@pytest.mark.parametrize(
    ("stream", "whole"),
    [
        (SAID + STOP, True),
        (STOP, True),
        (SAID + STOP + MODERATED, True),
        (SAID + STOP + LATE_USAGE, True),
        (SAID + STOP.rstrip(), True),
        (SAID, False),
        (b"", False),
        (b": comment\n\n", False),
        (SAID + STOP[:-9], False),
        (SAID + STOP + OTHER, False),
        (SAID + b"data: [DONE]\n\n", False),
    ],
)
def test_decoder_knows_a_cut_stream(stream: bytes, whole: bool) -> None:  # noqa: FBT001 - a column
    """A stream is whole when each choice seen has finished; a choice that finished stays finished."""
    decoder = DIALECT.decoder()
    decoder.feed(stream)
    if whole:
        decoder.close()
        return
    with pytest.raises(UpstreamError) as failed:
        decoder.close()
    assert "protocol" == failed.value.kind


def test_readers() -> None:
    """The same dialect on both sides passes through; another one is translated."""

    class Foreign(Client):
        speaks = "other"  # type: ignore[misc]  # a dialect of the test's own

    def reader(client: Client) -> object:
        return open_reader(DIALECT, client, many_choices=False, answer_id="r", model="m", created_s=1)

    assert isinstance(reader(CLIENT), Passthrough)
    assert isinstance(reader(Foreign()), Translation)
