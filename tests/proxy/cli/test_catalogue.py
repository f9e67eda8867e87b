"""`headgate catalogue`: what it shows, refuses, writes and asks, over real files and a scripted provider."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli.main import main
from tests.support.scripted import Exchange, listening, serving, url_of

ROOT = Path(__file__).parents[3]
Run = Callable[..., Result]


@pytest.fixture(name="review")
def _review(tmp_path: Path) -> Path:
    """A copy of the repository's review and catalogue."""
    shutil.copytree(ROOT / "deploy" / "catalogue", tmp_path / "review")
    shutil.copy(ROOT / "proxy" / "routing" / "catalogue" / "default.yaml", tmp_path / "catalogue.yaml")
    return tmp_path / "review"


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """run(command, *arguments): with the copies where it takes them, and nobody's environment."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HEADGATE_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def run(command: str, *arguments: str) -> Result:
        files = ("--catalogue", str(tmp_path / "catalogue.yaml"), "--review", str(tmp_path / "review"))
        taken = files if command in ("validate", "import-prices", "rank") else ()
        return CliRunner().invoke(main, ["catalogue", command, *arguments, *taken])

    return run


def _prices(tmp_path: Path, **price: float) -> str:
    row = {"provider": "anthropic", "model": "claude-opus-4-8", "cost": {"input": 5, "output": 25, **price}}
    path = tmp_path / "prices.jsonl"
    path.write_bytes(orjson.dumps(row))
    return str(path)


def test_show(run: Run) -> None:
    """A row a model; JSON holds the figures and the tiers."""
    table = run("show", "--all")
    assert 0 == table.exit_code
    line = next(line for line in table.output.splitlines() if line.startswith("claude-opus-4.8"))
    assert ["claude-opus-4.8", "anthropic", "bedrock", "openrouter", "5", "25", "1000000"] == line.split()[:7]
    assert any(line.startswith("gpt-oss-120b") and " ? " in line for line in table.output.splitlines())
    shown = orjson.loads(run("show", "--json").output)
    assert ["sandbox-small"] == shown["tiers"]["frugal"]["models"]
    assert ["frugal"] == shown["models"][0]["tiers"]


@pytest.mark.usefixtures("review")
def test_validate(run: Run, tmp_path: Path) -> None:
    """Code 0 when all is fine; 2 with the paths of what is not."""
    assert 0 == run("validate").exit_code
    path = tmp_path / "catalogue.yaml"
    path.write_text(path.read_text().replace("price: litellm@1.110.2", "price: hearsay", 1))
    told = run("validate", "--json")
    assert 2 == told.exit_code
    expected = {"path": "models[0].sources.price", "message": 'gpt-6.1-sol: no source is called "hearsay"'}
    assert {"ok": False, "problems": [expected]} == orjson.loads(told.output)
    path.write_text(
        "models: [{id: m, backends: [{provider: opneai, model: m}]}]\ntiers: {a: {models: [n]}}\n"
    )
    told = run("validate", "--json")
    assert ["models[0].backends[0].provider", "tiers.a.models[0]"] == [
        problem["path"] for problem in orjson.loads(told.output)["problems"]
    ]
    path.write_text(
        "models: [{id: m, context_tokens: 5, backends: [{provider: openai, model: m}]}]\ntiers: {}\n"
    )
    assert "m: has no source: name it in sources.limits" in run("validate").stderr


@pytest.mark.usefixtures("review")
def test_import_shows_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    """Old, new and source, then the catalogue's diff."""
    before = (tmp_path / "catalogue.yaml").read_bytes()
    told = run("import-prices", _prices(tmp_path, input=6))
    assert 0 == told.exit_code
    line = "claude-opus-4.8 at anthropic/claude-opus-4-8: input: 5 (litellm@1.110.2) -> 6 (prices.jsonl)"
    assert line in told.output
    assert "\n+      input: 6\n" in told.output or "+    price: {input: 6" in told.output
    assert before == (tmp_path / "catalogue.yaml").read_bytes()


def test_import_writes_what_was_shown(run: Run, review: Path, tmp_path: Path) -> None:
    """Into the catalogue and the snapshot; then there is nothing left to show, and all is still sourced."""
    prices = _prices(tmp_path, input=6)
    assert 2 == run("import-prices", prices, "--write").exit_code
    assert "describe it there first" in run("import-prices", prices, "--write", "--source", "mine").stderr
    sources = review / "sources.yaml"
    sources.write_text(sources.read_text() + "  mine:\n    what: a letter\n    date: 2026-11-28\n")
    assert 0 == run("import-prices", prices, "--write", "--source", "mine").exit_code
    assert "" == run("import-prices", prices).stdout
    assert 0 == run("validate").exit_code
    lines = (review / "snapshots" / "prices.jsonl").read_bytes().splitlines()
    assert sorted(lines, key=_place) == lines
    assert 1 == sum(b'"source":"mine"' in line for line in lines)


def _place(line: bytes) -> tuple[str, str, str]:
    row = orjson.loads(line)
    return row["provider"], row["model"], row["source"]


@pytest.mark.usefixtures("review")
def test_import_refuses_a_malformed_list(run: Run, tmp_path: Path) -> None:
    """Naming the row, with code 2."""
    path = tmp_path / "prices.jsonl"
    path.write_text('{"provider": "openai", "model": "m", "cost": {"input": "free"}}\n')
    told = run("import-prices", str(path))
    assert (2, True) == (told.exit_code, "line 1: `input` must be a number" in told.stderr)


@pytest.mark.usefixtures("review")
def test_rank(run: Run) -> None:
    """The committed files are what they must be."""
    assert (0, "") == ((told := run("rank", "--check")).exit_code, told.output)


def test_rank_check_fails_when_stale_and_write_mends_it(run: Run, review: Path, tmp_path: Path) -> None:
    """A score that changed moves figures and places; the moves and their reasons are shown."""
    rows = review / "snapshots" / "benchmarks.jsonl"
    lines = [orjson.loads(line) for line in rows.read_bytes().splitlines()]
    for line in lines:
        if line.get("model") == "deepseek-v4-pro":
            line["score"] = 1.0
    rows.write_bytes(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))
    stale = run("rank", "--check")
    assert (1, True) == (stale.exit_code, "catalogue.yaml: is stale" in stale.stderr)
    shown = run("rank")
    assert "premium: deepseek-v4-pro leaves: quality " in shown.output
    assert "quality: deepseek-v4-pro: code_review=74" in shown.output
    assert 0 == run("rank", "--write").exit_code
    assert 0 == run("rank", "--check").exit_code
    assert "deepseek-v4-pro" not in (tmp_path / "catalogue.yaml").read_text().partition("premium:")[2]


def test_rank_from_a_file_makes_the_snapshot(run: Run, review: Path, tmp_path: Path) -> None:
    """A new file of rows replaces the kept ones, and rows that nobody names are not kept."""
    rows = review / "snapshots" / "benchmarks.jsonl"
    whole = tmp_path / "whole.jsonl"
    extra = {"benchmark": "arena_code", "model": "nobody", "score": 1, "date": "2026-11-01", "source": "s"}
    whole.write_bytes(rows.read_bytes().replace(b'"score":', b'"score": ') + orjson.dumps(extra))
    kept = rows.read_bytes()
    rows.unlink()
    assert 0 == run("rank", "--benchmarks", str(whole), "--write").exit_code
    assert kept == rows.read_bytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda line: None if line.get("model") == "gpt-5.5-high" else line, 'is called "gpt-5.5-high"'),
        (
            lambda line: {**line, "score": None} if line.get("model") == "grok-4.3" else line,
            "must be a number",
        ),
        (
            lambda line: {**line, "model": "grok-4.3"} if line.get("model") == "glm-5.2" else line,
            "a second row",
        ),
    ],
)
def test_rank_refuses_what_is_unclear(
    run: Run, review: Path, change: Callable[[dict[str, Any]], Any], expected: str
) -> None:
    """A missing model, a score that is no number, a row twice: code 2 and no list."""
    rows = review / "snapshots" / "benchmarks.jsonl"
    lines = (change(orjson.loads(line)) for line in rows.read_bytes().splitlines())
    rows.write_bytes(b"\n".join(orjson.dumps(line) for line in lines if line is not None))
    told = run("rank")
    assert (2, True) == (told.exit_code, expected in told.stderr)


def test_rank_refuses_a_name_of_no_model(run: Run, review: Path) -> None:
    """The table of names is about this catalogue."""
    names = review / "benchmarks.yaml"
    names.write_text(names.read_text().replace("  gpt-5.5: {", "  gpt-5.55: {", 1))
    told = run("rank")
    assert (2, True) == (told.exit_code, "the catalogue has no model gpt-5.55" in told.stderr)


CONFIGURATION = """
providers:
  good: {{adapter: openai, base_url: "{url}/good/v1", api_key: "env:TEST_KEY"}}
  paged: {{adapter: anthropic, base_url: "{url}/paged", api_key: "env:TEST_KEY"}}
  broken: {{adapter: groq, base_url: "{url}/broken/v1", api_key: "env:TEST_KEY"}}
  box: {{adapter: sandbox}}
models:
  - id: fine
    backends: [{{provider: good, model: m-1}}, {{provider: paged, model: c-2}}, {{provider: box, model: sandbox-small}}]
    deprecated_on: 2026-12-01
  - {{id: gone, backends: [{{provider: good, model: m-9}}, {{provider: broken, model: x}}]}}
"""
KEY = "test-key-0001-abcdef"


async def _lists(exchange: Exchange) -> None:
    """Three providers: one that lists, one in two pages, one that refuses and repeats the key."""
    pages = {
        "/good/v1/models": b'{"data": [{"id": "m-1"}, {"id": "m-8"}]}',
        "/paged/v1/models?limit=1000": b'{"data": [{"id": "c-1"}], "has_more": true, "last_id": "c-1"}',
        "/paged/v1/models?limit=1000&after_id=c-1": b'{"data": [{"id": "c-2"}], "has_more": false}',
    }
    page = pages.get(exchange.path)
    await exchange.answer(401 if page is None else 200, page or b'{"error": "bad key ' + KEY.encode() + b'"}')


async def test_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Ids against each provider's own list, over the gateway's wire, with its keys; ends within 30 days."""
    monkeypatch.setenv("TEST_KEY", KEY)
    path = tmp_path / "headgate.yaml"
    with listening() as listener:
        path.write_text(CONFIGURATION.format(url=url_of(listener, "")))
        async with serving(listener, _lists) as upstream:
            arguments = ("verify", "--config", str(path), "--today", "2026-11-28", "--json")
            told = await asyncio.to_thread(run, *arguments)
    assert 1 == told.exit_code
    expected = [
        ("problem", "", "broken", "could not be asked: it answered 401 to the question for its models"),
        ("warning", "fine", "", "ends on 2026-12-01, in 3 days"),
        ("problem", "gone", "good/m-9", "the provider does not list it; near: m-8, m-1"),
    ]
    findings = orjson.loads(told.stdout)["findings"]
    assert expected == [tuple(finding.values()) for finding in findings]
    assert {"GET"} == {exchange.method for exchange in upstream.exchanges}
    by_path = {exchange.path: exchange.headers for exchange in upstream.exchanges}
    assert f"Bearer {KEY}" == by_path["/good/v1/models"]["authorization"]
    assert KEY == by_path["/paged/v1/models?limit=1000"]["x-api-key"]
    assert "2023-06-01" == by_path["/paged/v1/models?limit=1000"]["anthropic-version"]


def test_verify_without_providers(run: Run) -> None:
    """The sandbox is ours: nothing to ask."""
    assert 0 == run("verify").exit_code
