"""aimock as a provider of each dialect, before it a gateway, and the openai package to ask it with."""

import os
import socket
import socketserver
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import openai
import orjson
import pytest

from tests.clients.upstreams import aimock
from tests.support.gateway import NO_CIRCUITS, RunningGateway, running

WAYS: Final = ("plain", "streamed")
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


def key_of(adapter: str) -> str:
    """What the gateway has for a provider."""
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


@contextmanager
def dialects(directory: Path, models: Sequence[Mapping[str, Any]]) -> Iterator[Place]:
    """A gateway with every provider twice: what is asked of it by its name can be read on the way there. What is asked
    of `bad-<name>` goes straight to aimock, because a tap might mend a fault.
    """
    with aimock("dialects.json") as base_url, _tap(base_url) as tap, pytest.MonkeyPatch.context() as patch:
        address = base_url.removesuffix("/v1")
        seen = f"http://127.0.0.1:{tap.server_address[1]}"
        good = {name: each.configured(name, seen) for name, each in PROVIDERS.items()}
        bad = {f"bad-{name}": each.configured(name, address) for name, each in PROVIDERS.items()}
        config = {
            "providers": {**good, **bad},
            "models": models,
            "routing": {"retries": 1, "deadline_s": 5, "breaker": NO_CIRCUITS},
            "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        }
        secrets = {_variable(name): key_of(name) for name in PROVIDERS}
        for name in tuple(os.environ):  # none of the developer's
            if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        with (
            running(directory, config, {"KEY_ID": KEY_ID, **secrets}) as gateway,
            openai.OpenAI(
                base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0, timeout=30
            ) as client,
        ):
            yield Place(gateway, client, address, tap.connections)
