"""The HTTP side: a server on a loopback port, its endpoints and what it refuses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from aiohttp import web

from proxy.sandbox import answers, embeddings, failures, options, scripts, usage
from proxy.sandbox.delivery import Answer, Plain, Stream, deliver
from proxy.sandbox.embeddings import EmbeddingsRequest
from proxy.sandbox.failing import Breaker, Tally
from proxy.sandbox.fields import RequestError
from proxy.sandbox.models import MODELS, no_such_model
from proxy.sandbox.request import Request, read
from proxy.sandbox.usage import PrefixMemory

_LARGEST_BODY_BYTES = 128 * 1024 * 1024  # several times what the gateway lets through
_STOP_S = 1.0  # what answers under way get to finish when the sandbox stops
_JSON = "application/json"


def _utc_s() -> float:
    return datetime.now(tz=UTC).timestamp()


class Sandbox:
    """The built-in upstream, started and stopped by its owner on the running loop; no signal handlers."""

    def __init__(self, now_s: Callable[[], float] = _utc_s) -> None:
        """`now_s` is the clock behind `created`, seconds since 1970."""
        self._now_s = now_s
        self._prefixes = PrefixMemory()
        self._tally = Tally()
        self._breaker = Breaker()
        self._runner: web.AppRunner | None = None
        self._answering = 0

    @property
    def answering(self) -> int:
        """How many answers are being given right now."""
        return self._answering

    async def start(self) -> str:
        """Listen on a free port of 127.0.0.1 and return the base URL, such as `http://127.0.0.1:41234/v1`.

        Raises:
            RuntimeError: it is running already.
        """
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        app = web.Application(middlewares=[_refusals], client_max_size=_LARGEST_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_get("/v1/models", _models)
        app.router.add_get("/v1/models/{model}", _model)
        breaker = Breaker()

        async def end_pauses(_: web.Application) -> None:
            breaker.stop()

        app.on_shutdown.append(end_pauses)
        # A handler is cancelled when its client leaves: that is what stops a generation.
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=_STOP_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._breaker = breaker
        port = runner.addresses[0][1]
        return f"http://127.0.0.1:{port}/v1"

    async def stop(self) -> None:
        """Stop listening; stalls end at once, answers under way get a second, then are cut.

        Harmless when not running.
        """
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _chat(self, incoming: web.Request) -> web.StreamResponse:
        asked = read(await incoming.read(), *_wishes(incoming))
        script = scripts.write(asked)
        counted = usage.count(asked, script, self._prefixes.cached_tokens(asked.model, asked.prompt))
        created_s = int(self._now_s())
        answer: Answer
        if asked.stream:
            frames = answers.frames(asked, script, counted, created_s)
            answer = Stream(frames, asked.manner.pace_ms, _headers(asked.digest))
        else:
            body = answers.plain(asked, script, counted, created_s)
            answer = Plain(body, _headers(asked.digest))
        return await self._answer(incoming, asked, answer)

    async def _embeddings(self, incoming: web.Request) -> web.StreamResponse:
        asked = embeddings.read(await incoming.read(), *_wishes(incoming))
        made: list[bytes] = []
        for entry in embeddings.entries(asked):
            made.append(entry)
            await asyncio.sleep(0)  # others run between two inputs
        answer = Plain(embeddings.answer(asked, made), _headers(asked.digest))
        return await self._answer(incoming, asked, answer)

    async def _answer(
        self, incoming: web.Request, asked: Request | EmbeddingsRequest, answer: Answer
    ) -> web.StreamResponse:
        failure = self._tally.due(asked.model, asked.failure)
        with self._counting():
            if failure is not None:
                return await self._breaker.fail(
                    incoming, failure, answer, now_s=self._now_s(), first_ms=asked.manner.first_ms
                )
            await asyncio.sleep(asked.manner.first_ms / 1000)
            return await deliver(incoming, answer)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every refusal in OpenAI's shape, those of the router too."""
    try:
        return await handler(request)
    except RequestError as refused:
        return _refused(refused)
    except web.HTTPNotFound:
        return _refused(
            RequestError(
                f"Unknown request URL: {request.method} {request.path}.", code="unknown_url", status=404
            )
        )
    except web.HTTPMethodNotAllowed:
        return _refused(
            RequestError(
                f"Not allowed: {request.method} {request.path}.", code="method_not_allowed", status=405
            )
        )
    except web.HTTPRequestEntityTooLarge:
        return _refused(
            RequestError(
                f"The body is larger than {_LARGEST_BODY_BYTES} bytes.", code="request_too_large", status=413
            )
        )


def _refused(refused: RequestError) -> web.Response:
    return web.Response(status=refused.status, body=answers.refusal(refused), content_type=_JSON)


def _headers(digest: str) -> dict[str, str]:
    return {"x-request-id": f"req_{digest}"}


def _wishes(incoming: web.Request) -> tuple[str | None, str | None]:
    """The headers that say how to answer: the pace and the failure."""
    return incoming.headers.get(options.PACE_HEADER), incoming.headers.get(failures.HEADER)


async def _models(incoming: web.Request) -> web.Response:
    del incoming
    return web.Response(body=answers.model_list(), content_type=_JSON)


async def _model(incoming: web.Request) -> web.Response:
    name = incoming.match_info["model"]
    if name not in MODELS:
        raise no_such_model(name)
    return web.Response(body=answers.model_entry(name), content_type=_JSON)
