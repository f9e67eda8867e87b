"""A real gateway in front of a scripted upstream: what most promises are tested with."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from tests.support.gateway import RunningGateway, running
from tests.support.raw_client import Answer, RawClient, http_request
from tests.support.scripted import WAIT_S, Script, ScriptedUpstream, listening, serving, url_of

PROVIDER_KEY: Final = "env:SCRIPTED_KEY"
HELLO: Final = ({"role": "user", "content": "hello there, how are you today?"},)
_POLL_S: Final = 0.01


@dataclass(frozen=True)
class Site:
    """A gateway process and the socket its providers live on."""

    gateway: RunningGateway
    listener: socket.socket
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def upstream(self, script: Script) -> AbstractAsyncContextManager[ScriptedUpstream]:
        """Let the providers answer by `script`."""
        return serving(self.listener, script)

    def next_id(self) -> str:
        """For a request's own `x-request-id`; log lines are found by it."""
        return f"test-{next(self._numbers)}"

    @asynccontextmanager
    async def client(self, *, receive_buffer_bytes: int | None = None) -> AsyncIterator[RawClient]:
        """A connection to the gateway."""
        async with await RawClient.connect(
            self.gateway.port, receive_buffer_bytes=receive_buffer_bytes
        ) as client:
            yield client

    @asynccontextmanager
    async def asking(
        self, *, client_id: str | None = None, receive_buffer_bytes: int | None = None, **members: Any
    ) -> AsyncIterator[RawClient]:
        """A connection on which one chat request was sent. `members` are put into its body."""
        async with self.client(receive_buffer_bytes=receive_buffer_bytes) as client:
            await client.send(self.chat(client_id=client_id, **members))
            yield client

    async def ask(self, *, client_id: str | None = None, within_s: float = WAIT_S, **members: Any) -> Answer:
        """One chat request and its whole answer."""
        async with self.asking(client_id=client_id, **members) as client:
            return await client.read_all(within_s)

    def chat(self, *, client_id: str | None = None, **members: Any) -> bytes:
        """The bytes of a streaming chat request."""
        body = {"model": "test-model", "stream": True, "messages": HELLO, **members}
        headers = {"x-request-id": client_id or self.next_id()}
        return self.request("POST", "/v1/chat/completions", body=orjson.dumps(body), headers=headers)

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of any request, with a valid key."""
        said = {"authorization": f"Bearer {self.gateway.key}"}
        if body is not None:
            said["content-type"] = "application/json"
        return http_request(method, path, headers={**said, **(headers or {})}, body=body)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One GET."""
        async with self.client() as client:
            await client.send(self.request("GET", path, headers=headers))
            return await client.read_all()

    async def log_line(self, client_id: str, within_s: float = WAIT_S) -> dict[str, Any]:
        """The log line of the request with that `x-request-id` of the client's own; there must be one only."""
        lines: list[dict[str, Any]] = await poll(lambda: self.log_lines(client_id), within_s)
        assert 1 == len(lines), lines
        return lines[0]

    def log_lines(self, client_id: str) -> list[dict[str, Any]]:
        """All log lines of that request so far."""
        return [line for line in self.log() if line.get("headgate.client_request_id") == client_id]

    def log(self) -> list[dict[str, Any]]:
        """Every structured line so far."""
        lines = self.gateway.log.read_bytes().split(b"\n")
        return [orjson.loads(line) for line in lines[:-1] if line.startswith(b"{")]


async def poll(look: Callable[[], Any], within_s: float = WAIT_S) -> Any:
    """Look until something is there.

    Raises:
        TimeoutError: it did not come within the bound.
    """
    async with asyncio.timeout(within_s):
        while not (found := look()):  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(_POLL_S)
    return found


@contextmanager
def site(
    directory: Path,
    configure: Callable[[socket.socket], Mapping[str, Any]],
    environ: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """Start a gateway whose configuration `configure` makes for the upstream's socket."""
    with listening() as listener, running(directory, configure(listener), environ) as gateway:
        yield Site(gateway, listener)


def provider(listener: socket.socket, path: str = "/v1", **members: Any) -> dict[str, Any]:
    """A provider section that points at the scripted upstream."""
    return {"adapter": "openai", "base_url": url_of(listener, path), "api_key": PROVIDER_KEY, **members}


def model(name: str, *providers: str, **members: Any) -> dict[str, Any]:
    """A catalogue entry with one backend per provider."""
    return {
        "id": name,
        "backends": [{"provider": each, "model": "upstream-model"} for each in providers],
        "price": {"input": 1.0, "output": 2.0, "cache_read": 0.1},
        **members,
    }


def config(providers: Mapping[str, Any], models: list[dict[str, Any]], **sections: Any) -> dict[str, Any]:
    """A configuration with one customer without limits."""
    return {
        "providers": dict(providers),
        "models": models,
        "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        **sections,
    }
