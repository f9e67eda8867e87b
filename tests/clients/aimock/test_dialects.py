"""Providers that speak other dialects, as others wrote them: aimock as each, the openai package as the client.

    make setup && .venv/bin/pytest tests/clients/aimock

Also part of `make test-clients`. Needs Node 20, and npm to fetch what `package-lock.json` names, once; without them the
tests are skipped. The answers are in `dialects.json`. What aimock made of a request stands in its journal, which hides
credentials: those are read on the way there.
"""

import os
import socket
import socketserver
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import openai
import orjson
import pytest

from tests.clients.upstreams import aimock
from tests.support.asking import sandbox_model
from tests.support.gateway import RunningGateway, running

WAYS: Final = ("plain", "streamed")
HELLO: Final = "A lock-keeper opens the upper gate. Schöne Grüße, 你好 🚀."
WHOLE: Final = "A lock-keeper opens the upper gate, waits until the levels agree, and lets the boat leave."
KEY_ID: Final = "AKIDFORTESTS"
VERTEX: Final = "/v1/projects/boats/locations/europe-west4/publishers/google/models/gemini-2.5-flash"
DEPLOYMENT: Final = "/openai/deployments/gpt-5-mini/chat/completions?api-version=2024-10-21"


@dataclass(frozen=True)
class Provider:
    """How a dialect is configured, and what has to arrive.

    Attributes:
        below: its base URL, behind the server's.
        paths: of a plain and of a streamed request.
        credential: the only header that holds one, and how its value starts; all of it with the key in it.
        own: further keys of its configuration.
    """

    model: str
    paths: tuple[str, str]
    credential: tuple[str, str] | None
    below: str = ""
    own: Mapping[str, str] = field(default_factory=dict)

    def configured(self, adapter: str, base_url: str) -> dict[str, Any]:
        named = {"token", "secret_access_key"} & set(self.own)
        key = {} if named or self.credential is None else {"api_key": _secret(adapter)}
        own = {name: _secret(adapter) if name in named else value for name, value in self.own.items()}
        return {"adapter": adapter, "base_url": base_url + self.below, **key, **own}


def _secret(adapter: str) -> str:
    return f"env:{_variable(adapter)}"


def _variable(adapter: str) -> str:
    return f"KEY_OF_{adapter.upper().replace('-', '_')}"


def _key(adapter: str) -> str:
    return f"test-key-of-{adapter}"


CLAUDE: Final = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROVIDERS: Final = {
    "anthropic": Provider("claude-sonnet-4-5", ("/v1/messages",) * 2, ("x-api-key", "test-key-of-anthropic")),
    "gemini": Provider(
        "gemini-2.5-flash",
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        ),
        ("x-goog-api-key", "test-key-of-gemini"),
    ),
    "vertex": Provider(
        "gemini-2.5-flash",
        (f"{VERTEX}:generateContent", f"{VERTEX}:streamGenerateContent?alt=sse"),
        ("authorization", "Bearer test-key-of-vertex"),
        own={"project": "boats", "location": "europe-west4", "token": ""},
    ),
    "bedrock": Provider(
        CLAUDE,
        (f"/model/{CLAUDE}/converse", f"/model/{CLAUDE}/converse-stream"),
        ("authorization", f"AWS4-HMAC-SHA256 Credential={KEY_ID}/"),
        own={"region": "eu-west-1", "access_key_id": "env:KEY_ID", "secret_access_key": ""},
    ),
    "cohere": Provider(
        "command-a-03-2025", ("/v2/chat",) * 2, ("authorization", "Bearer test-key-of-cohere")
    ),
    "openai-responses": Provider(
        "gpt-5-mini", ("/v1/responses",) * 2, ("authorization", "Bearer test-key-of-openai-responses"), "/v1"
    ),
    "azure": Provider("gpt-5-mini", (DEPLOYMENT,) * 2, ("api-key", "test-key-of-azure")),
    "ollama": Provider("qwen3:8b", ("/v1/chat/completions",) * 2, None, "/v1"),
    "openrouter": Provider(
        "openai/gpt-5-mini",
        ("/api/v1/chat/completions",) * 2,
        ("authorization", "Bearer test-key-of-openrouter"),
        "/api/v1",
    ),
}
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


@dataclass
class Said:
    """An answer, as the package shows it.

    Attributes:
        calls: id, name and arguments of each, as strings.
        message: as a client sends it back.
    """

    text: str = ""
    reasoning: str = ""
    calls: list[list[str]] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    usage: Any = None
    attempts: list[tuple[str, int]] = field(default_factory=list)
    provider: str = ""
    ids: set[str] = field(default_factory=set)
    message: dict[str, Any] = field(default_factory=dict)

    @property
    def parsed_calls(self) -> list[tuple[str, Any]]:
        return [(name, orjson.loads(arguments)) for _, name, arguments in self.calls]

    def note(self, members: Any) -> None:
        """The gateway's own member of an answer or a chunk."""
        if "headgate" in (members or {}):
            self.attempts = [(each["outcome"], each["status"]) for each in members["headgate"]["attempts"]]


@dataclass(frozen=True)
class Sent:
    """A request on its way to aimock."""

    target: str
    headers: Mapping[str, str]
    head: bytes
    body: bytes


@dataclass(frozen=True)
class Place:
    """A gateway before aimock.

    Attributes:
        aimock: its address.
        connections: what the gateway sent, by connection.
    """

    gateway: RunningGateway
    client: openai.OpenAI
    aimock: str
    connections: Sequence[bytearray]

    def ask(self, way: str, model: str, messages: list[Any], **members: Any) -> Said:
        """One request, to its end."""
        return (_plain if way == "plain" else _streamed)(
            self.client, {"model": model, "messages": messages, **members}
        )

    def journal(self) -> Any:
        """The last request, as aimock read it."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.aimock}/__aimock/journal", timeout=10) as response:
            return orjson.loads(response.read())[-1]

    def sent(self, path: str) -> Sent:
        """The last request to `path`, which a connection may have carried among others."""
        found = [each for connection in self.connections for each in _requests(bytes(connection))]
        return [each for each in found if unquote(each.target) == path][-1]


def _plain(client: openai.OpenAI, members: dict[str, Any]) -> Said:
    raw = client.chat.completions.with_raw_response.create(**members)
    completion = raw.parse()
    (choice,) = completion.choices
    message = choice.message
    said = Said(message.content or "", _reasoning(message), ids={completion.id}, usage=completion.usage)
    said.provider = raw.headers["x-headgate-provider"]
    said.message = message.to_dict()
    said.calls = [
        [call.id, call.function.name, call.function.arguments]
        for call in message.tool_calls or ()
        if call.type == "function"
    ]
    said.finishes.append(choice.finish_reason)
    said.note(completion.model_extra)
    return said


def _streamed(client: openai.OpenAI, members: dict[str, Any]) -> Said:
    raw = client.chat.completions.with_raw_response.create(
        **members, stream=True, stream_options={"include_usage": True}
    )
    said = Said(provider=raw.headers["x-headgate-provider"])
    for chunk in raw.parse():
        said.ids.add(chunk.id)
        said.usage = chunk.usage or said.usage
        said.note(chunk.model_extra)
        for choice in chunk.choices:
            said.text += choice.delta.content or ""
            said.reasoning += _reasoning(choice.delta)
            said.finishes += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or ():
                if call.index == len(said.calls):
                    said.calls.append(["", "", ""])
                assert call.function is not None
                pieces = (call.id, call.function.name, call.function.arguments)
                said.calls[call.index] = [
                    old + (new or "") for old, new in zip(said.calls[call.index], pieces, strict=True)
                ]
    return said


def _reasoning(members: Any) -> str:
    """By either of its names: one that is passed through keeps the provider's."""
    extra = members.model_extra or {}
    return extra.get("reasoning") or extra.get("reasoning_content") or ""


class _Relay(socketserver.BaseRequestHandler):
    """Bytes to and fro, unchanged; those to aimock are kept."""

    server: "_Tap"

    def handle(self) -> None:
        kept = bytearray()
        self.server.connections.append(kept)
        with socket.create_connection(self.server.upstream) as upstream:
            back = threading.Thread(target=_pump, args=(upstream, self.request))
            back.start()
            _pump(self.request, upstream, kept)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray | None = None) -> None:
    with suppress(OSError):  # either side may be gone
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class _Tap(socketserver.ThreadingTCPServer):
    daemon_threads = False  # waited for when it closes

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.upstream = upstream
        self.connections: list[bytearray] = []


@contextmanager
def _tap(address: str) -> Iterator[_Tap]:
    to = urlsplit(address)
    assert to.hostname is not None
    assert to.port is not None
    with _Tap((to.hostname, to.port)) as tap:
        serving = threading.Thread(target=tap.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield tap
        finally:
            tap.shutdown()
            serving.join()


def _requests(data: bytes) -> Iterator[Sent]:
    """The requests of one connection, one after another."""
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers["content-length"])
        yield Sent(first.split()[1], headers, head, rest[:length])
        data = rest[length:]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Good answers come through a tap; faults come straight from aimock, because a tap might mend them."""
    models = [sandbox_model(name, (name, provider.model)) for name, provider in PROVIDERS.items()]
    models += [sandbox_model(f"embed-{name}", (name, "text-embedding-3-small")) for name in EMBEDDINGS]
    for name, then in NEXT.items():
        second = (then, PROVIDERS[then].model)
        models += [sandbox_model(f"{name}-{fault}", (f"bad-{name}", fault)) for fault in FAULTS]
        models += [
            sandbox_model(f"{name}-{fault}-then", (f"bad-{name}", fault), second)
            for fault in (*FAULTS, *CUTS)
        ]
    with aimock("dialects.json") as base_url, _tap(base_url) as tap, pytest.MonkeyPatch.context() as patch:
        address = base_url.removesuffix("/v1")
        seen = f"http://127.0.0.1:{tap.server_address[1]}"
        good = {name: each.configured(name, seen) for name, each in PROVIDERS.items()}
        bad = {f"bad-{name}": each.configured(name, address) for name, each in PROVIDERS.items()}
        config = {
            "providers": {**good, **bad},
            "models": models,
            "routing": {"retries": 1},
            "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        }
        secrets = {_variable(name): _key(name) for name in PROVIDERS}
        for name in tuple(os.environ):  # none of the developer's
            if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        with (
            running(tmp_path_factory.mktemp("dialects"), config, {"KEY_ID": KEY_ID, **secrets}) as gateway,
            openai.OpenAI(
                base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0, timeout=30
            ) as client,
        ):
            yield Place(gateway, client, address, tap.connections)


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
    assert (path, PROVIDERS[name].model) == (unquote(read["path"]), body["model"])
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
        value = sent.headers["authorization"]
        assert value.startswith(start)
        assert "/eu-west-1/bedrock/aws4_request, SignedHeaders=" in value
        assert {"x-amz-date", "host"} <= set(
            value.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        )
        assert _key(name).encode() not in everything
    elif header is not None:
        assert start == sent.headers[header]
        assert 1 == everything.count(_key(name).encode())


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
    assert _key(name) not in response.text


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
