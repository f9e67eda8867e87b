"""A real gateway for foreign clients, and their programs run against it."""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.clients.environments import ROOT
from tests.support.gateway import TEST_KEY, RunningGateway, running
from tests.support.scripted import Exchange, listening, role, serving, text, url_of

LIMITED_KEY: Final = "test-key-0002-limited"
BUSY_S: Final = 90
PROGRAM_S: Final = 120.0  # a whole script; importing some packages takes ten seconds on a busy machine
PRICE: Final = {"input": 1.0, "output": 2.0, "cache_read": 0.1}
SANDBOX: Final = ("sandbox-small", "sandbox-large", "sandbox-reasoning")


@dataclass(frozen=True)
class Results:
    """What the cases of a script saw, by name."""

    cases: Mapping[str, Mapping[str, Any]]

    def seen(self, case: str) -> Any:
        """What a case saw; it fails here with the script's own stack when the client threw."""
        result = self.cases[case]
        if "failed" in result:
            pytest.fail(f"{case}: {result['failed']}", pytrace=False)
        return result["seen"]


@dataclass(frozen=True)
class Ended:
    """A program that has run."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Place:
    """A gateway with the sandbox's models and three more: `unlucky` (a broken backend before a good one), `breaking`
    (the stream is cut after some words) and `busy` (429 for all). `acme/small` and `acme/breaking` are for clients
    that want an author in the name.

    Attributes:
        home: of the programs that are run.
    """

    gateway: RunningGateway
    home: Path
    _listener: socket.socket

    def run(
        self,
        command: Sequence[str | Path],
        *,
        directory: Path = ROOT,
        environ: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run a program to its end. It sees the address and the keys, and nothing else of the environment.

        For Python programs all but the loopback lies behind a dead proxy, so that a client that calls anybody else
        fails.
        """
        return asyncio.run(self._run([str(word) for word in command], directory, environ or {}))

    def results(self, command: Sequence[str | Path]) -> "Results":
        """Run a script of cases and give what it wrote down."""
        written = self.home / "results.json"
        ended = self.run(command, environ={"HEADGATE_RESULTS": str(written)})
        assert 0 == ended.status, ended.stderr
        return Results(orjson.loads(written.read_bytes()))

    async def _run(self, command: Sequence[str], directory: Path, environ: Mapping[str, str]) -> Ended:
        async with serving(self._listener, _upstream):
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=directory,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.home),
                    "HEADGATE_URL": self.gateway.base,
                    "HEADGATE_KEY": self.gateway.key,
                    "HEADGATE_LIMITED_KEY": LIMITED_KEY,
                    "HTTP_PROXY": "http://127.0.0.1:1",
                    "HTTPS_PROXY": "http://127.0.0.1:1",
                    "NO_PROXY": "127.0.0.1",
                    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the package fetches prices when imported
                    **environ,
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                stdout, stderr = await asyncio.wait_for(process.communicate(), PROGRAM_S)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        assert process.returncode is not None
        return Ended(process.returncode, stdout.decode(), stderr.decode())


@contextmanager
def place(
    directory: Path,
    providers: Mapping[str, Any] | None = None,
    models: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Place]:
    """A gateway in `directory`; `providers` and `models` come on top of what `Place` names."""
    home = directory / "home"
    home.mkdir()
    with listening() as listener:
        scripted = {"adapter": "openai", "base_url": url_of(listener), "api_key": "env:SCRIPTED_KEY"}
        config = {
            "providers": {"sandbox": {"adapter": "sandbox"}, "scripted": scripted, **(providers or {})},
            "redis": {"timeout_ms": 2000},  # a busy machine must not turn a limit into an outage
            "routing": {"retries": 1},
            "models": [
                *(model(name, ("sandbox", name)) for name in SANDBOX),
                model("acme/small", ("sandbox", "sandbox-small")),
                model("acme/breaking", ("scripted", "cut")),
                model("unlucky", ("scripted", "down"), ("sandbox", "sandbox-small")),
                model("breaking", ("scripted", "cut")),
                model("busy", ("scripted", "full")),
                *models,
            ],
            "keys": [
                {"id": "test", "customer": "tester", "secret": "env:TEST_KEY"},
                {
                    "id": "limited",
                    "customer": "small",
                    "secret": "env:LIMITED_KEY",
                    "limits": {"requests_per_minute": 1},
                },
            ],
        }
        with running(directory, config, {"LIMITED_KEY": LIMITED_KEY}) as gateway:
            assert TEST_KEY == gateway.key
            yield Place(gateway, home, listener)


def model(name: str, *backends: tuple[str, str]) -> dict[str, Any]:
    """A model for the configuration; each backend is a provider and its model."""
    return {
        "id": name,
        "backends": [{"provider": provider, "model": upstream} for provider, upstream in backends],
        "price": dict(PRICE),  # a copy: YAML would write the same object as an alias
    }


async def _upstream(exchange: Exchange) -> None:
    """A provider with bad days, by model."""
    match exchange.members["model"]:
        case "down":
            await exchange.answer(
                503, b'{"error": {"message": "the engine is down", "type": "server_error"}}'
            )
        case "full":
            await exchange.answer(
                429,
                b'{"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}',
                # Longer than a request may wait, so that the gateway says so at once.
                (("content-type", "application/json"), ("retry-after", str(BUSY_S))),
            )
        case "cut":
            await exchange.start()
            await exchange.send(role())
            await exchange.send(text("some words "))
            exchange.fin()
        case other:
            raise AssertionError(f"no script for {other}")


def cost_usd(input_tokens: int, output_tokens: int) -> float:
    """What tokens cost here, none of them cached: a token of a one-dollar-a-million price is one micro-dollar."""
    return (input_tokens + 2 * output_tokens) / 1_000_000
