"""Record one exchange with a provider as a case for the tests.

    python -m tests.support.record --adapter mistral --case 2026-11-parallel-tools --request request.json

`request.json` is what a client would send; `"stream": true` in it records a stream. The key comes from the environment
variable that `--key-variable` names. Look at what was written before it is committed: texts, ids and organisations are
the provider's own.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import open_reader, whole
from providers.registry import REGISTRY, Place
from providers.types import UpstreamError
from proxy.exchange.upstream.auth.types import Credentials, Outgoing
from proxy.exchange.upstream.backends import AUTH

DIRECTORY: Final = Path(__file__).resolve().parents[1] / "providers" / "recordings"

KEPT_HEADERS: Final = ("content-type", "retry-after", "retry-after-ms")


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that mean something to the gateway; others may name accounts."""
    named = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in named.items() if name in KEPT_HEADERS or "ratelimit" in name}


async def exchange(
    url: str, headers: Sequence[tuple[str, str]], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers worth keeping, and the body as it came."""
    sent = {"content-type": "application/json", "accept-encoding": "identity", **dict(headers)}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(url, data=body, headers=sent, allow_redirects=False) as answer,
    ):
        return answer.status, kept(answer.headers), await answer.read()


def leaving(adapter: str, body: bytes, *, stream: bool, choices: int) -> bytes:
    """What leaves for a client of OpenAI's dialect, before finish frame and usage are put in order."""
    dialect, client = REGISTRY[adapter].dialect, Client()
    if not stream:
        return whole(dialect, client, body, answer_id="req-1", model="model", created_s=1).raw
    reader = open_reader(
        dialect, client, many_choices=choices != 1, answer_id="req-1", model="model", created_s=1
    )
    return b"".join(frame.raw for frame in [*reader.feed(body), *reader.close()])


async def record(
    adapter: str, case: str, request: Mapping[str, Any], *, base_url: str | None, key: str | None, root: Path
) -> Path:
    """Make the exchange and write the case.

    Raises:
        FileExistsError: there is such a case.
        ValueError: the key came back in the answer.
    """
    canonical = Client().parse(orjson.dumps(request))
    known = REGISTRY[adapter]
    address = (base_url or known.base_url or "").rstrip("/")
    encoded = known.at(Place(address)).dialect.encode(canonical, canonical.model)
    outgoing = Outgoing("POST", address + encoded.path, (("content-type", "application/json"),), encoded.body)
    proof = [*known.headers, *AUTH[known.auth].headers(Credentials(key=key), outgoing)]
    status, headers, body = await exchange(address + encoded.path, proof, encoded.body)
    if key is not None and key.encode() in body:
        raise ValueError("the answer quotes the key; nothing was written")
    folder = root / adapter / case
    folder.mkdir(parents=True)
    seen = {"status": status, "headers": headers, "request": orjson.loads(encoded.body)}
    (folder / "exchange.json").write_bytes(orjson.dumps(seen, option=orjson.OPT_INDENT_2) + b"\n")
    end = "sse" if canonical.stream and status == 200 else "json"
    (folder / f"body.{end}").write_bytes(body)
    if status == 200:
        expected = leaving(adapter, body, stream=canonical.stream, choices=canonical.choices)
        (folder / f"expected.{end}").write_bytes(expected)
    return folder


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--adapter", required=True, choices=sorted(REGISTRY))
    parser.add_argument(
        "--case", required=True, help="year, month and what is particular: 2026-11-parallel-tools"
    )
    parser.add_argument("--request", required=True, type=Path, metavar="FILE")
    parser.add_argument("--base-url", help="where the provider is; the adapter's own by default")
    parser.add_argument("--key-variable", metavar="NAME", help="the environment variable that holds the key")
    given = parser.parse_args()
    key = os.environ[given.key_variable] if given.key_variable else None
    request = orjson.loads(given.request.read_bytes())
    try:
        folder = asyncio.run(
            record(given.adapter, given.case, request, base_url=given.base_url, key=key, root=DIRECTORY)
        )
    except (FileExistsError, ValueError, UpstreamError, aiohttp.ClientError) as problem:
        sys.exit(f"not recorded: {problem}")
    sys.stdout.write(f"{folder}\n")


if __name__ == "__main__":
    main()
