"""Providers that speak other dialects, as others wrote them: aimock as each, the openai package as the client.

    make setup && .venv/bin/pytest tests/clients/aimock

Also part of `make test-clients`. Needs Node 20, and npm to fetch what `package-lock.json` names, once; without them the
tests are skipped. The answers are in `dialects.json`. What aimock made of a request stands in its journal, which hides
credentials: those are read on the way there.
"""

import hmac
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, unquote

import openai
import orjson
import pytest

from tests.clients.aimock.dialects import PROVIDERS, WAYS, Place, Said, Sent, dialects, key_of
from tests.support.asking import sandbox_model

HELLO: Final = "A lock-keeper opens the upper gate. Schöne Grüße, 你好 🚀."
WHOLE: Final = "A lock-keeper opens the upper gate, waits until the levels agree, and lets the boat leave."
CREDENTIALS: Final = {"authorization", "x-api-key", "x-goog-api-key", "api-key"}
NEXT: Final = dict(zip(PROVIDERS, (*list(PROVIDERS)[1:], next(iter(PROVIDERS))), strict=True))

# Fault -> outcome and status of the attempt; what a client gets when there is no other backend, its `retry-after`, and
# how many tries.
FAULTS: Final[dict[str, tuple[str, int, int, str | None, int]]] = {
    "full": ("rate_limited", 429, 429, "7", 1),
    "overloaded": ("overloaded", 529, 503, None, 2),
    "refused": ("auth", 401, 502, None, 1),
}
CUTS: Final = ("cut", "gone")
# aimock has no batches of Gemini's, no predictions of Vertex AI's, no models of embeddings on Bedrock.
EMBEDDINGS: Final = ("cohere", "openai-responses", "azure", "ollama", "openrouter")
# As Cohere, aimock says reasoning in blocks of text.
REASONING: Final = tuple(name for name in PROVIDERS if name != "cohere")
# What a provider that signs or encrypts reasoning wants to see again, as aimock makes it up.
SIGNED: Final = {
    "anthropic": b'"signature":"aimock-placeholder-signature"',
    "openai-responses": b'"encrypted_content":"',
}

WEATHER: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "units": {"type": "string"}},
            "required": ["city"],
        },
    },
}
SUMS: Final[list[dict[str, Any]]] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            },
        },
    }
    for name in ("add", "multiply")
]
PERSON: Final[dict[str, Any]] = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age_in_years": {"type": "integer"}},
            "required": ["name", "age_in_years"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """By name a provider that is well, `<name>-<fault>` one that fails, `<name>-<fault>-then` also the next one."""
    models = [sandbox_model(name, (name, provider.model)) for name, provider in PROVIDERS.items()]
    models += [sandbox_model(f"embed-{name}", (name, "text-embedding-3-small")) for name in EMBEDDINGS]
    for name, then in NEXT.items():
        second = (then, PROVIDERS[then].model)
        models += [sandbox_model(f"{name}-{fault}", (f"bad-{name}", fault)) for fault in FAULTS]
        models += [
            sandbox_model(f"{name}-{fault}-then", (f"bad-{name}", fault), second)
            for fault in (*FAULTS, *CUTS)
        ]
    with dialects(tmp_path_factory.mktemp("dialects"), models) as found:
        yield found


every_way = pytest.mark.parametrize("way", WAYS)
every_dialect = pytest.mark.parametrize("name", PROVIDERS)


def asks(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def check(said: Said, finish: str, tokens: tuple[int, int] | None = None) -> None:
    """One answer with one end, and the usage that aimock was told to report."""
    assert ([finish], 1, [("ok", 200)]) == (said.finishes, len(said.ids), said.attempts)
    if tokens is not None:
        usage = said.usage
        assert (*tokens, sum(tokens)) == (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        assert (tokens[0] + 2 * tokens[1]) / 1_000_000 == usage.cost


@every_way
@every_dialect
def test_text(place: Place, name: str, way: str) -> None:
    """Words, end, usage and cost; the provider is asked what the client asked."""
    messages = [{"role": "system", "content": "Be brief."}, asks("hello there")]
    said = place.ask(way, name, messages, temperature=0.5, max_completion_tokens=50)
    assert (HELLO, [], name) == (said.text, said.calls, said.provider)
    check(said, "stop", (11, 7))
    read = place.journal()
    body = read["body"]
    path = PROVIDERS[name].paths[WAYS.index(way)]
    assert (path, PROVIDERS[name].model) == (unquote(read["path"]), unquote(body["model"]))
    assert messages == body["messages"]
    limit = body.get("max_tokens", body.get("max_completion_tokens"))
    assert (0.5, 50, way == "streamed") == (body["temperature"], limit, body.get("stream", False))


@every_way
@every_dialect
def test_credentials(place: Place, name: str, way: str) -> None:
    """In one header, the one that the provider wants, and nowhere else; the customer's key never leaves."""
    provider = PROVIDERS[name]
    place.ask(way, name, [asks("hello there")])
    sent = place.sent(provider.paths[WAYS.index(way)])
    header, start = provider.credential or (None, "")
    assert ({header} if header else set()) == CREDENTIALS & set(sent.headers)
    everything = sent.head + sent.body
    assert place.gateway.key.encode() not in everything
    if name == "bedrock":
        assert sent.headers["authorization"].startswith(start)
        check_signature(sent, key_of(name))
        assert key_of(name).encode() not in everything
    elif header is not None:
        assert start == sent.headers[header]
        assert 1 == everything.count(key_of(name).encode())


def check_signature(sent: Sent, secret: str) -> None:
    """AWS's signature, version 4, of what arrived: nothing may write the path otherwise once it is signed."""
    words = sent.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    told = dict(word.split("=", 1) for word in words)
    _, day, *scope = told["Credential"].split("/")
    assert ["eu-west-1", "bedrock", "aws4_request"] == scope
    names = told["SignedHeaders"].split(";")
    assert {"host", "x-amz-date"} <= set(names)
    lines = [f"{name}:{sent.headers[name]}" for name in names]
    canonical = [
        "POST", quote(sent.target), "", *lines, "", told["SignedHeaders"], sha256(sent.body).hexdigest()
    ]  # fmt: skip
    date, key = sent.headers["x-amz-date"], f"AWS4{secret}".encode()
    signed = [
        "AWS4-HMAC-SHA256", date, "/".join((day, *scope)), sha256("\n".join(canonical).encode()).hexdigest()
    ]  # fmt: skip
    for word in (day, *scope):
        key = hmac.digest(key, word.encode(), "sha256")
    assert hmac.digest(key, "\n".join(signed).encode(), "sha256").hex() == told["Signature"]


@every_way
@every_dialect
def test_a_tool_is_called_and_answers(place: Place, name: str, way: str) -> None:
    """The call comes with its arguments whole; its result goes back to it."""
    talk: list[Any] = [asks("weather, please")]
    said = place.ask(way, name, talk, tools=[WEATHER])
    assert [("get_weather", {"city": "München", "units": "c"})] == said.parsed_calls
    assert "" == said.text
    check(said, "tool_calls", (21, 9))
    assert ["get_weather"] == [tool["function"]["name"] for tool in place.journal()["body"]["tools"]]
    talk += [_calling(said), _result(said, 0, "21 degrees")]
    assert "It is 21 degrees in München." == place.ask(way, name, talk, tools=[WEATHER]).text
    check_results(place.journal()["body"]["messages"], said, ["21 degrees"])


@every_way
@every_dialect
def test_two_tools_are_called_at_once(place: Place, name: str, way: str) -> None:
    """Each call keeps its id, its name and its arguments, and each gets its own result."""
    talk: list[Any] = [asks("sums, please")]
    said = place.ask(way, name, talk, tools=SUMS)
    operands = {"a": 2, "b": 3}
    assert [("add", operands), ("multiply", operands)] == said.parsed_calls
    assert 2 == len({identity for identity, *_ in said.calls})
    check(said, "tool_calls", (31, 19))
    talk += [_calling(said), _result(said, 0, "five"), _result(said, 1, "six")]
    assert "Five and six." == place.ask(way, name, talk, tools=SUMS).text
    check_results(place.journal()["body"]["messages"], said, ["five", "six"])


def _calling(said: Said) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
            for identity, name, arguments in said.calls
        ],
    }


def _result(said: Said, index: int, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": said.calls[index][0], "content": text}


def check_results(read: list[Any], said: Said, results: list[str]) -> None:
    """The calls and then the results, in order, as aimock read them: joined by ids, whatever these are there."""
    calls = [call for message in read for call in message.get("tool_calls") or ()]
    found = [(call["function"]["name"], orjson.loads(call["function"]["arguments"])) for call in calls]
    assert said.parsed_calls == found
    answers = [message for message in read if message["role"] == "tool"]
    assert [call["id"] for call in calls] == [message["tool_call_id"] for message in answers]
    for expected, message in zip(results, answers, strict=True):
        # Google wants an object.
        assert message["content"] in (expected, orjson.dumps({"result": expected}).decode())


@every_way
@every_dialect
def test_words_before_a_call(place: Place, name: str, way: str) -> None:
    """Both arrive."""
    said = place.ask(way, name, [asks("words and a call")], tools=[WEATHER])
    assert ("Let me look.", [("get_weather", {"city": "Zürich"})]) == (said.text, said.parsed_calls)
    check(said, "tool_calls")


@every_way
@every_dialect
def test_structured_output(place: Place, name: str, way: str) -> None:
    """The schema reaches the provider, and its answer is text that holds JSON."""
    said = place.ask(way, name, [asks("who counted?")], response_format=PERSON)
    assert {"name": "Ada", "age_in_years": 36} == orjson.loads(said.text)
    check(said, "stop")
    body = place.sent(PROVIDERS[name].paths[WAYS.index(way)]).body
    # Bedrock wants it as a string.
    assert b'"age_in_years":{"type":"integer"' in body.replace(b" ", b"").replace(b"\\", b"")


@every_way
@pytest.mark.parametrize("name", REASONING)
def test_reasoning(place: Place, name: str, way: str) -> None:
    """It is no part of the text."""
    said = place.ask(way, name, [asks("think")], reasoning_effort="low")
    assert ("Six times seven is forty-two.", "Forty-two.") == (said.reasoning, said.text)
    check(said, "stop")


@pytest.mark.parametrize("name", SIGNED)
def test_reasoning_goes_back(place: Place, name: str) -> None:
    """What the provider signed comes back to it with the result of the tool."""
    talk: list[Any] = [asks("ponder")]
    said = place.ask("plain", name, talk, tools=[WEATHER], reasoning_effort="low")
    talk += [said.message, _result(said, 0, "rain")]
    then = place.ask("plain", name, talk, tools=[WEATHER], reasoning_effort="low")
    assert "It rains in Oslo." == then.text
    assert SIGNED[name] in place.sent(PROVIDERS[name].paths[0]).body


@every_way
@every_dialect
def test_the_limit_is_reached(place: Place, name: str, way: str) -> None:
    """`length`, whatever the provider calls it."""
    said = place.ask(way, name, [asks("at length")])
    assert "And so on and" == said.text
    # A stream of Responses ends in `response.completed` here, with nothing about a limit.
    check(said, "stop" if (name, way) == ("openai-responses", "streamed") else "length")


@every_way
@every_dialect
@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_dialect_answers(place: Place, name: str, way: str, fault: str) -> None:
    """A provider that fails is followed by one that speaks otherwise, and the client sees one clean answer."""
    outcome, status, *_ = FAULTS[fault]
    said = place.ask(way, f"{name}-{fault}-then", [asks("hello there")])
    assert [(outcome, status), ("ok", 200)] == said.attempts
    assert (HELLO, ["stop"], 1, NEXT[name]) == (said.text, said.finishes, len(said.ids), said.provider)


@every_way
@every_dialect
@pytest.mark.parametrize("fault", FAULTS)
def test_alone(place: Place, name: str, way: str, fault: str) -> None:
    """The client gets the status of the kind, and is told how long to wait where the provider said so."""
    outcome, status, told, retry_after, tries = FAULTS[fault]
    with pytest.raises(openai.APIStatusError) as refused:
        place.ask(way, f"{name}-{fault}", [asks("hello there")])
    response = refused.value.response
    assert (told, retry_after) == (response.status_code, response.headers.get("retry-after"))
    body = response.json()
    attempts = [(each["outcome"], each["status"]) for each in body["headgate"]["attempts"]]
    assert [(outcome, status)] * tries == attempts
    assert key_of(name) not in response.text


@every_dialect
@pytest.mark.parametrize("fault", CUTS)
def test_after_content_there_is_one_error(place: Place, name: str, fault: str) -> None:
    """What came stays, then one error frame, and no end mark: no other provider goes on in its place."""
    with place.client.chat.completions.with_streaming_response.create(
        model=f"{name}-{fault}-then", messages=[{"role": "user", "content": "hello there"}], stream=True
    ) as response:
        body = response.read()
    frames = [
        orjson.loads(line.removeprefix(b"data: "))
        for line in body.splitlines()
        if line.startswith(b"data: {")
    ]
    text = "".join(
        choice["delta"].get("content") or "" for frame in frames for choice in frame.get("choices") or ()
    )
    assert 0 < len(text) < len(WHOLE)
    assert WHOLE.startswith(text)
    assert (1, 0) == (sum("error" in frame for frame in frames), body.count(b"[DONE]"))
    assert ("protocol", 502) == (frames[-1]["error"]["type"], frames[-1]["error"]["code"])
    assert ["protocol"] == [each["outcome"] for each in frames[-1]["headgate"]["attempts"]]
    assert not [
        choice
        for frame in frames
        for choice in frame.get("choices") or ()
        if choice.get("finish_reason") not in (None, "error")
    ]


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("count", [1, 2])
def test_embeddings(place: Place, name: str, count: int) -> None:
    """A vector for each text, in order."""
    made = place.client.embeddings.create(
        model=f"embed-{name}", input=["two boats", "two boats more"][:count], encoding_format="float"
    )
    assert [(index, [0.25, -0.5, 0.125]) for index in range(count)] == [
        (each.index, each.embedding) for each in made.data
    ]
    assert "two boats" in place.journal()["body"]["embeddingInput"]
