"""`docs/clients.md` tells the truth: every snippet runs as it stands, against a real gateway, in its client's place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.clients.environments import CLIENTS, ROOT, interpreter, modules, node
from tests.clients.place import Place, place

_PAGE: Final = ROOT / "docs" / "clients.md"
_PART: Final = re.compile(
    r"^(?:## (?P<heading>[^\n]+)|```(?P<language>\w+)\n(?P<code>.*?)^```)$", re.MULTILINE | re.DOTALL
)
_WRITTEN: Final = "http://127.0.0.1:8080"  # as `make run` has it; the test's gateway is elsewhere
_GREETING: Final = "Headgate sandbox"
_COST: Final = r"0\.000\d+"


@dataclass(frozen=True)
class Snippet:
    """A block of code of the page.

    Attributes:
        language: `python` or `javascript`.
    """

    language: str
    code: str


def _snippets() -> dict[str, Snippet]:
    """By the heading they stand under, numbered from the second on."""
    found: dict[str, Snippet] = {}
    heading, number = "", 0
    for part in _PART.finditer(_PAGE.read_text()):
        if part["heading"] is not None:
            heading, number = part["heading"], 0
            continue
        number += 1
        found[heading if number == 1 else f"{heading}, {number}"] = Snippet(part["language"], part["code"])
    return found


SNIPPETS: Final = _snippets()
# Where each runs, and what it must print.
PRINTS: Final = {
    "LangChain": ("langchain", rf"{_GREETING}.*\n {_COST}\nsandbox\n$"),
    "pydantic-ai": ("pydantic_ai", r"^name='.+' inhabitants=\d+\n\d+\n$"),
    "litellm": ("litellm", rf"{_GREETING}.*\n{_COST}\nsandbox \[.*'outcome': 'ok'.*\]\n$"),
    "AI SDK": ("ai_sdk", rf"{_GREETING}.*\n \d+ \d+ {_COST}\n$"),
    "AI SDK, 2": ("ai_sdk", rf"^sandbox {_COST} \[\n?.*outcome: 'ok'.*\]\n$"),
    "AI SDK with the OpenRouter provider": ("ai_sdk", rf"{_GREETING}.*\n{_COST}\n$"),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("docs")) as made:
        yield made


def test_all_snippets_are_known() -> None:
    """No snippet of the page is left out."""
    assert PRINTS.keys() == SNIPPETS.keys()


@pytest.mark.parametrize("name", PRINTS)
def test_snippet(here: Place, name: str) -> None:
    """The snippet runs and prints what the page says it shows."""
    client, prints = PRINTS[name]
    snippet = SNIPPETS[name]
    assert _WRITTEN in snippet.code
    ended = here.run(
        [*_program(client, snippet.language), snippet.code.replace(_WRITTEN, here.gateway.base)],
        directory=CLIENTS / client,
    )
    assert (0, "") == (ended.status, ended.stderr)
    assert re.search(prints, ended.stdout, re.DOTALL), ended.stdout


def _program(client: str, language: str) -> tuple[Path | str, ...]:
    """The program that takes code as its last argument."""
    if language == "python":
        return interpreter(client), "-c"
    modules(client)
    return node(), "--input-type=module", "--eval"
