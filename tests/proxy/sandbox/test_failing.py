"""Over real HTTP: each failure happens as its name says, and none outlives its client or the sandbox."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson
import pytest

from proxy.sandbox import failing
from proxy.sandbox.failing import Tally
from proxy.sandbox.failures import PREFIX, of_header
from proxy.sandbox.server import Sandbox
from tests.proxy.sandbox.asking import CREATED_S, chunks, joined
from tests.proxy.sandbox.calling import Caller

DONE = b"data: [DONE]"
CODES = {
    "400": None,
    "401": "invalid_api_key",
    "402": "insufficient_balance",
    "403": "unsupported_country_region_territory",
    "404": "model_not_found",
    "408": "request_timeout",
    "409": "conflict",
    "413": "request_too_large",
    "418": None,
    "422": "unprocessable_entity",
    "424": "failed_dependency",
    "429": "rate_limit_exceeded",
    "498": "capacity_exceeded",
    "500": None,
    "502": "bad_gateway",
    "503": "server_is_overloaded",
    "504": "gateway_timeout",
    "529": "overloaded_error",
    "599": None,
}


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Any:
    """A failure on request is no error of the server: nothing is logged."""
    yield
    assert [] == caplog.messages


class Broken:
    """What came before the connection broke; `error` is None after a clean end."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.received = b""
        self.error: Exception | None = None

    @property
    def frames(self) -> list[bytes]:
        *whole, rest = self.received.split(b"\n\n")
        assert b"" == rest
        return whole

    @property
    def pieces(self) -> list[str]:
        parts = [orjson.loads(frame.removeprefix(b"data: ")) for frame in self.frames]
        return [part["choices"][0]["delta"]["content"] for part in parts]


async def take(request: Any) -> Broken:
    seen = Broken()
    try:
        async with asyncio.timeout(10), request as response:
            seen.status = response.status
            seen.headers = {name.lower(): value for name, value in response.headers.items()}
            async for part in response.content.iter_any():
                seen.received += part
    except aiohttp.ClientError as error:
        seen.error = error
    return seen


def stream(caller: Caller, name: str, **members: Any) -> Any:
    return caller.post(model=PREFIX + name, stream=True, **members)


def plain(caller: Caller, name: str, **members: Any) -> Any:
    return caller.post(model=PREFIX + name, **members)


def each(caller: Caller, name: str) -> list[Any]:
    """The ways to ask for a failure: streamed, plain, embeddings by name and by header."""
    return [
        stream(caller, name),
        plain(caller, name),
        caller.embed(model=PREFIX + name),
        caller.embed(fail=name),
        caller.post(fail=name),
    ]


@pytest.mark.parametrize(("status", "code"), CODES.items())
async def test_a_status_has_its_body_and_code(caller: Caller, status: str, code: str | None) -> None:
    """However it is asked for; without a word about when to come back."""
    for request in each(caller, status):
        seen = await take(request)
        assert (int(status), "application/json") == (seen.status, seen.headers["content-type"])
        error = orjson.loads(seen.received)["error"]
        assert {"message", "type", "param", "code"} == set(error)
        assert code == error["code"]
        assert not any(name.startswith("retry-after") for name in seen.headers)
        assert seen.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("name", "status", "kind", "code", "param"),
    [
        ("quota", 429, "insufficient_quota", "insufficient_quota", None),
        ("context", 400, "invalid_request_error", "context_length_exceeded", "messages"),
        ("529", 529, "overloaded_error", "overloaded_error", None),
    ],
)
async def test_named_errors_are_told_apart(
    caller: Caller, name: str, status: int, kind: str, code: str, param: str | None
) -> None:
    """One status with several meanings has several names."""
    seen = await take(plain(caller, name))
    error = orjson.loads(seen.received)["error"]
    assert (status, kind, code, param) == (seen.status, error["type"], error["code"], error["param"])


async def test_when_to_come_back_is_said_in_three_ways(caller: Caller) -> None:
    """Seconds, milliseconds beside them, and a date by the sandbox's own clock."""
    seen = await take(plain(caller, "429-retry-20-retryms-19500"))
    assert ("20", "19500") == (seen.headers["retry-after"], seen.headers["retry-after-ms"])
    seen = await take(plain(caller, "503-retrydate-30"))
    assert seen.headers["retry-after"].endswith(" GMT")
    assert CREATED_S + 30 == parsedate_to_datetime(seen.headers["retry-after"]).timestamp()


async def test_a_page_is_html(caller: Caller) -> None:
    """What a reverse proxy sends: no JSON anywhere."""
    for name, status in (("html", 502), ("html-as-504", 504)):
        for request in each(caller, name):
            seen = await take(request)
            assert (status, "text/html") == (seen.status, seen.headers["content-type"])
            assert seen.received.startswith(b"<html>")


@pytest.mark.parametrize("name", ["close", "reset"])
async def test_a_connection_ends_before_an_answer(caller: Caller, name: str) -> None:
    """No status line; a reset is told from an orderly end."""
    for request in each(caller, name):
        seen = await take(request)
        assert (None, b"") == (seen.status, seen.received)
        expected = aiohttp.ServerDisconnectedError if name == "close" else aiohttp.ClientOSError
        assert expected is type(seen.error)


@pytest.mark.parametrize("name", ["close", "reset"])
@pytest.mark.parametrize(("after", "pieces"), [("headers", 0), ("0", 1), ("3", 4), ("finish", None)])
async def test_a_stream_is_cut(caller: Caller, name: str, after: str, pieces: int | None) -> None:
    """Exactly the frames asked for arrive, the opening first; then the connection is gone in mid-body."""
    seen = await take(stream(caller, f"{name}-after-{after}"))
    assert (200, "text/event-stream; charset=utf-8") == (seen.status, seen.headers["content-type"])
    assert isinstance(seen.error, aiohttp.ClientPayloadError)
    assert DONE not in seen.received
    if pieces is not None:
        assert pieces == len(seen.frames)
    else:
        assert "stop" == orjson.loads(seen.frames[-1].removeprefix(b"data: "))["choices"][0]["finish_reason"]


@pytest.mark.parametrize("name", ["close", "reset"])
async def test_a_plain_answer_is_cut(caller: Caller, name: str) -> None:
    """Nothing of it, its first half, or all but the mark of its end."""
    for ask in (caller.post, caller.embed):
        whole = len(await (await ask(model=PREFIX + "slow-ms-0")).read())
        for after, least, most in (
            ("headers", 0, 0),
            ("0", 0, 0),
            ("3", whole // 3, whole),
            ("finish", whole, 9999),
        ):
            seen = await take(ask(model=f"{PREFIX}{name}-after-{after}"))
            assert 200 == seen.status
            assert isinstance(seen.error, aiohttp.ClientPayloadError)
            assert least <= len(seen.received) <= most


async def test_a_stream_may_end_without_a_finish_reason(caller: Caller) -> None:
    """The body ends as it should, the answer does not."""
    for name, frames in (("end", 4), ("end-after-1", 2), ("end-after-headers", 0), ("empty", 0)):
        seen = await take(stream(caller, name))
        assert (200, None, frames) == (seen.status, seen.error, len(seen.frames))
        assert b'"finish_reason":"' not in seen.received


async def test_more_pieces_than_there_are_is_all_of_them(caller: Caller) -> None:
    """The failure still comes before the finish reason."""
    seen = await take(stream(caller, "end-after-1000", sandbox={"pieces": 5, "pace_ms": 0, "first_ms": 0}))
    assert 6 == len(seen.pieces)


async def test_a_plain_answer_may_end_in_the_middle(caller: Caller) -> None:
    """JSON that breaks off, or no byte at all, in a body that ends in good order."""
    seen = await take(plain(caller, "end"))
    assert (200, None) == (seen.status, seen.error)
    assert seen.received.startswith(b'{"id":"chatcmpl-')
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(seen.received)
    seen = await take(caller.embed(model=PREFIX + "empty"))
    assert (200, None, b"") == (seen.status, seen.error, seen.received)


async def test_done_may_be_all_there_is(caller: Caller) -> None:
    """The mark of the end without an answer, or without its finish reason; plain, an object without members."""
    assert [DONE] == (await take(stream(caller, "done"))).frames
    cut = await take(stream(caller, "done-after-2"))
    assert (4, DONE) == (len(cut.frames), cut.frames[-1])
    assert b'"finish_reason":"' not in cut.received
    assert b"{}" == (await take(plain(caller, "done-after-2"))).received


async def test_an_error_may_come_under_200(caller: Caller) -> None:
    """As the first frame, after some pieces, or after the finish reason; never with a mark of the end."""
    for name, before, code in (
        ("error", 0, None),
        ("error-as-429-after-3", 4, "rate_limit_exceeded"),
        ("error-as-quota-after-0", 1, "insufficient_quota"),
    ):
        seen = await take(stream(caller, name))
        assert (200, None, before + 1) == (seen.status, seen.error, len(seen.frames))
        assert code == orjson.loads(seen.frames[-1].removeprefix(b"data: "))["error"]["code"]
    late = await take(stream(caller, "error-after-finish"))
    assert b'"finish_reason":"stop"' in late.frames[-2]
    assert b'"error"' in late.frames[-1]
    for ask in (caller.post, caller.embed):
        seen = await take(ask(model=PREFIX + "error-as-503"))
        assert (200, "server_is_overloaded") == (seen.status, orjson.loads(seen.received)["error"]["code"])


async def test_bytes_may_make_no_sense(caller: Caller) -> None:
    """Garbage is neither an event nor JSON; a mangled frame looks like one whose JSON breaks off."""
    for request in each(caller, "garbage"):
        seen = await take(request)
        assert (200, None) == (seen.status, seen.error)
        assert b"data:" not in seen.received
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(seen.received)
    mangled = await take(stream(caller, "mangled-after-1"))
    assert 3 == len(mangled.frames)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(mangled.frames[-1].removeprefix(b"data: "))


async def test_a_slow_answer_is_whole(caller: Caller) -> None:
    """Late, but the same as any other; comments and blank lines may come meanwhile."""
    seen = await take(stream(caller, "slow-ms-1"))
    assert "stop" == joined(chunks(seen.received))[0]["finish"]
    seen = await take(stream(caller, "comments-ms-1"))
    comments = [frame for frame in seen.frames if frame.startswith(b": ")]
    assert comments == seen.frames[: len(comments)]
    assert comments
    assert "stop" == joined(chunks(seen.received[seen.received.index(b"data: ") :]))[0]["finish"]
    for ask, kind in ((caller.post, "chat.completion"), (caller.embed, "list")):
        assert kind == orjson.loads((await take(ask(model=PREFIX + "slow-ms-1"))).received)["object"]
        seen = await take(ask(model=PREFIX + "comments-ms-1"))
        assert seen.received.startswith(b"\n")
        assert kind == orjson.loads(seen.received)["object"]


async def test_the_pause_before_a_failure_is_kept(caller: Caller) -> None:
    """40 ms before a status, by the loop's own clock."""
    clock = asyncio.get_running_loop().time
    begin_s = clock()
    assert 503 == (await take(plain(caller, "503-ms-40"))).status
    assert clock() - begin_s >= 0.039


async def test_a_failure_may_end(caller: Caller) -> None:
    """Twice a 503, then answers for good; each name and each model has a count of its own."""
    for _ in range(2):
        assert 503 == (await take(plain(caller, "503-times-2"))).status
    for _ in range(2):
        seen = await take(plain(caller, "503-times-2"))
        assert (200, "sandbox-fail-503-times-2") == (seen.status, orjson.loads(seen.received)["model"])
    assert 503 == (await take(plain(caller, "503-times-1"))).status
    found = [(await take(caller.post(fail="503-times-1", stream=True))).status for _ in range(2)]
    assert [503, 200] == found


async def test_a_refused_request_is_not_counted(caller: Caller) -> None:
    """What is wrong is said first, and the failure is still to come."""
    assert 400 == (await take(plain(caller, "503-times-1", n=0))).status
    assert 503 == (await take(plain(caller, "503-times-1"))).status


def test_the_tally_is_bounded() -> None:
    """However many names are made up, a few thousand are remembered; the latest ones are."""
    tally = Tally()
    for number in range(1, 6_000):
        assert tally.due("sandbox-small", of_header(f"503-times-{number}")) is not None
    assert 4_096 == len(tally)
    assert tally.due("sandbox-small", of_header("503-times-1")) is not None
    assert tally.due("other", None) is None


@pytest.mark.parametrize("after", ["", "-after-headers", "-after-0", "-after-3", "-after-finish"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_ends_its_stall(caller: Caller, after: str, streamed: bool) -> None:  # noqa: FBT001 - pytest's way of passing cases
    """Wherever it is silent, the sandbox notices at once."""
    asked: dict[str, Any] = {"model": f"{PREFIX}stall{after}", "stream": streamed}

    async def wait_for_ever() -> None:
        async with caller.post(**asked) as response:
            await response.read()

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait_for_ever())
        await caller.until_answering(1)
        waiting.cancel()
    await caller.until_answering(0)


@pytest.mark.parametrize("after", ["", "-after-0"])
async def test_a_stall_is_bounded(caller: Caller, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """Ten minutes at most, here a millisecond; then the connection is closed."""
    assert 600 == failing.LONGEST_STALL_S
    monkeypatch.setattr(failing, "LONGEST_STALL_S", 0.001)
    seen = await take(stream(caller, f"stall{after}"))
    assert isinstance(seen.error, aiohttp.ClientPayloadError if after else aiohttp.ServerDisconnectedError)


async def test_a_stall_lets_through_what_was_asked_for(caller: Caller) -> None:
    """Headers, then nothing; or three pieces, then nothing."""
    response = await stream(caller, "stall-after-headers")
    assert (200, 1) == (response.status, caller.sandbox.answering)
    response.close()
    await caller.until_answering(0)
    response = await stream(caller, "stall-after-3")
    frames = [await response.content.readuntil(b"\n\n") for _ in range(4)]
    assert all(frame.startswith(b"data: {") for frame in frames)
    assert 1 == caller.sandbox.answering
    response.close()
    await caller.until_answering(0)


@pytest.mark.parametrize("name", ["stall", "stall-after-0", "slow-ms-600000", "comments-ms-600000"])
async def test_a_stopping_sandbox_leaves_no_failure_behind(name: str) -> None:
    """Stalls end with the sandbox, and no task of it is left."""
    before = asyncio.all_tasks()
    sandbox = Sandbox()
    base_url = await sandbox.start()
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, sandbox, base_url)
        async with asyncio.TaskGroup() as group:
            group.create_task(take(stream(caller, name)))
            await caller.until_answering(1)
            await sandbox.stop()
    assert 0 == sandbox.answering
    assert before == asyncio.all_tasks()
