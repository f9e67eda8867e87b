"""The ledger says of each request what its answer said, and the books add up, however the request went."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from proxy.cli.main import main
from tests.support.gateway import ADMIN_KEY
from tests.support.raw_client import Answer
from tests.support.scripted import DONE, WAIT_S, Exchange, completion, finish, role, text, usage
from tests.support.site import Site, config, model, provider, site

CUSTOMERS = ("streamed", "plain", "failover", "broken", "leaver", "refused")
TAGS = ["plan:a", "job:7"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def configure(listener: socket.socket) -> dict[str, Any]:
        providers = {name: provider(listener, f"/{name}/v1") for name in ("first", "second")}
        made = config(
            providers,
            [model("test-model", "first", "second"), model("lonely", "first")],
            routing={"retries": 1},
            customers=[
                {"id": each, "limits": {"usd_per_month": 10}, "tags": ["plan:a"]} for each in CUSTOMERS
            ],
        )
        made["keys"] += [
            {"id": f"{each}-key", "customer": each, "secret": f"env:KEY_{each.upper()}"} for each in CUSTOMERS
        ]
        return made

    environ = {f"KEY_{each.upper()}": secret_of(each) for each in CUSTOMERS}
    with site(tmp_path_factory.mktemp("ledger"), configure, environ) as place:
        yield place


def secret_of(customer: str) -> str:
    return f"test-key-{customer}-abcdefgh"


def body_of(place: Site, customer: str, **members: Any) -> bytes:
    said = place.chat(headgate={"tags": ["job:7"]}, **members)
    return said.replace(place.gateway.key.encode(), secret_of(customer).encode())


async def ask(place: Site, customer: str, **members: Any) -> Answer:
    async with place.client() as client:
        await client.send(body_of(place, customer, **members))
        return await client.read_all()


def command(place: Site, *arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(
        main, [*arguments, "--url", place.gateway.base], env={"HEADGATE_ADMIN_KEY": ADMIN_KEY}
    )
    assert exit_code == result.exit_code, result.output
    return result.stdout


async def rows(place: Site, customer: str, count: int) -> list[dict[str, Any]]:
    """As exported, once there are so many: they are written a moment after the answer."""
    async with asyncio.timeout(6 * WAIT_S):
        while True:
            lines = command(place, "ledger", "export", "--customer", customer).splitlines()
            if len(lines) >= count:
                break
            await asyncio.sleep(0.05)  # another process has no event to wait for
    found = [orjson.loads(line) for line in lines]
    assert count == len(found)
    return found


def check_books(place: Site, customer: str, found: list[dict[str, Any]]) -> None:
    """`reconcile` finds nothing, and usage is the sum of the rows."""
    books = orjson.loads(command(place, "ledger", "reconcile", "--customer", customer, "--json"))
    assert books["ok"]
    assert len(found) == books["rows"]
    used = orjson.loads(command(place, "usage", "--customer", customer, "--json"))["total"]
    assert len(found) == used["requests"]
    for name in ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"):
        assert sum(row[name] for row in found) == used[name]
    assert used["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in found), abs=1e-9)
    assert used["estimated"] == sum(row["estimated"] for row in found)
    assert books["data"][0]["counted"]["usd"] == pytest.approx(used["cost_usd"], abs=1e-9)


def check_row(row: dict[str, Any], said: dict[str, Any], facts: dict[str, Any]) -> None:
    """A row says what the answer's `usage` and `headgate` said."""
    assert facts["request_id"] == row["request_id"]
    assert (said["prompt_tokens"], said["completion_tokens"]) == (row["input_tokens"], row["output_tokens"])
    assert said["cost"] == facts["cost_usd"] == row["cost_usd"]
    assert facts["model"] == row["model"]
    shared = ("backend", "outcome", "status", "cost_usd")
    assert [{name: each[name] for name in shared} for each in facts["attempts"]] == [
        {name: each[name] for name in shared} for each in row["attempts"]
    ]
    assert TAGS == row["tags"]


async def good(exchange: Exchange) -> None:
    await exchange.stream(role(), text("good"), finish(), usage(11, 500), DONE)


async def test_a_streamed_answer(place: Site) -> None:
    """Tokens, cost, model and attempts are those of the last chunk."""
    async with place.upstream(good):
        answer = await ask(place, "streamed", stream_options={"include_usage": True})
    last = answer.chunks[-1]
    found = await rows(place, "streamed", 1)
    check_row(found[0], last["usage"], last["headgate"])
    (row,) = found
    assert ("ok", 200, False, "streamed-key", "test-model") == tuple(
        row[name] for name in ("outcome", "status", "estimated", "key", "asked")
    )
    assert row["arrived_at"] <= row["settled_at"]
    check_books(place, "streamed", found)


async def test_a_plain_answer(place: Site) -> None:
    """The same for one without a stream."""

    async def whole(exchange: Exchange) -> None:
        await exchange.answer(200, completion())

    async with place.upstream(whole):
        answers = [await ask(place, "plain", stream=False) for _ in range(3)]
    found = await rows(place, "plain", 3)
    for row, answer in zip(found, answers, strict=True):
        check_row(row, answer.members["usage"], answer.members["headgate"])
    check_books(place, "plain", found)


async def test_a_failed_over_answer(place: Site) -> None:
    """The row names who answered, and every attempt."""

    async def failing(exchange: Exchange) -> None:
        if exchange.path.startswith("/first"):
            await exchange.answer(500, b'{"error": {"message": "no"}}')
        else:
            await good(exchange)

    async with place.upstream(failing):
        answer = await ask(place, "failover")
    last = answer.chunks[-1]
    found = await rows(place, "failover", 1)
    check_row(found[0], last["usage"], last["headgate"])
    assert "second/upstream-model" == found[0]["backend"]
    assert ["overloaded", "ok"] == [each["outcome"] for each in found[0]["attempts"]]
    check_books(place, "failover", found)


async def test_a_broken_answer(place: Site) -> None:
    """What came before the break is billed, and the row says that it broke."""

    async def cut(exchange: Exchange) -> None:
        await exchange.stream(role(), text("some words"))

    async with place.upstream(cut):
        answer = await ask(place, "broken")
    last = answer.chunks[-1]
    found = await rows(place, "broken", 1)
    check_row(found[0], last["usage"], last["headgate"])
    assert ("protocol", True) == (found[0]["outcome"], found[0]["estimated"])
    assert found[0]["output_tokens"] > 0
    check_books(place, "broken", found)
    used = orjson.loads(command(place, "usage", "--customer", "broken", "--json"))["total"]
    assert 1 == used["errors"]


async def test_a_client_that_leaves_mid_stream_is_booked_once_with_estimated_tokens(place: Site) -> None:
    """One row, its tokens not zero and marked as an estimate; and it is no error."""

    async def begun(exchange: Exchange) -> None:
        await exchange.start()
        for piece in (role(), text("some words of an answer that is never finished")):
            await exchange.send(piece)
        await exchange.closed.wait()

    async with place.upstream(begun) as upstream:
        for manner in ("leave", "reset"):
            async with place.client() as client:
                await client.send(body_of(place, "leaver"))
                await client.read_until(b"never finished")
                getattr(client, manner)()
                await (await upstream.exchange(len(upstream.exchanges) - 1)).until_closed()
    found = await rows(place, "leaver", 2)
    for row in found:
        assert ("client_gone", 499, True) == (row["outcome"], row["status"], row["estimated"])
        assert row["input_tokens"] > 0
        assert row["output_tokens"] > 0
        assert row["cost_usd"] > 0
    assert 2 == len({row["request_id"] for row in found})
    check_books(place, "leaver", found)
    used = orjson.loads(command(place, "usage", "--customer", "leaver", "--json"))["total"]
    assert (0, 2) == (used["errors"], used["estimated"])


async def test_what_did_not_run_is_in_no_row(place: Site) -> None:
    """Refused requests count nowhere; one that the provider failed has a row without tokens."""

    async def failing(exchange: Exchange) -> None:
        await exchange.answer(400, b'{"error": {"message": "no"}}')

    async with place.upstream(failing):
        for members, status in (
            ({"model": "unknown"}, 404),
            ({"messages": []}, 400),
            ({"headgate": {"tags": ["two words"]}}, 400),
        ):
            said: dict[str, Any] = {"model": "lonely", **members}
            request = place.chat(**said).replace(place.gateway.key.encode(), secret_of("refused").encode())
            async with place.client() as client:
                await client.send(request)
                assert status == (await client.read_all()).status, members
        await ask(place, "refused", model="lonely")
    found = await rows(place, "refused", 1)
    expected = ("bad_request", 400, 0, 0, 0.0)
    shown = tuple(
        found[0][name] for name in ("outcome", "status", "input_tokens", "output_tokens", "cost_usd")
    )
    assert expected == shown
    check_books(place, "refused", found)


async def test_bad_tags_are_refused(place: Site) -> None:
    """And what is wrong is named."""
    async with place.upstream(good):
        answer = await place.ask(headgate={"tags": ["two words"]})
    assert (400, "headgate.tags") == (answer.status, answer.members["error"]["param"])
    assert "1 to 64 letters" in answer.members["error"]["message"]


async def test_everything_adds_up(place: Site) -> None:
    """All customers at once, and by tag; CSV has a line for each row."""
    before = len(command(place, "ledger", "export", "--customer", "streamed").splitlines())
    async with place.upstream(good):
        await ask(place, "streamed")
    await rows(place, "streamed", before + 1)
    assert "everything adds up" in command(place, "ledger", "reconcile")
    by_tag = orjson.loads(command(place, "usage", "--group-by", "tag", "--json"))
    tags = {row["tag"]: row["requests"] for row in by_tag["data"]}
    assert tags["plan:a"] == tags["job:7"] > 0
    lines = command(place, "ledger", "export", "--csv").splitlines()
    assert len(lines) - 1 == len(command(place, "ledger", "export").splitlines())
