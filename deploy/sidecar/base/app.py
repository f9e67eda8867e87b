"""An example app: streams answers from the gateway beside it, with nothing but the standard library.

Environment: OPENAI_BASE_URL and OPENAI_API_KEY, as every OpenAI SDK reads them; MODEL; STREAMS at once; ROUNDS, 0 for
no end; PAUSE_S between rounds; REQUEST, more members of the request as JSON. Prints JSON lines: `first` when a stream
has its first content, `stream` when it is over. Ends with 1 when one was broken.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any

ENDPOINT = os.environ["OPENAI_BASE_URL"].rstrip("/") + "/chat/completions"
KEY = os.environ["OPENAI_API_KEY"]
MODEL = os.environ.get("MODEL", "balanced")
STREAMS = int(os.environ.get("STREAMS", "1"))
ROUNDS = int(os.environ.get("ROUNDS", "0"))
PAUSE_S = float(os.environ.get("PAUSE_S", "10"))
MORE = json.loads(os.environ.get("REQUEST", "{}"))
# Beside a container that starts at the same time, or again: not there yet is no error.
PATIENCE_S = 60.0
# Whatever proxy the environment names, the gateway is in this Pod.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def opened(body: bytes) -> HTTPResponse:
    """The answer to a request, as soon as the gateway takes it."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            answer = _direct.open(urllib.request.Request(ENDPOINT, body, headers), timeout=300)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            assert isinstance(answer, HTTPResponse)
            return answer


def say(members: dict[str, Any]) -> None:
    """One line in one write: several streams say things at once."""
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


def stream(number: int) -> dict[str, Any]:
    """Ask, and read the answer as it comes. Returns what is told of it."""
    question = [{"role": "user", "content": f"Say something about the number {number}."}]
    body = json.dumps({"model": MODEL, "stream": True, "messages": question, **MORE}).encode()
    began = time.monotonic()
    told: dict[str, Any] = {
        "event": "stream",
        "number": number,
        "chunks": 0,
        "characters": 0,
        "first_ms": None,
        "finish": None,
        "done": False,
    }
    try:
        with opened(body) as answer:
            for line in answer:
                if not line.startswith(b"data: "):
                    continue
                if line.strip() == b"data: [DONE]":
                    told["done"] = True
                    continue
                chunk = json.loads(line[6:])
                told["chunks"] += 1
                for choice in chunk.get("choices", ()):
                    text = choice.get("delta", {}).get("content") or ""
                    told["characters"] += len(text)
                    if text and told["first_ms"] is None:
                        told["first_ms"] = round((time.monotonic() - began) * 1000)
                        say({"event": "first", "number": number})
                    told["finish"] = choice.get("finish_reason") or told["finish"]
                facts = chunk.get("headgate")
                if facts:
                    told["model"], told["cost_usd"] = facts["model"], facts["cost_usd"]
    except (OSError, ValueError) as error:
        told["error"] = f"{type(error).__name__}: {error}"
    told["broken"] = not told["done"] or told["finish"] not in ("stop", "length", "tool_calls")
    say(told)
    return told


def main() -> int:
    broken = 0
    done = 0
    while ROUNDS == 0 or done < ROUNDS:
        with ThreadPoolExecutor(STREAMS) as pool:
            broken += sum(told["broken"] for told in pool.map(stream, range(1, STREAMS + 1)))
        done += 1
        if ROUNDS == 0 or done < ROUNDS:
            time.sleep(PAUSE_S)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
