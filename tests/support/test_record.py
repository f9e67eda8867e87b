"""Recording an exchange: what is written, and what never is."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.record import record
from tests.support.scripted import Exchange, completion, good_stream, listening, serving, url_of

KEY = "test-key-0001-abcdef"


async def recorded(tmp_path: Path, request: dict[str, Any], answer: Any) -> tuple[Path, Exchange]:
    with listening() as listener:
        async with serving(listener, answer) as upstream:
            folder = await record(
                "mistral", "2026-11-case", request, base_url=url_of(listener), key=KEY, root=tmp_path
            )
        return folder, upstream.exchanges[0]


async def test_a_stream(tmp_path: Path) -> None:
    """The request goes out as the adapter writes it; body and expectation are kept, the key is not."""
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "user": "u"}
    folder, seen = await recorded(tmp_path, request, good_stream)
    assert tmp_path / "mistral" / "2026-11-case" == folder
    assert f"Bearer {KEY}" == seen.headers["authorization"]
    kept = orjson.loads((folder / "exchange.json").read_bytes())
    assert [200, {"content-type": "text/event-stream"}] == [kept["status"], kept["headers"]]
    assert orjson.loads(seen.body) == kept["request"]
    assert "user" not in kept["request"]
    body = (folder / "body.sse").read_bytes()
    assert body.endswith(b"data: [DONE]\n\n")
    assert body == (folder / "expected.sse").read_bytes()
    assert not any(KEY.encode() in path.read_bytes() for path in folder.iterdir())


async def test_an_error(tmp_path: Path) -> None:
    """An error is kept with its status and the headers that count; nothing leaves for the client."""

    async def refuse(exchange: Exchange) -> None:
        headers = [("retry-after", "3"), ("x-ratelimit-limit-req-minute", "60"), ("x-account", "secret")]
        await exchange.answer(429, b'{"message":"slow down"}', headers)

    folder, _ = await recorded(tmp_path, {"model": "m", "messages": [{}]}, refuse)
    kept = orjson.loads((folder / "exchange.json").read_bytes())
    assert 429 == kept["status"]
    assert {"retry-after": "3", "x-ratelimit-limit-req-minute": "60"}.items() <= kept["headers"].items()
    assert "x-account" not in kept["headers"]
    assert {"body.json", "exchange.json"} == {path.name for path in folder.iterdir()}


async def test_a_key_that_comes_back(tmp_path: Path) -> None:
    """An answer that quotes the key is not written at all."""

    async def quote(exchange: Exchange) -> None:
        await exchange.answer(401, f'{{"message":"bad key {KEY}"}}'.encode())

    with pytest.raises(ValueError, match="quotes the key"):
        await recorded(tmp_path, {"model": "m", "messages": [{}]}, quote)
    assert not (tmp_path / "mistral").exists()


async def test_a_case_is_not_overwritten(tmp_path: Path) -> None:
    """There is one recording of a name."""

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(200, completion("hi"))

    await recorded(tmp_path, {"model": "m", "messages": [{}]}, answer)
    with pytest.raises(FileExistsError):
        await recorded(tmp_path, {"model": "m", "messages": [{}]}, answer)
