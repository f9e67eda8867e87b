"""The reference: the least Python gateway there can be. It checks a key, swaps it, and relays what comes.

It knows no limits, no usage, no failover. What a real gateway costs is told as a multiple of this.
"""

import argparse
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypedDict

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class State(TypedDict):
    session: aiohttp.ClientSession


def build(environment: Mapping[str, str]) -> Starlette:
    url = environment["BENCH_UPSTREAM"] + "/v1/chat/completions"
    expected = f"Bearer {environment['BENCH_GATEWAY_KEY']}"
    headers = {
        "authorization": f"Bearer {environment['BENCH_UPSTREAM_KEY']}",
        "content-type": "application/json",
    }

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        del app
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            yield {"session": session}

    async def relay(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for data in response.content.iter_any():
                yield data
        finally:
            response.release()

    async def chat(request: Request) -> Response:
        if request.headers.get("authorization") != expected:
            return JSONResponse({"error": {"message": "wrong key"}}, 401)
        session: aiohttp.ClientSession = request.state.session
        response = await session.post(url, data=await request.body(), headers=headers)
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            return StreamingResponse(relay(response), response.status, media_type="text/event-stream")
        return Response(await response.read(), response.status, media_type=kind)

    async def health(request: Request) -> Response:
        del request
        return JSONResponse({"status": "ok"})

    routes = [Route("/v1/chat/completions", chat, methods=["POST"]), Route("/health", health)]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(
        build(os.environ),
        host="127.0.0.1",
        port=given.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        backlog=2048,
    )


if __name__ == "__main__":
    main()
