"""docs/admin.md and docs/ledger.md: every example runs, in the order of the page."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson
import pytest
import yaml
from click.testing import CliRunner

from proxy.cli.main import main
from proxy.settings.load import load
from ratelimit.subjects.types import NewCustomer
from tests.proxy.admin.serving import ADMIN_KEY, Answer, Caller, Gateway, Served

DOCS: Final = Path(__file__).parents[3] / "docs"
ADDRESS: Final = "http://127.0.0.1:8080"


@pytest.fixture
def gateway() -> Iterator[Served]:
    with Served() as opened:
        yield opened


def blocks(page: str) -> list[list[str]]:
    """The lines of each indented block."""
    found = re.findall(r"(?:^ {4}.*\n)+", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    return [[line.removeprefix("    ") for line in block.splitlines()] for block in found]


def examples(page: str, command: str) -> list[list[str]]:
    """The words of every example that begins with a command, without it."""
    found: list[list[str]] = []
    for block in blocks(page):
        lines = iter(block)
        for line in lines:
            text = line
            # An open quote or a backslash goes on in the next line.
            while text.endswith("\\") or text.count("'") % 2:
                text = text.removesuffix("\\") + next(lines)
            if text.startswith(f"{command} "):
                found.append(shlex.split(text)[1:])
    return found


async def ask(call: Caller, words: list[str]) -> Answer:
    """What `curl` does with these words; it knows no option but those of the page."""
    method, body, url = None, None, ""
    rest = iter(words)
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                assert next(rest) in {"$ADMIN", "$JSON"}
            case "-d":
                body = orjson.loads(next(rest))
            case _:
                url = word
    assert url.startswith(ADDRESS)
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return await call(method or ("GET" if body is None else "POST"), target, body)


@pytest.mark.parametrize(("page", "least"), [("admin.md", 15), ("ledger.md", 8)])
async def test_requests(served: Gateway, call: Caller, page: str, least: int) -> None:
    """Each is done."""
    await served.directory.create_customer(NewCustomer("demo"))
    asked = examples(page, "curl")
    assert least <= len(asked)
    key_id = ""
    for words in asked:
        answer = await ask(call, [word.replace("$ID", key_id) for word in words])
        assert 200 <= answer.status < 300, (words, answer.raw)
        if answer.headers.get("content-type") == "application/json" and "key" in answer.json:
            key_id = answer.json["id"]


@pytest.mark.parametrize(("page", "least"), [("admin.md", 15), ("ledger.md", 9)])
def test_commands(gateway: Served, page: str, least: int) -> None:
    """Each succeeds."""
    asked = examples(page, "headgate")
    assert least <= len(asked)
    key_id = ""
    for words in asked:
        arguments = [word.replace("$ID", key_id) for word in words]
        if words != ["openapi"]:
            arguments += ["--url", gateway.url]
            arguments += [] if "--csv" in words else ["--json"]
        result = CliRunner().invoke(main, arguments, env={"HEADGATE_ADMIN_KEY": ADMIN_KEY})
        assert 0 == result.exit_code, (words, result.stderr)
        if "--csv" in words or "export" in words:
            continue
        made = orjson.loads(result.stdout)
        if "key" in made:
            key_id = made["id"]


def test_the_files_form(tmp_path: Path) -> None:
    """The piece of a configuration is sound."""
    piece = next("\n".join(block) for block in blocks("admin.md") if block[0] == "customers:")
    models = {
        "models": [
            {"id": "gpt-5", "backends": [{"provider": "s", "model": "m"}], "price": {"input": 1, "output": 1}}
        ],
        "tiers": {"balanced": {"models": ["gpt-5"]}},
        "providers": {"s": {"adapter": "sandbox"}},
    }
    path = tmp_path / "headgate.yaml"
    path.write_text(f"{piece}\n{yaml.safe_dump(models)}")
    environ = {"ACME_KEY": "test-key-0001-abcdef"}
    loaded = load(path, environ=environ, flags={}, default_models=b"{models: [], tiers: {}}")
    assert (("acme-web",), ()) == (tuple(key.id for key in loaded.settings.keys), loaded.warnings)
