"""The load generator: sends one job, checks every answer, prints what came of it as JSON.

    python -m tests.bench.loadgen '{"port": 8080, "key": "…", "model": "m", "shape": "plain"}'

A stream counts when every word arrived once and in order, then finish reason, usage, `[DONE]` and a proper
end of the body; a plain answer when text, finish reason and usage are right. Anything else is an error of a
named kind and counts nowhere.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import cast

import httptools
import orjson
import uvloop

from tests.bench import checking
from tests.bench.load import Job, Outcome, Shape, Tally, outcome

_AFTER_AN_ERROR_S = 0.01  # an endpoint that only fails is not worth a busy loop


@dataclass(frozen=True, slots=True)
class Answer:
    """`whole` says that the body ended as HTTP says it must. Times are of `perf_counter`.

    The loop's own clock stands still during a turn of the loop and counts whole milliseconds under uvloop.
    """

    status: int
    body: bytes
    whole: bool
    first_word_at_s: float | None
    end_at_s: float


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answered: asyncio.Future[Answer] | None = None
        self.reusable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes) -> Answer:
        self._body: list[bytes] = []
        self._first_word_at_s: float | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answered = self._loop.create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        self.reusable = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._finish(whole=False)
            self.close()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        if self._first_word_at_s is None and checking.has_word(data):
            self._first_word_at_s = perf_counter()

    def on_message_complete(self) -> None:
        self.reusable = self.reusable and self._parser.should_keep_alive()
        self._finish(whole=True)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.reusable = False
        self._finish(whole=False)

    def _finish(self, *, whole: bool) -> None:
        answered, self._answered = self._answered, None
        if answered is None or answered.done():
            return
        body = b"".join(self._body)
        status = self._parser.get_status_code() if whole or body else 0
        answered.set_result(Answer(status, body, whole, self._first_word_at_s, perf_counter()))


class Load:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._request = job.request()
        self._loop = asyncio.get_running_loop()
        self._begin_s = self._loop.time()
        self._end_s = self._begin_s + job.duration_s
        self._sent = 0
        self._open = 0
        self._idle: list[Connection] = []
        self.tally = Tally()

    async def run(self) -> Outcome:
        async with asyncio.TaskGroup() as group:
            if self._job.rate_per_s:
                await self._arrive(group)
            else:
                for number in range(self._job.connections):
                    group.create_task(self._work(number))
        for connection in self._idle:
            connection.close()
        self.tally.seconds = self._loop.time() - self._begin_s
        return outcome(self.tally)

    async def _work(self, number: int) -> None:
        await asyncio.sleep(self._job.ramp_s * number / self._job.connections)
        while self._loop.time() < self._end_s and (not self._job.total or self._sent < self._job.total):
            self._sent += 1
            await self._one()

    async def _arrive(self, group: asyncio.TaskGroup) -> None:
        due_s = self._begin_s
        while due_s < self._end_s:
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            group.create_task(self._one())
            due_s += 1 / self._job.rate_per_s

    async def _one(self) -> None:
        """One request from a connection to its verdict."""
        begin_s = perf_counter()
        with self._counting():
            try:
                async with asyncio.timeout_at(self._end_s + self._job.drain_s):
                    connection = await self._connection()
                    try:
                        answer = await connection.ask(self._request)
                    except BaseException:
                        connection.close()
                        raise
            except TimeoutError:
                self.tally.wrong("timeout", "not answered before the end of the drain")
                return
            except OSError as error:
                self.tally.wrong("connect", str(error))
                await asyncio.sleep(_AFTER_AN_ERROR_S)
                return
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        await self._judge(answer, begin_s)

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._loop), "127.0.0.1", self._job.port
        )
        return connection

    async def _judge(self, answer: Answer, begin_s: float) -> None:
        problem = self._problem(answer)
        if problem is not None:
            self.tally.wrong(problem, answer.body[-300:].decode(errors="replace"))
            await asyncio.sleep(_AFTER_AN_ERROR_S)
            return
        self.tally.right += 1
        self.tally.latencies_s.append(answer.end_at_s - begin_s)
        if self._job.shape is Shape.STREAM:
            self.tally.chunks += self._job.chunks
            if answer.first_word_at_s is not None:
                self.tally.first_words_s.append(answer.first_word_at_s - begin_s)

    def _problem(self, answer: Answer) -> str | None:
        if not answer.whole:
            return "cut"
        if self._job.shape is Shape.PLAIN:
            return checking.plain(answer.status, answer.body)
        return checking.stream(answer.status, answer.body, self._job.chunks)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        self._open += 1
        self.tally.most_open = max(self.tally.most_open, self._open)
        try:
            yield
        finally:
            self._open -= 1


async def run(job: Job) -> Outcome:
    return await Load(job).run()


def main() -> None:
    given = orjson.loads(sys.argv[1])
    job = Job(**{**given, "shape": Shape(given["shape"])})
    sys.stdout.write(orjson.dumps(asdict(uvloop.run(run(job)))).decode() + "\n")


if __name__ == "__main__":
    main()
