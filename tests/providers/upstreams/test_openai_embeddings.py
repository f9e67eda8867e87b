"""OpenAI's embeddings as an upstream: bodies travel on as sent, answers are read leniently."""

from typing import Any

import orjson
import pytest

from providers.clients.openai_embeddings import OpenAIEmbeddings as Client
from providers.endpoints import Endpoint
from providers.types import Canonical, UpstreamError
from providers.upstreams.failures import OPENROUTER
from providers.upstreams.openai_embeddings import OpenAIEmbeddings

PLAIN = OpenAIEmbeddings()
ODD = OpenAIEmbeddings(refuses=frozenset({"user", "dimensions", "encoding_format", "service_tier"}))


def request(body: bytes) -> Canonical:
    return Client().parse(body)


def asking(**members: Any) -> Canonical:
    return request(orjson.dumps({"model": "public", "input": "x", **members}))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"public","input":"x"}', b'{"model":"up/stream","input":"x"}'),
        (
            b'{ "input" : [ 1 , 2.0, 3e0 ],\n\t"model" : "public" , "\\u0064imensions":8 }\n',
            b'{ "input" : [ 1 , 2.0, 3e0 ],\n\t"model" : "up/stream" , "\\u0064imensions":8 }\n',
        ),
        (
            (
                b'{"headgate":{"tags":["a"]},"model":"public","models":["b"],"input":["\\u00e9","\xc3\xa9"],'
                b'"provider":{"order":[]},"encoding_format":"base64","session_id":"s","user":"u"}'
            ),
            b'{"model":"up/stream","input":["\\u00e9","\xc3\xa9"],"encoding_format":"base64","user":"u"}',
        ),
        (
            b'{"model":"public","input":[{"model":"public","headgate":1}],"input_type":"query","usage":{}}',
            b'{"model":"up/stream","input":[{"model":"public","headgate":1}],"input_type":"query"}',
        ),
    ],
)
def test_the_body_travels_on(body: bytes, expected: bytes) -> None:
    """The model's name is replaced and members addressed to the gateway go; every other byte is as sent."""
    sent = PLAIN.encode(request(body), "up/stream")
    assert ("/embeddings", expected) == (sent.path, sent.body)


def test_openrouter_reads_some_members_itself() -> None:
    """They stay for it when a model was named, and go when a tier was asked for."""
    dialect = OpenAIEmbeddings(openrouter_members=True)
    said = asking(
        provider={"sort": "price"}, models=["a"], session_id="s", usage={"include": True}, headgate={}
    )
    named = orjson.loads(dialect.encode(said, "m").body)
    assert {"model", "input", "provider", "models", "session_id", "usage"} == set(named)
    chosen = orjson.loads(dialect.encode(said._replace(named=False), "m").body)
    assert {"model", "input"} == set(chosen)


def test_members_it_does_not_take() -> None:
    """Harmless ones are dropped and named in the order of the request; the others are what it lacks, and are sent."""
    said = asking(service_tier="flex", dimensions=8, user="u", encoding_format="base64")
    assert ("dimensions", "encoding_format") == ODD.lacks(said)
    assert ("service_tier", "user") == ODD.drops(said)
    assert {"model": "m", "input": "x", "dimensions": 8, "encoding_format": "base64"} == orjson.loads(
        ODD.encode(said, "m").body
    )
    assert ((), ()) == (PLAIN.lacks(said), PLAIN.drops(said))


def test_members_that_ask_for_nothing() -> None:
    """They are neither missed nor named, and left out all the same."""
    said = asking(dimensions=None, user=None, service_tier="auto")
    assert ((), ()) == (ODD.lacks(said), ODD.drops(said))
    assert {"model": "m", "input": "x"} == orjson.loads(ODD.encode(said, "m").body)


def test_encoding_changes_nothing() -> None:
    """The next attempt, at a provider that takes the member, gets it."""
    said = asking(user="u", headgate={"tags": []})
    raw, members = said.raw, orjson.loads(said.raw)
    ODD.encode(said, "first")
    assert (raw, members) == (said.raw, said.members)
    assert {"model": "second", "input": "x", "user": "u"} == orjson.loads(PLAIN.encode(said, "second").body)


def test_a_deployment_in_the_path() -> None:
    """As Azure wants it; the name is quoted."""
    dialect = OpenAIEmbeddings(endpoint=Endpoint(deployments=True, api_version="2024-10-21"))
    sent = dialect.encode(asking(), "my ada/2")
    assert "/openai/deployments/my%20ada%2F2/embeddings?api-version=2024-10-21" == sent.path


# Answers


def test_an_answer() -> None:
    """Its bytes, its members and its usage."""
    body = b'{"data":[{"embedding":[0.5],"index":0}],"usage":{"prompt_tokens":3,"total_tokens":3}}'
    completion = PLAIN.decode(body)
    assert body == completion.raw
    assert completion.usage is not None
    assert (3, 0, False) == (
        completion.usage.input_tokens,
        completion.usage.output_tokens,
        completion.usage.estimated,
    )


@pytest.mark.parametrize(
    "more", [b"", b',"usage":null', b',"usage":"none"', b',"usage":[]', b',"error":null', b',"data2":[]']
)
def test_an_answer_without_usage(more: bytes) -> None:
    """It is an answer; what it costs has to be estimated."""
    assert PLAIN.decode(b'{"data":[{"embedding":"AAAA"}]' + more + b"}").usage is None


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"7", b"{}", b'{"data":null}', b'{"data":{}}', b'{"data":[]}', b'{"data":[1]'],
)
def test_no_embeddings(body: bytes) -> None:
    """Under status 200 anything else is nonsense, and another backend may be asked."""
    with pytest.raises(UpstreamError) as wrong:
        PLAIN.decode(body)
    assert ("protocol", 0) == (wrong.value.kind, wrong.value.status)


@pytest.mark.parametrize(
    ("problem", "kind", "status"),
    [
        (b'{"message":"slow down","code":429}', "rate_limited", 429),
        (b'{"message":"down","code":503}', "overloaded", 503),
        (b'"too busy"', "overloaded", 0),
    ],
)
def test_an_error_under_status_200(problem: bytes, kind: str, status: int) -> None:
    """It is the failure it says it is, even beside data."""
    with pytest.raises(UpstreamError) as wrong:
        PLAIN.decode(b'{"error":' + problem + b',"data":[{"embedding":[1]}]}')
    assert (kind, status) == (wrong.value.kind, wrong.value.status)


def test_an_error_in_a_providers_own_words() -> None:
    """Rules of the provider count here as they do for chat."""
    problem = {"code": 402, "message": "busy", "metadata": {"limit_source": "openrouter_in_flight_budget"}}
    body = orjson.dumps({"error": problem})
    kinds: list[str] = []
    for dialect in (OpenAIEmbeddings(failures=OPENROUTER), PLAIN):
        with pytest.raises(UpstreamError) as wrong:
            dialect.decode(body)
        kinds.append(wrong.value.kind)
    assert ["rate_limited", "auth"] == kinds
