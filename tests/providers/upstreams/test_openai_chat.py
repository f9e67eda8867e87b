"""OpenAI's chat completions on the provider's side: requests keep the client's bytes, answers are read leniently."""

from typing import Any

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.registry import PLANNED, REGISTRY
from providers.types import Canonical, UpstreamError, Usage
from providers.upstreams.openai_chat import FINISH_REASONS, OpenAIChat, read_usage
from tests.support.recordings import (
    Recording,
    chat_answers,
    parameters,
)

DIALECT = OpenAIChat()
CLIENT = Client()


def request(body: bytes) -> Canonical:
    return CLIENT.parse(body)


def encoded(body: bytes, dialect: OpenAIChat = DIALECT, model: str = "up") -> bytes:
    return dialect.encode(request(body), model).body


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
    chosen = request(body)._replace(named=False)
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
    names = [name for name in Usage._fields if name != "reported"]
    assert [getattr(expected, name) for name in names] == [getattr(read, name) for name in names]
