"""`headgate keys` against a real gateway."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli.keys import keys
from ratelimit.subjects.secret import looks_like_key
from ratelimit.subjects.types import NewCustomer, Subject
from tests.proxy.admin.serving import ADMIN_KEY, NOW, Served


@pytest.fixture(scope="module")
def gateway() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture(autouse=True)
def _two_customers(gateway: Served) -> None:
    gateway.empty()
    for customer_id in ("acme", "bolt"):
        gateway.run(gateway.gateway.directory.create_customer(NewCustomer(customer_id)))


class Run:
    def __init__(self, gateway: Served) -> None:
        self._gateway = gateway

    def __call__(self, *arguments: str) -> Result:
        environment = {"HEADGATE_ADMIN_KEY": ADMIN_KEY}
        return CliRunner().invoke(keys, [*arguments, "--url", self._gateway.url], env=environment)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert (0, "") == (result.exit_code, result.stderr)
        return orjson.loads(result.stdout)

    def stored(self, key_id: str) -> dict[str, object]:
        return self._gateway.run(self._gateway.gateway.directory.get_key(key_id)).public()

    def subject(self, secret: str) -> Subject | None:
        return self._gateway.run(self._gateway.gateway.lookup.find(secret.encode()))


@pytest.fixture
def run(gateway: Served) -> Run:
    """run(arguments): a command's result."""
    return Run(gateway)


def test_create(run: Run) -> None:
    """Every option reaches the record; JSON is the server's answer, the key in it."""
    shown = run.json(
        *("create", "--customer", "acme", "--name", "web", "--limit", "requests_per_minute=5"),
        *("--model", "balanced", "--expires-at", "2030-01-31T12:00:00+01:00", "--tag", "env:prod"),
    )
    secret = shown.pop("key")
    expected = {
        "id": shown["id"],
        "customer": "acme",
        "name": "web",
        "limits": {"requests_per_minute": 5},
        "models": ["balanced"],
        "expires_at": "2030-01-31T11:00:00Z",
        "tags": ["env:prod"],
        "disabled": False,
        "previous_until": None,
        "managed": "api",
        "created_at": NOW,
    }
    assert expected == shown == run.stored(shown["id"])
    subject = run.subject(secret)
    assert subject is not None
    assert shown["id"] == subject.key_id


def test_the_key_is_shown_once(run: Run) -> None:
    """A person gets the key with a note that it is not shown again; no later command shows it."""
    result = run("create", "--customer", "acme")
    assert (0, "Keep the key now: it is not shown again.\n") == (result.exit_code, result.stderr)
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    secret, key_id = lines["key"], lines["id"]
    assert looks_like_key(secret)
    assert result.stdout == (
        f"key       {secret}\n"
        f"id        {key_id}\n"
        "customer  acme\n"
        "name      -\n"
        "limits    -\n"
        "models    all\n"
        "expires   never\n"
        "state     enabled\n"
        "managed   api\n"
        "tags      -\n"
        "previous  -\n"
        f"created   {NOW}\n"
    )
    for later in (["list"], ["get", key_id], ["update", key_id, "--name", "x"]):
        for shown in (run(*later), run(*later, "--json")):
            assert 0 == shown.exit_code
            assert secret not in shown.output


def test_list(run: Run) -> None:
    """The table has a line for each key, of all customers or of one."""
    made = {name: run.json("create", "--customer", name)["id"] for name in ("acme", "bolt")}
    lines = run("list").stdout.splitlines()
    assert ["ID", "CUSTOMER", "NAME", "LIMITS", "MODELS", "EXPIRES", "STATE", "MANAGED"] == lines[0].split()
    assert sorted(made.values()) == [line.split()[0] for line in lines[1:]]
    assert [made["bolt"]] == [row["id"] for row in run.json("list", "--customer", "bolt")["data"]]


def test_list_of_none(run: Run) -> None:
    """Nothing to list is said apart from the table."""
    result = run("list")
    assert (0, "", "There are no keys.\n") == (result.exit_code, result.stdout, result.stderr)


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--name", "new"], {"name": "new"}),
        (["--limit", "usd_per_day=none"], {"limits": {"in_flight": 1}}),
        (["--limit", "usd_per_day=2.5"], {"limits": {"in_flight": 1, "usd_per_day": 2.5}}),
        (["--no-limits"], {"limits": {}}),
        (["--model", "x", "--model", "y"], {"models": ["x", "y"]}),
        (["--model", "x:usd_per_day=2", "--model", "y"], {"models": {"x": {"usd_per_day": 2.0}, "y": {}}}),
        (["--all-models"], {"models": None}),
        (["--tag", "x"], {"tags": ["x"]}),
        (["--no-tags"], {"tags": []}),
        (["--expires-at", "2031-01-01T00:00:00Z"], {"expires_at": "2031-01-01T00:00:00Z"}),
        (["--expires-at", "none"], {"expires_at": None}),
        (["--disable"], {"disabled": True}),
        (["--enable"], {}),
    ],
)
def test_update(run: Run, options: list[str], changes: dict[str, object]) -> None:
    """What is named changes, what is not stays."""
    made = run.json(
        *("create", "--customer", "acme", "--limit", "in_flight=1", "--limit", "usd_per_day=1"),
        *("--model", "balanced", "--expires-at", "2030-01-01T00:00:00Z"),
    )
    del made["key"]
    expected = {**made, **changes}
    assert expected == run.json("update", made["id"], *options) == run.stored(made["id"])


def test_limits_of_single_models(run: Run) -> None:
    """`NAME:LIMIT=NUMBER` gives a name limits of its own; names may hold colons; a person sees them beside it."""
    shown = run.json(
        *("create", "--customer", "acme", "--disable", "--model", "balanced"),
        *("--model", "llama3:8b:usd_per_day=5", "--model", "llama3:8b:in_flight=2"),
    )
    assert {"balanced": {}, "llama3:8b": {"usd_per_day": 5.0, "in_flight": 2}} == shown["models"]
    assert shown["disabled"]
    assert "balanced, llama3:8b (in_flight=2 usd_per_day=5)" in run("get", shown["id"]).stdout
    refused = run("update", shown["id"], "--model", "balanced:usd_per_dy=5")
    assert "headgate: models.balanced.usd_per_dy: unknown member; did you mean" in refused.stderr


def test_rotate(run: Run) -> None:
    """The same key with another text; the one before works on until the end of the overlap."""
    made = run.json("create", "--customer", "acme", "--name", "web")
    rotated = run.json("rotate", made["id"], "--overlap", "2h")
    assert looks_like_key(rotated["key"])
    assert made["key"] != rotated["key"]
    changed = {**made, "key": rotated["key"], "previous_until": rotated["previous_until"]}
    assert changed == rotated
    for secret in (made["key"], rotated["key"]):
        subject = run.subject(secret)
        assert subject is not None
        assert made["id"] == subject.key_id
    result = run("rotate", made["id"], "--overlap", "0")
    assert (0, "Keep the key now: it is not shown again.\n") == (result.exit_code, result.stderr)
    assert "previous  -\n" in result.stdout
    assert [None, None] == [run.subject(secret) for secret in (made["key"], rotated["key"])]
    assert "previous  works until 20" in run("rotate", made["id"]).stdout


def test_revoke(run: Run) -> None:
    """A revoked key opens nothing."""
    made = run.json("create", "--customer", "acme")
    result = run("revoke", made["id"])
    assert (0, f"key {made['id']} is revoked\n", "") == (result.exit_code, result.stdout, result.stderr)
    assert run.subject(made["key"]) is None
    made = run.json("create", "--customer", "acme")
    assert {"id": made["id"], "deleted": True} == run.json("revoke", made["id"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--customer", "acm"], "there is no customer `acm`"),
        (
            ["create", "--customer", "acme", "--expires-at", "2025-01-01T00:00:00Z"],
            "expires_at: 2025-01-01T00:00:00Z is in the past",
        ),
        (
            ["create", "--customer", "acme", "--expires-at", "tomorrow"],
            "expires_at: must be a time with its zone",
        ),
        (["list", "--customer", "acm"], "there is no customer `acm`"),
        (["get", "key-1"], "there is no key `key-1`"),
        (["update", "key-1", "--disable"], "there is no key `key-1`"),
        (["revoke", "key-1"], "there is no key `key-1`"),
        (["rotate", "key-1"], "there is no key `key-1`"),
        (["rotate", "key-1", "--overlap", "91d"], "overlap_s: must be <= 7776000"),
    ],
)
def test_refused(run: Run, arguments: list[str], words: str) -> None:
    """The server's refusal is one line on standard error, and the code is 1."""
    result = run(*arguments)
    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"headgate: {words}")
    assert 1 == result.stderr.count("\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["create", "--customer", "acme", "--limit", "in_flight=none"],
        ["get"],
        ["get", ""],
        ["revoke", ""],
        ["update", "key-1"],
        ["update", "key-1", "--no-limits", "--limit", "in_flight=1"],
        ["update", "key-1", "--all-models", "--model", "x"],
        ["update", "key-1", "--no-tags", "--tag", "x"],
        ["update", "key-1", "--model", "x=5"],
        ["update", "key-1", "--model", "x:usd_per_day=much"],
        ["update", "key-1", "--model", "x:usd_total=1", "--model", "x:usd_total=2"],
        ["rotate", "key-1", "--overlap", "tomorrow"],
        ["rotate", "key-1", "--overlap", "-1"],
    ],
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    """What cannot be meant is wrong usage: code 2, and nothing is sent."""
    result = run(*arguments)
    assert (2, "") == (result.exit_code, result.stdout)
    assert "Error: " in result.stderr
    assert [] == run.json("list")["data"]
