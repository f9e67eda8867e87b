"""`headgate customers` against a real gateway."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli.customers import customers
from ratelimit.subjects.types import NewCustomer
from tests.proxy.admin.serving import ADMIN_KEY, DEFAULT_LIMITS, NOW, Served


@pytest.fixture(scope="module")
def gateway() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture(autouse=True)
def _emptied(gateway: Served) -> None:
    gateway.empty()


class Run:
    def __init__(self, gateway: Served) -> None:
        self._gateway = gateway

    def __call__(self, *arguments: str, key: str = ADMIN_KEY) -> Result:
        environment = {"HEADGATE_ADMIN_KEY": key}
        return CliRunner().invoke(customers, [*arguments, "--url", self._gateway.url], env=environment)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert (0, "") == (result.exit_code, result.stderr)
        return orjson.loads(result.stdout)

    def stored(self, customer_id: str) -> dict[str, object]:
        return self._gateway.run(self._gateway.gateway.directory.get_customer(customer_id)).public()


@pytest.fixture
def run(gateway: Served) -> Run:
    """run(arguments): a command's result."""
    return Run(gateway)


def test_create(run: Run) -> None:
    """Every option reaches the record; JSON is the server's answer."""
    shown = run.json(
        *("create", "acme", "--name", "Acme", "--limit", "in_flight=4", "--limit", "usd_per_month=0.5"),
        *("--model", "balanced", "--model", "gpt-5-mini", "--priority", "high"),
        *("--on-soft-limit", "lower", "--region", "eu", "--region", "ch"),
        *("--metadata", "team=blue", "--metadata", "rule=a=b", "--tag", "a", "--tag", "b:c", "--disable"),
    )
    expected = {
        "id": "acme",
        "name": "Acme",
        "limits": {"requests_per_minute": 60, "usd_per_month": 0.5, "in_flight": 4},
        "models": ["balanced", "gpt-5-mini"],
        "regions": ["eu", "ch"],
        "priority": "high",
        "on_soft_limit": "lower",
        "metadata": {"team": "blue", "rule": "a=b"},
        "tags": ["a", "b:c"],
        "disabled": True,
        "managed": "api",
        "created_at": NOW,
    }
    assert expected == shown == run.stored("acme")


def test_create_without_options(run: Run) -> None:
    """What is not said has the gateway's defaults; a person sees the record, a member a line."""
    result = run("create", "acme")
    assert (0, "") == (result.exit_code, result.stderr)
    assert (
        "id             acme\n"
        "name           acme\n"
        "limits         requests_per_minute=60 usd_per_month=10\n"
        "models         all\n"
        "priority       normal\n"
        "state          enabled\n"
        "managed        api\n"
        "regions        anywhere\n"
        "on soft limit  keep\n"
        "tags           -\n"
        "metadata       {}\n"
        f"created        {NOW}\n"
    ) == result.stdout
    assert DEFAULT_LIMITS == run.stored("acme")["limits"]


def test_no_limit_in_spite_of_a_default(run: Run) -> None:
    """`none` leaves a default out."""
    shown = run.json("create", "acme", "--limit", "usd_per_month=none", "--limit", "in_flight=3")
    assert {"requests_per_minute": 60, "in_flight": 3} == shown["limits"]


def test_list(run: Run) -> None:
    """The table has a line for each customer, its columns aligned."""
    run("create", "acme", "--name", "Acme Industries", "--model", "balanced")
    run("create", "b")
    run("update", "b", "--disable", "--no-limits")
    assert (
        "ID    NAME             LIMITS                                   MODELS    PRIORITY  STATE     MANAGED\n"
        "acme  Acme Industries  requests_per_minute=60 usd_per_month=10  balanced  normal    enabled   api\n"
        "b     b                -                                        all       normal    disabled  api\n"
    ) == run("list").stdout
    listed = run.json("list")
    assert (["acme", "b"], None) == ([row["id"] for row in listed["data"]], listed["next"])


def test_list_of_many(run: Run, gateway: Served) -> None:
    """A list is whole, however many pages it takes."""

    async def make() -> None:
        for number in range(1001):
            await gateway.gateway.directory.create_customer(NewCustomer(f"c{number:04}"))

    gateway.run(make())
    assert [f"c{number:04}" for number in range(1001)] == [row["id"] for row in run.json("list")["data"]]


def test_list_of_none(run: Run) -> None:
    """Nothing to list is said apart from the table."""
    result = run("list")
    assert (0, "", "There are no customers.\n") == (result.exit_code, result.stdout, result.stderr)
    assert {"object": "list", "data": [], "next": None} == run.json("list")


def test_get(run: Run) -> None:
    """A customer is shown as it is stored."""
    made = run.json("create", "acme", "--metadata", "team=blue")
    assert made == run.json("get", "acme")
    assert 'metadata       {"team":"blue"}\n' in run("get", "acme").stdout


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--name", "New"], {"name": "New"}),
        (
            ["--limit", "usd_per_month=none", "--limit", "in_flight=2"],
            {"limits": {"requests_per_minute": 60, "in_flight": 2}},
        ),
        (["--no-limits"], {"limits": {}}),
        (["--model", "x"], {"models": ["x"]}),
        (["--all-models"], {"models": None}),
        (["--region", "us"], {"regions": ["us"]}),
        (["--all-regions"], {"regions": None}),
        (["--priority", "low"], {"priority": "low"}),
        (["--on-soft-limit", "lower"], {"on_soft_limit": "lower"}),
        (["--tag", "x", "--tag", "y"], {"tags": ["x", "y"]}),
        (["--no-tags"], {"tags": []}),
        (["--metadata", "b=2", "--drop-metadata", "a"], {"metadata": {"b": "2"}}),
        (["--disable"], {"disabled": True}),
        (["--enable", "--name", "New"], {"name": "New"}),
    ],
)
def test_update(run: Run, options: list[str], changes: dict[str, object]) -> None:
    """What is named changes, what is not stays."""
    made = run.json(
        *("create", "acme", "--metadata", "a=1", "--model", "balanced", "--tag", "t", "--region", "eu")
    )
    expected = {**made, **changes}
    assert expected == run.json("update", "acme", *options) == run.stored("acme")


def test_delete(run: Run) -> None:
    """A deleted customer is gone."""
    run("create", "acme")
    result = run("delete", "acme")
    assert (0, "customer acme and its keys are deleted\n", "") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )
    assert 1 == run("get", "acme").exit_code
    run("create", "acme")
    assert {"id": "acme", "deleted": True} == run.json("delete", "acme")


def test_erase(run: Run) -> None:
    """Asked for once more unless told otherwise; nothing of it is left, and what was removed is said."""
    run("create", "acme")
    result = run("erase", "acme")
    assert 1 == result.exit_code
    assert "for good?" in result.stderr
    assert 0 == run("get", "acme").exit_code
    result = run("erase", "acme", "--yes")
    assert (0, "customer acme is erased: 0 keys of the store are removed\n") == (
        result.exit_code,
        result.stdout,
    )
    assert 1 == run("get", "acme").exit_code
    assert run.json("erase", "acme", "--yes")["erased"]
    assert "there is no customer `nobody`" in run("erase", "nobody", "--yes").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "acme"], "customer `acme` exists already"),
        (["create", "a b"], "id: must be 1 to 128 letters, digits"),
        (
            ["create", "b", "--limit", "usd_per_dy=1"],
            'limits.usd_per_dy: unknown member; did you mean "usd_per_day"?',
        ),
        (["create", "b", "--limit", "in_flight=-1"], "limits.in_flight: must be >= 0"),
        (["get", "b"], "there is no customer `b`"),
        (["get", "../keys"], "there is nothing at /admin/v1/customers/../keys"),
        (["update", "b", "--disable"], "there is no customer `b`"),
        (["delete", "b"], "there is no customer `b`"),
    ],
)
def test_refused(run: Run, arguments: list[str], words: str) -> None:
    """The server's refusal is one line on standard error, and the code is 1; with --json too."""
    run("create", "acme")
    for result in (run(*arguments), run(*arguments, "--json")):
        assert (1, "") == (result.exit_code, result.stdout)
        assert result.stderr.startswith(f"headgate: {words}")
        assert 1 == result.stderr.count("\n")


def test_wrong_admin_key(run: Run) -> None:
    """Another key is refused by the server, and is not shown."""
    result = run("list", key="test-admin-key-0002")
    assert 1 == result.exit_code
    assert "needs the admin key" in result.stderr
    assert "0002" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["create", "acme", "--priority", "gold"],
        ["create", "acme", "--on-soft-limit", "raise"],
        ["update", "acme", "--no-tags", "--tag", "x"],
        ["create", "acme", "--metadata", "team"],
        ["create", "acme", "--metadata", "a=1", "--metadata", "a=2"],
        ["create", "acme", "--colour", "red"],
        ["get", ""],
        ["delete", ""],
        ["update", "acme"],
        ["update", "acme", "--no-limits", "--limit", "in_flight=1"],
        ["update", "acme", "--all-models", "--model", "x"],
        ["update", "acme", "--metadata", "a=1", "--drop-metadata", "a"],
    ],
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    """What cannot be meant is wrong usage: code 2, and nothing is sent."""
    result = run(*arguments)
    assert (2, "") == (result.exit_code, result.stdout)
    assert "Error: " in result.stderr
    assert [] == run.json("list")["data"]
