"""`headgate usage` and `headgate ledger` against a real gateway."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli import ledger as ledger_commands
from proxy.cli.main import main
from ratelimit.store import keys as spelled
from ratelimit.subjects.types import NewCustomer
from tests.proxy.admin.booking import book, lose, record
from tests.proxy.admin.serving import ADMIN_KEY, Served


@pytest.fixture(scope="module")
def gateway() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture(autouse=True)
def _customers(gateway: Served) -> None:
    gateway.empty()
    for name in ("acme", "bolt"):
        gateway.run(gateway.gateway.directory.create_customer(NewCustomer(name)))


class Run:
    def __init__(self, gateway: Served) -> None:
        self._gateway = gateway

    def __call__(self, *arguments: str) -> Result:
        environment = {"HEADGATE_ADMIN_KEY": ADMIN_KEY}
        return CliRunner().invoke(main, [*arguments, "--url", self._gateway.url], env=environment)

    def text(self, *arguments: str) -> str:
        result = self(*arguments)
        assert (0, "") == (result.exit_code, result.stderr)
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return orjson.loads(self.text(*arguments, "--json"))

    def book(self, *customers: str, **members: Any) -> list[str]:
        store = self._gateway.gateway.store
        return [self._gateway.run(book(store, record(each, **members))) for each in customers]

    def lose(self, *names: str) -> None:
        self._gateway.run(lose(self._gateway.gateway.store, *names))

    def forget_a_row(self) -> None:
        store = self._gateway.gateway.store
        rows: Any = self._gateway.run(store.call("XRANGE", spelled.ledger("acme"), "-", "+"))
        self._gateway.run(store.call("XDEL", spelled.ledger("acme"), rows[-1][0]))


@pytest.fixture
def run(gateway: Served) -> Run:
    """run(arguments): a command's result."""
    return Run(gateway)


def test_usage(run: Run) -> None:
    """A table with a total; every option reaches the gateway; JSON and CSV are its answers."""
    run.book("acme", "acme", "bolt", tags=("a",))
    heading, acme, bolt, total = run.text("usage").splitlines()
    assert [
        "CUSTOMER",
        "REQUESTS",
        "ERRORS",
        "INPUT",
        "CACHED",
        "OUTPUT",
        "ESTIMATED",
        "USD",
    ] == heading.split()
    assert ["acme", "2", "0", "20", "0", "40", "0", "0.000100"] == acme.split()
    assert ["bolt", "1"] == bolt.split()[:2]
    assert ["total", "3"] == total.split()[:2]
    asked = ("--customer", "acme", "--key", "k1", "--model", "gpt-5", "--tag", "a", "--since", "2026-01-01")
    found = run.json("usage", *asked, "--until", "2026-01-01", "--group-by", "tag", "--group-by", "day")
    assert [("a", "2026-01-01", 2)] == [(row["tag"], row["day"], row["requests"]) for row in found["data"]]
    lines = list(csv.reader(io.StringIO(run.text("usage", "--csv", "--group-by", "customer"))))
    assert [["acme", "2"], ["bolt", "1"]] == [line[:2] for line in lines[1:]]


def test_what_the_gateway_refuses(run: Run) -> None:
    """Its message, and exit code 1; so for CSV."""
    for form in ("--json", "--csv"):
        result = run("usage", "--since", "yesterday", form)
        assert (1, "") == (result.exit_code, result.stdout)
        assert "since: must be a date" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("usage", "--csv", "--json"),
        ("ledger", "export", "--csv", "--jsonl"),
        ("ledger", "release", "--customer", "acme"),
        ("ledger", "release", "--customer", "acme", "--all", "--id", "x"),
        ("ledger", "release", "--all"),
        ("ledger", "release", "--customer", "acme", "--older-than", "soon"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    """Exit code 2, and nothing is sent."""
    assert 2 == run(*arguments).exit_code


def test_export(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row of every page, as JSON lines or CSV; of all customers or one."""
    monkeypatch.setattr(ledger_commands, "_PAGE", "2")
    made = run.book("acme", "acme", "acme", "bolt", tags=("a", "b"))
    rows = [orjson.loads(line) for line in run.text("ledger", "export").splitlines()]
    assert made == [row["request_id"] for row in rows]
    assert run.text("ledger", "export", "--jsonl") == run.text("ledger", "export", "--json")
    lines = list(csv.DictReader(io.StringIO(run.text("ledger", "export", "--csv", "--customer", "acme"))))
    assert made[:3] == [line["request_id"] for line in lines]
    assert ("a b", "0.000050", "False", "") == tuple(
        lines[0][name] for name in ("tags", "cost_usd", "estimated", "released_usd")
    )
    assert "" == run.text("ledger", "export", "--until", "2001-01-01")


def test_reconcile(run: Run) -> None:
    """Everything adds up, in words and as JSON."""
    run.book("acme", "bolt")
    assert "2 customers, 2 rows: everything adds up\n" == run.text("ledger", "reconcile")
    assert run.json("ledger", "reconcile", "--customer", "acme")["ok"]


def test_reconcile_names_what_does_not_add_up(run: Run) -> None:
    """Whose counter, of which window, and by how much; exit code 1."""
    run.book("acme", "acme")
    run.forget_a_row()
    for arguments in ((), ("--json",)):
        assert 1 == run("ledger", "reconcile", *arguments).exit_code
    lines = run("ledger", "reconcile").stdout.splitlines()
    assert "customer acme, total: counted +30 tokens and +0.000050 dollars more than booked" in lines
    assert "key k1 of acme, day: counted +30 tokens and +0.000050 dollars more than booked" in lines
    assert "2 customers, 1 rows: the books do not add up" == lines[-1]


def test_lost_and_released(run: Run) -> None:
    """What is lost is listed, and given back as asked for."""
    result = run("ledger", "lost")
    assert (0, "Nothing is lost.\n") == (result.exit_code, result.stderr)
    run.lose("r1", "r2", "r3")
    assert {"r1", "r2", "r3"} == {row["request_id"] for row in run.json("ledger", "lost")["data"]}
    heading, *rows = run.text("ledger", "lost", "--customer", "acme").splitlines()
    assert ["REQUEST", "CUSTOMER", "KEY", "ASKED", "BACKEND"] == heading.split()[:5]
    assert [["acme", "k1", "gpt-5", "some/gpt-5"]] * 3 == [row.split()[1:5] for row in rows]
    told, verdict = run.text("ledger", "reconcile", "--customer", "acme").splitlines()
    assert (
        "customer acme: 3 lost requests for gpt-5 (some/gpt-5) are booked as 90 tokens and 0.000150 dollars"
    ) == told
    assert verdict.endswith("everything adds up")
    released = run.json("ledger", "release", "--customer", "acme", "--id", "r1")["data"]
    assert ["r1"] == [row["request_id"] for row in released]
    young = run("ledger", "release", "--customer", "acme", "--older-than", "1h")
    assert (0, "Nothing was released.\n") == (young.exit_code, young.stderr)
    assert 2 == len(run.json("ledger", "release", "--customer", "acme", "--all")["data"])
    assert run.json("ledger", "reconcile")["ok"]


def test_a_warning_is_shown(run: Run) -> None:
    """When a limit is lowered below what is used."""
    run.book("acme")
    result = run("customers", "update", "acme", "--limit", "usd_total=0.00001")
    assert 0 == result.exit_code
    assert "warning: the customer has used 0.00005 of usd_total, more than 0.00001" in result.stderr
