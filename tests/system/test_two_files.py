"""Gateways with different configuration files on one store, as in a rolling upgrade with a changed file."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.support.gateway import ADMIN_KEY, running
from tests.support.raw_client import http_request
from tests.support.scripted import Exchange, completion, listening, serving
from tests.support.site import Site, config, model, provider
from tests.support.valkey import PrivateServer

SECRETS: Final = {name.upper(): f"test-key-of-{name}-abcdef" for name in ("kept", "removed", "added")}
NOTICED_WITHIN_S: Final = 30.0
"""Gateways look every 10 s, and keys are remembered for 2 s; slack for the machine."""


@pytest.fixture
def store() -> Iterator[PrivateServer]:
    with PrivateServer() as server:
        yield server


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listening() as made:
        yield made


@contextmanager
def gateway(
    directory: Path, listener: socket.socket, store: PrivateServer | None, *customers: str
) -> Iterator[Site]:
    directory.mkdir(exist_ok=True)
    made = config(
        {"scripted": provider(listener)},
        [model("test-model", "scripted")],
        redis={"url": "embedded" if store is None else store.url, "timeout_ms": 5000},
        customers=[{"id": name, "limits": {"requests_per_minute": 100_000}} for name in customers],
    )
    made["keys"] += [
        {"id": f"{name}-key", "customer": name, "secret": f"env:{name.upper()}"} for name in customers
    ]
    with running(directory, made, SECRETS) as process:
        yield Site(process, listener)


async def status(place: Site, name: str) -> int:
    """Of a request with a customer's key."""
    async with place.client() as client:
        key = SECRETS[name.upper()].encode()
        await client.send(place.chat(stream=False).replace(place.gateway.key.encode(), key))
        return (await client.read_all()).status


async def administer(place: Site, path: str) -> Any:
    async with place.client() as client:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        await client.send(http_request("GET", f"/admin/v1{path}", headers=headers))
        answer = await client.read_all()
    assert 200 == answer.status
    return orjson.loads(answer.body)


async def plain(exchange: Exchange) -> None:
    await exchange.answer(200, completion())


async def test_old_and_new_together(tmp_path: Path, listener: socket.socket, store: PrivateServer) -> None:
    """No customer of either file is refused while both run, and none loses a count; then the new file holds alone."""
    asked = 0
    async with serving(listener, plain):
        with gateway(tmp_path / "old", listener, store, "kept", "removed") as old:
            assert 200 == await status(old, "removed")
            with gateway(tmp_path / "new", listener, store, "kept", "added") as new:
                for _ in range(25):  # over more than one look at keys and files
                    for place, name in (
                        (old, "kept"), (new, "kept"), (old, "removed"), (new, "removed"),
                        (old, "added"), (new, "added"),
                    ):  # fmt: skip
                        assert 200 == await status(place, name)
                    asked += 2
                    await asyncio.sleep(0.5)
                assert "other customers or keys in their files" in new.gateway.log.read_text()
                old.gateway.process.terminate()
                await asyncio.to_thread(old.gateway.process.wait, NOTICED_WITHIN_S)
                async with asyncio.timeout(NOTICED_WITHIN_S):
                    while await status(new, "removed") != 401:
                        assert 200 == await status(new, "kept")
                        asked += 1
                        await asyncio.sleep(0.1)
                assert 200 == await status(new, "added")
                disabled = {
                    each["id"]: each["disabled"] for each in (await administer(new, "/customers"))["data"]
                }
                assert {"added": False, "kept": False, "removed": True, "tester": False} == disabled
                async with asyncio.timeout(NOTICED_WITHIN_S):  # settled behind the client's back
                    while True:
                        (row,) = (await administer(new, "/usage?customer=kept"))["data"]
                        if row["requests"] == asked:
                            break
                        assert row["requests"] < asked
                        await asyncio.sleep(0.1)


async def test_a_changed_file_after_a_kill(tmp_path: Path, listener: socket.socket) -> None:
    """With an embedded store nobody else can run: what the new file has not is refused at once."""
    async with serving(listener, plain):
        with gateway(tmp_path / "place", listener, None, "kept", "removed") as place:
            assert 200 == await status(place, "removed")
            place.gateway.process.kill()
            await asyncio.to_thread(place.gateway.process.wait)
        with gateway(tmp_path / "place", listener, None, "kept") as place:
            assert [200, 401] == [await status(place, name) for name in ("kept", "removed")]
