"""OpenAI's chat completions on the provider's side: requests keep the client's bytes, answers are read leniently."""

from typing import Any

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.endpoints import Endpoint
from providers.registry import REGISTRY
from providers.types import Canonical, UpstreamError, Usage
from providers.upstreams.openai_chat.dialect import FINISH_REASONS, OpenAIChat, OutputLimit, read_usage
from tests.support.recordings import Recording, chat_answers, chat_streams, chunk_of, frames_of, parameters

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


# Members that a provider knows under another name, or not at all

HEAD = b'{"model":"up","messages":[{}]'


@pytest.mark.parametrize("own", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", b""),
        (b',"OWN": 5', b',"OWN": 5'),
        (b',"OTHER": 5,"x":1', b',"x":1,"OWN":5'),
        (b',"OWN":7,"OTHER":5', b',"OWN":7'),
        (b',"OTHER":5,"OWN":7', b',"OWN":7'),
        (b',"OTHER":5,"OWN": null', b',"OWN": 5'),
        (b',"OTHER":null,"OWN":7', b',"OWN":7'),
        (b',"OTHER":null', b""),
    ],
)
def test_the_name_of_the_output_limit(own: OutputLimit, sent: bytes, expected: bytes) -> None:
    """The limit of an answer goes under the provider's name for it, which wins when the client sent both."""
    other = {"max_tokens": b"max_completion_tokens", "max_completion_tokens": b"max_tokens"}[own]

    def spelled(members: bytes) -> bytes:
        return HEAD + members.replace(b"OWN", own.encode()).replace(b"OTHER", other) + b"}"

    assert spelled(expected) == encoded(spelled(sent), OpenAIChat(output_limit=own))
    assert spelled(sent) == encoded(spelled(sent))


def test_renamed_members_keep_their_spelling() -> None:
    """A value moves as the client wrote it, whatever it is."""
    dialect = OpenAIChat(renames=(("seed", "random_seed"),))
    deep = b"[" * 300 + b"]" * 300
    for value in (b"1.50", b'"\\u0041"', b"12345678901234567890", deep):
        assert HEAD + b',"random_seed":' + value + b"}" == encoded(
            HEAD + b',"seed" : ' + value + b"}", dialect
        )


REFUSING = OpenAIChat(
    refuses=frozenset(
        {"n", "logprobs", "top_logprobs", "logit_bias", "presence_penalty", "seed", "user", "store"}
    )
)


@pytest.mark.parametrize(
    ("member", "left_out", "lacks", "drops"),
    [
        (b'"temperature":0', False, (), ()),
        (b'"n":1', True, (), ()),
        (b'"n":null', True, (), ()),
        (b'"n":2', False, ("n",), ()),
        (b'"logprobs":false', True, (), ()),
        (b'"logprobs":true', False, ("logprobs",), ()),
        (b'"top_logprobs":0', True, (), ()),
        (b'"top_logprobs":3', False, ("top_logprobs",), ()),
        (b'"logit_bias":{}', True, (), ()),
        (b'"logit_bias":null', True, (), ()),
        (b'"logit_bias":{"50256":0}', True, (), ()),
        (b'"logit_bias":{"50256":-100}', False, ("logit_bias",), ()),
        (b'"presence_penalty":0', True, (), ()),
        (b'"presence_penalty":0.0', True, (), ()),
        (b'"presence_penalty":0.5', False, ("presence_penalty",), ()),
        (b'"seed":null', True, (), ()),
        (b'"seed":7', True, (), ("seed",)),
        (b'"user":"u"', True, (), ("user",)),
        (b'"store":false', True, (), ()),
        (b'"store":true', True, (), ("store",)),
    ],
)
def test_refused_members(
    member: bytes,
    left_out: bool,  # noqa: FBT001 - a column
    lacks: tuple[str, ...],
    drops: tuple[str, ...],
) -> None:
    """Refused is left out where the answer is the same without it; what the request needs is named, and sent."""
    body = HEAD + b"," + member + b"}"
    asked = request(body)
    assert (lacks, drops) == (REFUSING.lacks(asked), REFUSING.drops(asked))
    assert (HEAD + b"}" if left_out else body) == REFUSING.encode(asked, "up").body
    assert ((), ()) == (DIALECT.lacks(asked), DIALECT.drops(asked))
    assert body == DIALECT.encode(asked, "up").body == asked.raw


def test_refused_members_are_named_in_the_order_of_the_request() -> None:
    """The same request is always described the same way."""
    asked = request(HEAD + b',"user":"u","n":2,"seed":1,"logprobs":true}')
    assert (("n", "logprobs"), ("user", "seed")) == (REFUSING.lacks(asked), REFUSING.drops(asked))
    assert HEAD + b',"n":2,"logprobs":true}' == REFUSING.encode(asked, "up").body


def test_a_provider_that_refuses_stream_options() -> None:
    """They are left out, asked for or not."""
    body = HEAD + b',"stream":true,"stream_options":{"include_usage":true}}'
    assert HEAD + b',"stream":true}' == encoded(body, OpenAIChat(ask_for_usage=False))


def test_the_path_is_the_endpoints() -> None:
    """Path and query come from the endpoint, with the upstream's model in it."""
    dialect = OpenAIChat(endpoint=Endpoint(deployments=True, api_version="2024-10-21"))
    path = dialect.encode(request(HEAD + b"}"), "gpt 4/o").path
    assert "/openai/deployments/gpt%204%2Fo/chat/completions?api-version=2024-10-21" == path


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
    assert 21 == made.guessed_output_tokens


@pytest.mark.parametrize("recording", parameters(chat_answers()))
def test_recorded_answers(recording: Recording) -> None:
    """Every recorded plain answer can be read through its provider's entry, and leaves as it came."""
    made = recording.dialect.decode(recording.body)
    came = orjson.loads(recording.body)
    assert orjson.loads(made.raw) == made.members
    assert {**came, "choices": None} == {**made.members, "choices": None}
    reasons = {choice.get("finish_reason") for choice in came["choices"]}
    listed = any(isinstance(choice["message"].get("content"), list) for choice in came["choices"])
    assert listed == (recording.id == "mistral-chat_completions-unary-reasoning-991b3284-0")
    if reasons <= {*FINISH_REASONS, None} and not listed:
        assert recording.body == made.raw
    left = made.members["choices"]
    assert {choice.get("finish_reason") for choice in left} <= {*FINISH_REASONS, None}
    assert {str, type(None)} >= {type(choice["message"].get("content")) for choice in left}
    assert (came.get("usage") is None) == (made.usage is None)


@pytest.mark.parametrize("reason", ["error", "network_error"])
def test_decode_refuses_broken_answers(reason: str) -> None:
    """An answer that says it broke is a failure, not an answer."""
    body = orjson.dumps({"choices": [{"message": {"content": "x"}, "finish_reason": reason}]})
    with pytest.raises(UpstreamError) as failed:
        DIALECT.decode(body)
    assert "overloaded" == failed.value.kind


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
        ({"usage": {**COUNTS, "cost": {"total_cost": 0.006}}}, Usage(30, 12, provider_cost_usd=0.006)),
        ({"usage": {**COUNTS, "cost": {"input_tokens_cost": 0.006}}}, Usage(30, 12)),
        ({"usage": {**COUNTS, "cost": True}}, Usage(30, 12)),
        # A fee of OpenRouter's, and the bill of the provider whose key is one's own.
        (
            {
                "usage": {
                    **COUNTS,
                    "cost": 0.5,
                    "is_byok": True,
                    "cost_details": {"upstream_inference_cost": 8},
                }
            },
            Usage(30, 12, provider_cost_usd=8.5),
        ),
        (
            {
                "usage": {
                    **COUNTS,
                    "cost": 0.5,
                    "is_byok": False,
                    "cost_details": {"upstream_inference_cost": 8},
                }
            },
            Usage(30, 12, provider_cost_usd=0.5),
        ),
        ({"usage": {**COUNTS, "cost": 0.5, "is_byok": True}}, Usage(30, 12, provider_cost_usd=0.5)),
        # Ticks: ten thousand million make a dollar.
        ({"usage": {**COUNTS, "cost_in_usd_ticks": 37_756_000}}, Usage(30, 12, provider_cost_usd=0.0037756)),
        ({"usage": {**COUNTS, "cost_in_usd_ticks": 0}}, Usage(30, 12)),
        ({"usage": {**COUNTS, "cost_in_usd_ticks": None}}, Usage(30, 12)),
        # Parts that are in the total alone.
        (
            {"usage": {**COUNTS, "total_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 8}}},
            Usage(30, 20, reasoning_tokens=8),
        ),
        (
            {"usage": {**COUNTS, "total_tokens": 50, "prompt_tokens_details": {"audio_tokens": 8}}},
            Usage(38, 12),
        ),
        (
            {
                "usage": {
                    **COUNTS,
                    "total_tokens": 55,
                    "prompt_tokens_details": {"audio_tokens": 8},
                    "completion_tokens_details": {"reasoning_tokens": 5},
                }
            },
            Usage(38, 17, reasoning_tokens=5),
        ),
        (
            {"usage": {**COUNTS, "total_tokens": 49, "completion_tokens_details": {"reasoning_tokens": 8}}},
            Usage(30, 12, reasoning_tokens=8),
        ),
        ({"usage": {**COUNTS, "prompt_tokens_details": {"audio_tokens": 8}}}, Usage(30, 12)),
        ({"usage": {**COUNTS, "reasoning_tokens": 8}}, Usage(30, 12, reasoning_tokens=8)),
        # Cached parts under other names, and larger than the prompt.
        ({"usage": {**COUNTS, "cached_tokens": 16}}, Usage(30, 12, cache_read_tokens=16)),
        (
            {"usage": {**COUNTS, "cache_read_input_tokens": 16, "cache_creation_input_tokens": 4}},
            Usage(30, 12, cache_read_tokens=16, cache_write_tokens=4),
        ),
        (
            {
                "usage": {
                    **COUNTS,
                    "prompt_tokens_details": {"cached_tokens": 1, "cache_creation_input_tokens": 9},
                }
            },
            Usage(30, 12, cache_read_tokens=1, cache_write_tokens=9),
        ),
        (
            {"usage": {**COUNTS, "prompt_token_details": {"cached_tokens": 5}}},
            Usage(30, 12, cache_read_tokens=5),
        ),
        (
            {"usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 5}}},
            Usage(30, 12, cache_read_tokens=30),
        ),
        (
            {"usage": {**COUNTS, "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 25}}},
            Usage(30, 12, cache_read_tokens=20, cache_write_tokens=10),
        ),
        # In the choice that finishes.
        ({"choices": [{"finish_reason": "stop", "usage": COUNTS}]}, Usage(30, 12)),
        ({"choices": [{"usage": {"prompt_tokens": 1}}], "usage": COUNTS}, Usage(30, 12)),
        ({"choices": [{"usage": None}, 7]}, None),
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


# Recordings whose figures are not simply the two sums of the provider: whole prompt, whole answer, cached part.
UNUSUAL = {
    "azure-chat_completions-stream-tool-call-89365f6a-2": (347, 18, 347),
    "azure-chat_completions-stream-tool-result-89365f6a-3": (377, 69, 377),
    "azure-chat_completions-unary-json-mode-bc1222bd-0": (29, 6, 29),
    "azure-chat_completions-unary-tool-call-438f1057-0": (198, 18, 198),
    "azure-chat_completions-unary-tool-result-438f1057-1": (228, 42, 228),
    "mistral-chat_completions-unary-text-fc13404f-0": (386, 15, 9),
    "xai-chat_completions-stream-reasoning-d5d9e102-0": (28, 240, 6),
}


@pytest.mark.parametrize("recording", parameters([*chat_streams(), *chat_answers()]))
def test_recorded_usage(recording: Recording) -> None:
    """Every recorded figure adds up: prompt and answer to the total, fresh and cached parts to the prompt."""
    bodies = map(chunk_of, frames_of(recording.body)) if recording.stream else [orjson.loads(recording.body)]
    reports = [
        usage for members in bodies if members is not None and (usage := read_usage(members)) is not None
    ]
    for usage in reports:
        reported = usage.reported
        cached = (reported.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        plain = (reported["prompt_tokens"], reported["completion_tokens"], cached)
        expected = UNUSUAL.get(recording.id, plain)
        assert expected == (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens)
        assert reported["total_tokens"] == usage.input_tokens + usage.output_tokens
        assert 0 <= usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
    if recording.id in UNUSUAL:
        assert reports
