"""The HTTP side: a server on a loopback port, and the pace at which answers leave."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from aiohttp import web

from proxy.sandbox import answers, options, scripts, usage
from proxy.sandbox.fields import RequestError
from proxy.sandbox.request import MODELS, Request, no_such_model, read
from proxy.sandbox.scripts import Script
from proxy.sandbox.usage import PrefixMemory, Usage

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
        app.router.add_get("/v1/models", _models)
        app.router.add_get("/v1/models/{model}", _model)
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
        port = runner.addresses[0][1]
        return f"http://127.0.0.1:{port}/v1"

    async def stop(self) -> None:
        """Stop listening; answers under way get a second, then are cut. Harmless when not running."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _chat(self, incoming: web.Request) -> web.StreamResponse:
        asked = read(await incoming.read(), incoming.headers.get(options.PACE_HEADER))
        script = scripts.write(asked)
        counted = usage.count(asked, script, self._prefixes.cached_tokens(asked.model, asked.prompt))
        with self._counting():
            await asyncio.sleep(asked.manner.first_ms / 1000)
            if asked.stream:
                return await self._stream(incoming, asked, script, counted)
            body = answers.plain(asked, script, counted, int(self._now_s()))
            return web.Response(body=body, content_type=_JSON, headers=_headers(asked))

    async def _stream(
        self, incoming: web.Request, asked: Request, script: Script, counted: Usage
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers(asked) | {"cache-control": "no-cache"})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(incoming)
        clock = asyncio.get_running_loop().time
        due_s = clock()
        for number, beat in enumerate(answers.beats(asked, script, counted, int(self._now_s()))):
            if number > 1:  # the opening and the first piece leave together
                due_s += asked.manner.pace_ms / 1000
                # Without a pace this still lets others run between two pieces.
                await asyncio.sleep(max(0.0, due_s - clock()))
            await response.write(beat)
        await response.write_eof()
        return response

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


def _headers(asked: Request) -> dict[str, str]:
    return {"x-request-id": f"req_{asked.digest}"}


async def _models(incoming: web.Request) -> web.Response:
    del incoming
    return web.Response(body=answers.model_list(), content_type=_JSON)


async def _model(incoming: web.Request) -> web.Response:
    name = incoming.match_info["model"]
    if name not in MODELS:
        raise no_such_model(name)
    return web.Response(body=answers.model_entry(name), content_type=_JSON)
