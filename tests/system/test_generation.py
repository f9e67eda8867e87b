"""A past request is read again: by its own customer, at once, with what was chosen and why; nothing of its text."""

import asyncio
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import openai
import orjson
import pytest
from click.testing import CliRunner

from proxy.cli.main import main
from tests.support.gateway import ADMIN_KEY, RunningGateway, config_for, running
from tests.support.scripted import WAIT_S
from tests.support.valkey import PrivateServer

MARKER = "xyzzy-marker"
HELLO: Any = [{"role": "user", "content": f"Please write a haiku about {MARKER}."}]
DIRECT = build_opener(ProxyHandler({}))
OTHER_KEY, SECOND_KEY = "test-key-0002-abcdefgh", "test-key-0003-abcdefgh"
UNKNOWN = "there is no record of a request `{}`"


def config(**records: int) -> dict[str, Any]:
    def model(name: str, usd: float, provider: str, upstream: str = "sandbox-small") -> dict[str, Any]:
        backends = [{"provider": provider, "model": upstream}]
        return {"id": name, "backends": backends, "price": {"input": usd, "output": usd}}

    made = config_for("http://unused.invalid")
    return {
        **made,
        "providers": {"one": {"adapter": "sandbox"}, "two": {"adapter": "sandbox"}},
        "models": [model("small", 0.1, "one", "sandbox-fail-503"), model("large", 0.5, "two")],
        "tiers": {"balanced": {"models": ["large", "small"], "strategy": "cheapest", "floor": 0}},
        "routing": {"modes": {"balanced": ["balanced"] * 3}},
        "keys": [
            *made["keys"],
            {"id": "second", "customer": "tester", "secret": "env:SECOND_KEY"},
            {"id": "other", "customer": "other", "secret": "env:OTHER_KEY"},
        ],
        "records": records,
    }


ENVIRON = {"OTHER_KEY": OTHER_KEY, "SECOND_KEY": SECOND_KEY}


@pytest.fixture(scope="module")
def store_server() -> Iterator[PrivateServer]:
    with PrivateServer(appendonly=True) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, store_server: PrivateServer
) -> Iterator[RunningGateway]:
    made = {**config(generations_max=50), "redis": {"url": store_server.url, "timeout_ms": 2000}}
    with running(tmp_path_factory.mktemp("generation"), made, ENVIRON) as process:
        yield process


def stream(gateway: RunningGateway, model: str = "balanced") -> tuple[str, dict[str, Any]]:
    """A streamed answer: its `x-generation-id`, and the last chunk."""
    with (
        openai.OpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0) as client,
        client.chat.completions.with_streaming_response.create(
            model=model,
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            user=MARKER,
            extra_headers={"HTTP-Referer": f"https://shop.example/{MARKER}"},
            extra_body={"sandbox": {"pace_ms": 1, "first_ms": 1}},
        ) as answer,
    ):
        lines = [line for line in answer.iter_lines() if line.startswith("data: {")]
    last: dict[str, Any] = orjson.loads(lines[-1].removeprefix("data: "))
    return answer.headers["x-generation-id"], last


class Answer(NamedTuple):
    status_code: int
    headers: Message
    body: Any


def get(
    gateway: RunningGateway, generation_id: str | None, key: str | None = None, prefix: str = "/v1"
) -> Answer:
    query = "" if generation_id is None else f"?{urlencode({'id': generation_id})}"
    request = Request(
        f"{gateway.base}{prefix}/generation{query}",
        headers={"authorization": f"Bearer {key or gateway.key}"},
    )
    try:
        with DIRECT.open(request, timeout=WAIT_S) as answer:
            return Answer(answer.status, answer.headers, orjson.loads(answer.read()))
    except HTTPError as refused:
        with refused:
            return Answer(refused.status or 0, refused.headers, orjson.loads(refused.read()))


def test_found_at_once_by_every_key_of_its_customer(gateway: RunningGateway) -> None:
    """What the last chunk said, in OpenRouter's words and in ours; on both prefixes."""
    generation_id, last = stream(gateway)
    answer = get(gateway, generation_id)
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    data, block = answer.body["data"], answer.body["headgate"]
    said = last["headgate"]
    assert generation_id == data["id"] == said["request_id"] == block["request_id"]
    assert ("large", "two", True, False) == tuple(
        data[name] for name in ("model", "provider_name", "streamed", "cancelled")
    )
    assert ("stop", "https://shop.example") == (data["finish_reason"], data["origin"])
    usage = last["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (
        data["native_tokens_prompt"],
        data["tokens_completion"],
    )
    assert 0 < usage["cost"] == data["total_cost"] == data["usage"] == block["cost_usd"]
    assert ["overloaded", "ok"] == [each["outcome"] for each in block["attempts"]]
    assert said["attempts"] == block["attempts"]
    assert said["decision"] == block["decision"]
    assert [503, 200] == [each["status"] for each in data["provider_responses"]]
    assert 0 <= data["generation_time"] <= data["latency"]
    for key, prefix in ((gateway.key, "/api/v1"), (SECOND_KEY, "/v1")):
        assert answer.body == get(gateway, generation_id, key, prefix).body


def test_not_by_anybody_else(gateway: RunningGateway) -> None:
    """404 in the words for what never was; 400 without an id; 401 without a key."""
    generation_id, _ = stream(gateway)
    for wanted, key in ((generation_id, OTHER_KEY), ("req-0", gateway.key)):
        refused = get(gateway, wanted, key)
        error = refused.body["error"]
        assert (404, "not_found", UNKNOWN.format(wanted)) == (
            refused.status_code,
            error["code"],
            error["message"],
        )
    refused = get(gateway, None)
    assert (400, "id") == (refused.status_code, refused.body["error"]["param"])
    assert 401 == get(gateway, generation_id, "nobody").status_code


def test_a_failure_is_recorded_too(gateway: RunningGateway) -> None:
    """By the id that the error names."""
    with (
        openai.OpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as failed,
    ):
        client.chat.completions.create(model="small", messages=HELLO)
    answer = get(gateway, failed.value.response.headers["x-generation-id"])
    assert ("overloaded", 503) == (answer.body["headgate"]["outcome"], answer.body["headgate"]["status"])
    assert (None, 0.0) == (answer.body["data"]["finish_reason"], answer.body["data"]["total_cost"])


def command(gateway: RunningGateway, *words: str) -> str:
    result = CliRunner().invoke(main, [*words, "--url", gateway.base], env={"HEADGATE_ADMIN_KEY": ADMIN_KEY})
    assert 0 == result.exit_code, result.output
    return result.stdout


def test_its_choice_is_replayed(gateway: RunningGateway) -> None:
    """`headgate route explain --id` makes it again from what was kept; none of the text is in it."""
    generation_id, last = stream(gateway)
    printed = command(gateway, "route", "explain", "--id", generation_id, "--json")
    assert MARKER not in printed
    told = orjson.loads(printed)
    assert (True, [], False) == (told["replayed"], told["differences"], told["catalogue_changed"])
    # Which of them comes first depends on what this gateway's requests have met before.
    planned = [each["model"] for each in told["planned"]]
    assert {"small", "large"} == set(planned)
    assert planned == [each["model"] for each in told["candidates"]]
    reasons = {each["model"]: each["reasons"] for each in told["candidates"]}
    assert last["headgate"]["routing"]["reasons"] == reasons[last["headgate"]["model"]]
    assert last["headgate"]["attempts"] == told["attempts"]
    assert {"one/sandbox-fail-503", "two/sandbox-small"} == set(told["health"])
    shown = command(gateway, "route", "explain", "--id", generation_id, "--customer", "tester")
    assert "replayed: the inputs that were kept give this very plan" in shown


async def test_no_text_is_in_the_store(gateway: RunningGateway, store_server: PrivateServer) -> None:
    """Nor a key: of all that is kept of a request, nothing holds a marker that its texts and headers held."""
    generation_id, _ = stream(gateway)
    command(gateway, "route", "explain", "--id", generation_id)
    async with asyncio.timeout(WAIT_S):
        while not (  # noqa: ASYNC110
            blob := await raw(store_server, "GET", f"hg:{{tester}}:generation:{generation_id}")
        ):
            await asyncio.sleep(0.02)  # another process has no event to wait for
    assert b"balanced" in blob
    for secret in (MARKER, gateway.key):
        assert secret.encode() not in blob


async def raw(server: PrivateServer, *words: str) -> bytes:
    """A command's reply: its one string, empty where there is none."""
    reader, writer = await asyncio.open_unix_connection(str(server.socket_path))
    try:
        writer.write(
            b"*%d\r\n" % len(words)
            + b"".join(b"$%d\r\n%b\r\n" % (len(w.encode()), w.encode()) for w in words)
        )
        head = await reader.readline()
        length = int(head[1:])
        return b"" if length < 0 or head[:1] != b"$" else await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()


def test_no_more_than_may_be(gateway: RunningGateway) -> None:
    """The oldest go."""
    first, _ = stream(gateway, "large")
    for _ in range(50):
        last, _ = stream(gateway, "large")
    assert 200 == get(gateway, last).status_code
    for _ in range(200):
        if get(gateway, first).status_code == 404:
            return
        time.sleep(0.05)  # as above
    raise AssertionError("the oldest is still kept")


def test_off(tmp_path: Path) -> None:
    """0 keeps none; requests run all the same."""
    with running(tmp_path, config(generations_days=0), ENVIRON) as process:
        generation_id, last = stream(process)
        assert "large" == last["headgate"]["model"]
        assert 404 == get(process, generation_id).status_code


def test_the_store_is_away(tmp_path: Path) -> None:
    """503 with `retry-after`; the request itself is not failed for its record, and that is found when it is back."""
    with PrivateServer(appendonly=True) as server:
        made = {**config(), "redis": {"url": server.url, "on_outage": "open"}}
        with running(tmp_path, made, ENVIRON) as process:
            old, _ = stream(process)
            server.kill()
            new, last = stream(process)
            assert "large" == last["headgate"]["model"]
            # What has not reached the store yet is found without it.
            assert 200 == get(process, new).status_code
            refused = get(process, "req-0")
            assert (503, "limits_unavailable") == (refused.status_code, refused.body["error"]["code"])
            assert int(refused.headers["retry-after"]) >= 1
            server.start()
            for wanted in (old, new):
                wait_for(process, wanted)


def wait_for(gateway: RunningGateway, wanted: str) -> None:
    for _ in range(200):
        answer = get(gateway, wanted)
        if answer.status_code == 200:
            return
        assert 503 == answer.status_code
        time.sleep(0.05)  # another process has no event to wait for
    raise AssertionError(f"{wanted} is not found")


def test_an_erased_customer_leaves_nothing(tmp_path: Path) -> None:
    """`headgate customers erase`: its keys stop working, its ledger, figures and records are gone."""
    with running(tmp_path, config(), ENVIRON) as process:
        command(process, "customers", "create", "acme", "--limit", "usd_per_month=5", "--json")
        key = orjson.loads(command(process, "keys", "create", "--customer", "acme", "--json"))["key"]
        with openai.OpenAI(base_url=f"{process.base}/v1", api_key=key, max_retries=0) as client:
            raw = client.chat.completions.with_raw_response.create(model="large", messages=HELLO)
        generation_id = raw.headers["x-generation-id"]
        assert 200 == get(process, generation_id, key).status_code
        erased = orjson.loads(command(process, "customers", "erase", "acme", "--yes", "--json"))
        assert erased["erased"]
        again = orjson.loads(command(process, "customers", "erase", "acme", "--yes", "--json"))
        assert 0 == again["records"]
        unknown = CliRunner().invoke(
            main,
            ["route", "explain", "--id", generation_id, "--url", process.base],
            env={"HEADGATE_ADMIN_KEY": ADMIN_KEY},
        )
        assert (1, True) == (unknown.exit_code, "there is no record" in unknown.stderr)
        assert "" == command(process, "ledger", "export", "--customer", "acme")
