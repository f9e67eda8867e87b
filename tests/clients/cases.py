"""How a client's script tells what it saw: one JSON object, case name to `{"seen": …}` or `{"failed": stack}`.

It goes into a file, `HEADGATE_RESULTS`: packages print what they like.
Imported by scripts that run in the client's own environment, so nothing but the standard library is used here. A
script judges nothing; the test that starts it does.
"""

import asyncio
import inspect
import json  # noqa: TID251 - a client's environment has no orjson
import os
import traceback
from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

URL: Final = os.environ["HEADGATE_URL"]
KEY: Final = os.environ["HEADGATE_KEY"]
LIMITED_KEY: Final = os.environ["HEADGATE_LIMITED_KEY"]

TOLD: Final = "Tell me about locks, please."
QUESTION: Final = "What is the weather in Paris and what does the clock say?"
_PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PIXEL: Final = b64decode(_PIXEL)
PIXEL_URL: Final = f"data:image/png;base64,{_PIXEL}"

Case = Callable[[], Any | Awaitable[Any]]


class Cases:
    """The cases of one script, in the order they were named."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}

    def add(self, name: str, case: Case) -> None:
        """`case` gives what JSON can hold."""
        assert name not in self._cases, name
        self._cases[name] = case

    def run(self) -> None:
        """Run all on one event loop and write down what they saw."""
        Path(os.environ["HEADGATE_RESULTS"]).write_text(json.dumps(asyncio.run(self._run())))

    async def _run(self) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for name, case in self._cases.items():
            try:
                seen = case()
                results[name] = {"seen": await seen if inspect.isawaitable(seen) else seen}
            except Exception:  # noqa: BLE001 - whatever a package throws belongs to its case
                results[name] = {"failed": traceback.format_exc()}
        return results
