"""The load generator counts right answers only, and names what is wrong with the others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.bench import loadgen, wire
from tests.bench.fake import Fake, Knobs
from tests.bench.load import Job, Shape, percentile_ms

KEY = "test-upstream-key-0001"


@pytest.fixture
async def fake() -> AsyncIterator[tuple[Fake, Job]]:
    made = Fake(KEY)
    server = await made.listen()
    port = server.sockets[0].getsockname()[1]
    try:
        yield made, Job(port=port, key=KEY, model="m", shape=Shape.STREAM, connections=4, total=12, chunks=40)
    finally:
        server.close()
        await server.wait_closed()


async def test_right_streams_count(fake: tuple[Fake, Job]) -> None:
    """Twelve streams, all their words, over four connections; the upstream saw exactly these."""
    upstream, job = fake
    upstream.knobs = Knobs(chunks=40)
    made = await loadgen.run(job)
    assert (made.right, made.chunks, made.errors) == (12, 480, {})
    assert (upstream.stats.streams, upstream.stats.completed, upstream.stats.connections) == (12, 12, 4)
    assert made.first_word_p50_ms is not None


async def test_right_plain_answers_count(fake: tuple[Fake, Job]) -> None:
    """Twelve plain answers, no chunks."""
    upstream, job = fake
    made = await loadgen.run(replace(job, shape=Shape.PLAIN))
    assert (made.right, made.chunks, made.errors, upstream.stats.plain) == (12, 0, {}, 12)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("missing_word", "wrong_words"),
        ("missing_finish", "no_finish_reason"),
        ("missing_usage", "no_usage"),
        ("missing_done", "no_done"),
        ("cut", "cut"),
        ("error_frame", "error_frame"),
    ],
)
async def test_a_wrong_stream_is_an_error_with_a_name(fake: tuple[Fake, Job], fault: str, kind: str) -> None:
    """Each fault of the upstream is noticed, named, and counts neither as an answer nor in chunks."""
    upstream, job = fake
    upstream.knobs = Knobs(chunks=40, fault=fault)
    made = await loadgen.run(replace(job, total=3, connections=1))
    assert (made.right, made.chunks, made.errors) == (0, 0, {kind: 3})
    assert made.sample.startswith(kind)


async def test_a_wrong_number_of_words_is_an_error(fake: tuple[Fake, Job]) -> None:
    """Fewer or more words than asked for are wrong, however well the stream ends."""
    upstream, job = fake
    for chunks in (39, 41):
        upstream.knobs = Knobs(chunks=chunks)
        assert (await loadgen.run(replace(job, total=1))).errors == {"wrong_words": 1}


async def test_a_wrong_plain_answer_is_an_error(fake: tuple[Fake, Job]) -> None:
    """Another text, and a refusal, are told apart."""
    upstream, job = fake
    upstream.knobs = Knobs(fault="wrong_text")
    plain = replace(job, shape=Shape.PLAIN, total=2)
    assert (await loadgen.run(plain)).errors == {"wrong_text": 2}
    assert (await loadgen.run(replace(plain, key="another"))).errors == {"status_401": 2}


async def test_a_closed_port_is_an_error() -> None:
    """Nobody listening is counted, not raised."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    job = Job(port=port, key=KEY, model="m", shape=Shape.PLAIN, total=1)
    assert (await loadgen.run(job)).errors == {"connect": 1}


async def test_arrivals_at_a_rate_are_all_sent(fake: tuple[Fake, Job]) -> None:
    """Two hundred a second for a tenth of a second are twenty requests."""
    _, job = fake
    made = await loadgen.run(replace(job, shape=Shape.PLAIN, total=0, rate_per_s=200, duration_s=0.0999))
    assert (made.right, made.errors) == (20, {})


async def test_a_client_that_leaves_is_an_aborted_stream(fake: tuple[Fake, Job]) -> None:
    """The fake's own count of departures, by which a gateway's cancelling can be seen."""
    upstream, job = fake
    upstream.knobs = Knobs(chunks=40, interval_ms=60_000)
    made = await loadgen.run(replace(job, total=1, duration_s=0.05, drain_s=0.05))
    assert made.errors == {"timeout": 1}
    async with asyncio.timeout(5):
        while not upstream.stats.aborted:  # noqa: ASYNC110 - a count is all there is to wait for
            await asyncio.sleep(0)
    assert upstream.stats.aborted == 1


def test_a_request_has_the_size_asked_for() -> None:
    """The body is exactly as long as the job says, and its length is declared."""
    request = Job(port=1, key="k", model="m", shape=Shape.STREAM, body_bytes=1000).request()
    head, _, body = request.partition(b"\r\n\r\n")
    assert len(body) == 1000
    assert b"content-length: 1000" in head


def test_percentiles_are_by_nearest_rank() -> None:
    """Of a hundred values the 50th and the 99th; of one, that one; of none, none."""
    values = [number / 1000 for number in range(1, 101)]
    assert (percentile_ms(values, 50), percentile_ms(values, 99)) == (50.0, 99.0)
    assert (percentile_ms([0.007], 99), percentile_ms([], 50)) == (7.0, None)


def test_words_repeat_after_a_thousand() -> None:
    """The thousand-and-first word is the first again, in text as in frames."""
    assert wire.text(1001).endswith(b" w999 w000")
