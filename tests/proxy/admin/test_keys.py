"""Keys over the admin API: the text shown once, what is stored, what is refused and why."""

from typing import Any

import pytest

from ratelimit.subjects.secret import digest_of, looks_like_key, make_secret
from ratelimit.subjects.types import ConfiguredKey, NewCustomer
from tests.proxy.admin.serving import NOW, Caller, Gateway

KEYS = "/admin/v1/keys"


@pytest.fixture(autouse=True)
async def _customers(served: Gateway) -> None:
    for customer_id in ("acme", "acme-2"):
        await served.directory.create_customer(NewCustomer(customer_id))


async def test_made_and_shown(call: Caller) -> None:
    """A new key is answered with 201, the record and the text; afterwards the record has no text."""
    said = {
        "customer": "acme",
        "name": "web",
        "limits": {"requests_per_minute": 5},
        "models": ["balanced"],
        "expires_at": "2030-01-31T12:00:00Z",
        "tags": ["env:prod"],
        "disabled": True,
    }
    made = await call("POST", KEYS, said)
    shown = dict(made.json)
    assert ["id", "key"] == list(shown)[:2]
    secret = shown.pop("key")
    assert looks_like_key(secret)
    expected = {"id": shown["id"], **said, "managed": "api", "created_at": NOW, "previous_until": None}
    assert (201, expected, f"{KEYS}/{shown['id']}") == (made.status, shown, made.headers["location"])
    read = await call("GET", f"{KEYS}/{shown['id']}")
    assert (200, expected) == (read.status, read.json)


async def test_the_text_works_and_is_nowhere_else(call: Caller, served: Gateway) -> None:
    """The text opens the door for its customer; neither it nor its digest is in any later answer."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    subject = await served.lookup.find(made["key"].encode())
    assert subject is not None
    assert (made["id"], "acme") == (subject.key_id, subject.customer_id)
    one = f"{KEYS}/{made['id']}"
    answers = [await call("GET", one), await call("GET", KEYS), await call("PATCH", one, {"name": "new"})]
    for hidden in (made["key"], digest_of(made["key"]).hex(), "digest"):
        assert [200] * 3 == [answer.status for answer in answers]
        assert not any(hidden.encode() in answer.raw for answer in answers)


async def test_defaults(call: Caller) -> None:
    """A key of which nothing is said has no limits of its own, all models, and no end."""
    made = (await call("POST", KEYS, {"customer": "acme", "limits": None, "expires_at": None})).json
    assert ("", {}, None, None) == (made["name"], made["limits"], made["models"], made["expires_at"])


async def test_unknown_customer(call: Caller) -> None:
    """A key for nobody is refused with 404, and so is a list of nobody's keys."""
    refused = await call("POST", KEYS, {"customer": "acm"})
    assert (404, "not_found", "customer") == refused.error
    assert "`acm`" in refused.message
    for customer_id in ("acm", "", "a%20b"):
        assert (404, "not_found", "customer") == (await call("GET", f"{KEYS}?customer={customer_id}")).error
    assert [] == (await call("GET", KEYS)).json["data"]


async def test_lists(call: Caller) -> None:
    """Keys are listed in pages, of all customers or of one; a customer whose id begins alike is another."""
    made: dict[str, list[str]] = {"acme": [], "acme-2": []}
    for customer_id in ("acme", "acme-2", "acme", "acme-2", "acme"):
        made[customer_id].append((await call("POST", KEYS, {"customer": customer_id})).json["id"])
    everyone = (await call("GET", KEYS)).json["data"]
    assert sorted(made["acme"] + made["acme-2"]) == [row["id"] for row in everyone]
    for customer_id, ids in made.items():
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await call("GET", f"{KEYS}?customer={customer_id}&limit=2&after={cursor}")).json
            seen += [row["id"] for row in page["data"]]
            cursor = page["next"]
        assert sorted(ids) == seen


@pytest.mark.parametrize(
    ("patch", "changes"),
    [
        ({}, {}),
        ({"name": "new"}, {"name": "new"}),
        ({"name": None}, {"name": ""}),
        (
            {"limits": {"in_flight": None, "usd_total": 3}},
            {"limits": {"requests_per_minute": 5, "usd_total": 3.0}},
        ),
        ({"limits": None}, {"limits": {}}),
        ({"models": ["b"]}, {"models": ["b"]}),
        ({"models": {"b": {"usd_per_day": 2}, "a": None}}, {"models": {"b": {"usd_per_day": 2.0}, "a": {}}}),
        ({"models": {}}, {"models": []}),
        ({"models": None}, {"models": None}),
        ({"tags": ["x"]}, {"tags": ["x"]}),
        ({"tags": None}, {"tags": []}),
        ({"expires_at": "2027-01-01T00:00:00+01:00"}, {"expires_at": "2026-12-31T23:00:00Z"}),
        ({"expires_at": None}, {"expires_at": None}),
        ({"disabled": True}, {"disabled": True}),
    ],
)
async def test_merge(call: Caller, patch: dict[str, Any], changes: dict[str, Any]) -> None:
    """A change merges: what is named is set, null removes, what is absent stays."""
    said = {
        "customer": "acme",
        "name": "web",
        "limits": {"requests_per_minute": 5, "in_flight": 1},
        "models": {"a": {"in_flight": 1}},
        "expires_at": "2030-01-31T12:00:00Z",
        "tags": ["a"],
    }
    made = (await call("POST", KEYS, said)).json
    changed = await call("PATCH", f"{KEYS}/{made['id']}", patch)
    del made["key"]
    expected = {**made, **changes}
    assert (200, expected) == (changed.status, changed.json)
    assert expected == (await call("GET", f"{KEYS}/{made['id']}")).json


async def test_revoked(call: Caller, served: Gateway) -> None:
    """A revoked key is gone: it opens nothing and cannot be shown, changed or revoked again."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    one = f"{KEYS}/{made['id']}"
    revoked = await call("DELETE", one)
    assert (204, b"") == (revoked.status, revoked.raw)
    assert await served.lookup.find(made["key"].encode()) is None
    for method in ("GET", "PATCH", "DELETE"):
        assert (404, "not_found", None) == (await call(method, one, {})).error


async def test_rotated(call: Caller, served: Gateway) -> None:
    """The answer is the record with another text, the one before works on for a day; no later answer has either."""
    made = (await call("POST", KEYS, {"customer": "acme", "models": {"a": {"in_flight": 1}}})).json
    one = f"{KEYS}/{made['id']}"
    rotated = await call("POST", f"{one}/rotate")
    assert 200 == rotated.status
    assert ["id", "key"] == list(rotated.json)[:2]
    shown = dict(rotated.json)
    secret = shown.pop("key")
    assert looks_like_key(secret)
    first = made.pop("key")
    assert {**made, "previous_until": shown["previous_until"]} == shown == (await call("GET", one)).json
    for text in (first, secret):
        subject = await served.lookup.find(text.encode())
        assert subject is not None
        assert made["id"] == subject.key_id
    listed = await call("GET", KEYS)
    for hidden in (first, secret, digest_of(first).hex(), digest_of(secret).hex()):
        assert hidden.encode() not in listed.raw


@pytest.mark.parametrize("overlap_s", [0, 1, 90 * 86_400])
async def test_overlaps(call: Caller, served: Gateway, overlap_s: int) -> None:
    """From none to ninety days; without one the text before is refused at once."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    rotated = await call("POST", f"{KEYS}/{made['id']}/rotate", {"overlap_s": overlap_s})
    assert (200, overlap_s == 0) == (rotated.status, rotated.json["previous_until"] is None)
    if overlap_s == 0:
        assert await served.lookup.find(made["key"].encode()) is None


@pytest.mark.parametrize(
    ("wrong", "param", "words"),
    [
        ({"overlap_s": -1}, "overlap_s", "must be >= 0"),
        ({"overlap_s": 90 * 86_400 + 1}, "overlap_s", "must be <= 7776000"),
        ({"overlap_s": 1.5}, "overlap_s", "must be a whole number"),
        ({"overlap_s": "24h"}, "overlap_s", "must be a whole number"),
        ({"overlap_s": None}, "overlap_s", "must be a whole number"),
        ({"overlap": 5}, "overlap", 'unknown member; did you mean "overlap_s"?'),
    ],
)
async def test_wrong_overlap(
    call: Caller, served: Gateway, wrong: dict[str, Any], param: str, words: str
) -> None:
    """An overlap that cannot be meant is refused, and the text stays."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    refused = await call("POST", f"{KEYS}/{made['id']}/rotate", wrong)
    assert (400, "invalid_request", param) == refused.error
    assert words in refused.message
    assert await served.lookup.find(made["key"].encode()) is not None
    assert (404, "not_found", None) == (await call("POST", f"{KEYS}/key-0/rotate")).error


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        ("mistyped", "has a typo"),
        ("unknown", "is unknown or revoked"),
        ("revoked", "was revoked"),
        ("replaced", "was replaced"),
        ("disabled", "cannot be used: key disabled"),
    ],
)
async def test_the_door_says_why(call: Caller, manner: str, words: str) -> None:
    """Whoever sends a key that opens nothing is told whether it is mistyped, unknown, revoked or replaced."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    secret: str = made["key"]
    one = f"{KEYS}/{made['id']}"
    match manner:
        case "mistyped":
            secret = secret[:-1] + ("a" if secret[-1] != "a" else "b")
        case "unknown":
            secret = make_secret()
        case "revoked":
            await call("DELETE", one)
        case "replaced":
            await call("POST", f"{one}/rotate", {"overlap_s": 0})
        case _:
            await call("PATCH", one, {"disabled": True})
    client = Caller(call.app, admin_key=secret)
    for _ in range(2):
        refused = await client("GET", "/v1/models")
        assert (401, "invalid_api_key", None) == refused.error
        assert f"this API key {words}" in refused.message
        assert secret not in refused.message


async def test_disabled(call: Caller, served: Gateway) -> None:
    """A disabled key is refused while it is."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    await call("PATCH", f"{KEYS}/{made['id']}", {"disabled": True})
    subject = await served.lookup.find(made["key"].encode())
    assert subject is not None
    assert "key disabled" == subject.disabled


async def test_managed_by_file(call: Caller, served: Gateway) -> None:
    """A key of the configuration is shown without its secret and cannot be changed or revoked."""
    key = ConfiguredKey("acme-web", "acme", digest_of("test-key-0001-abcdef").hex())
    await served.directory.sync_configured([], [key], default_limits={})
    shown = await call("GET", f"{KEYS}/acme-web")
    assert "file" == shown.json["managed"]
    assert key.digest.encode() not in shown.raw
    for refused in (
        await call("PATCH", f"{KEYS}/acme-web", {"name": "x"}),
        await call("DELETE", f"{KEYS}/acme-web"),
        await call("POST", f"{KEYS}/acme-web/rotate"),
        await call("DELETE", "/admin/v1/customers/acme"),
    ):
        assert (409, "managed_by_file", None) == refused.error
        assert "key `acme-web`" in refused.message


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:01Z"),
        ("2030-01-31t12:00:00.75z", "2030-01-31T12:00:00Z"),
        ("2030-01-31 12:00:00-05:30", "2030-01-31T17:30:00Z"),
        ("2028-02-29T00:00:00.123456789+00:00", "2028-02-29T00:00:00Z"),
    ],
)
async def test_expiry(call: Caller, written: str, kept: str) -> None:
    """A time in any zone is kept in UTC."""
    made = await call("POST", KEYS, {"customer": "acme", "expires_at": written})
    assert (201, kept) == (made.status, made.json["expires_at"])


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-01-01T00:00:00Z",
        "2025-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2030-01-31T12:00:00",
        "2030-01-31",
        "2030-02-30T12:00:00Z",
        "2030-01-31T25:00:00Z",
        "20300131T120000Z",
        "2030-W05-4T12:00:00Z",
        "2030-01-31T12:00:00+99:00",
        "tomorrow",
        "",
        1_893_456_000,
        True,
    ],
)
async def test_wrong_expiry(call: Caller, wrong: object) -> None:
    """A time that is past, impossible or without its zone is refused, for new keys and for changes."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    for refused in (
        await call("POST", KEYS, {"customer": "acme", "expires_at": wrong}),
        await call("PATCH", f"{KEYS}/{made['id']}", {"expires_at": wrong}),
    ):
        assert (400, "invalid_request", "expires_at") == refused.error
        assert refused.message.startswith("expires_at: ")


@pytest.mark.parametrize(
    ("wrong", "param", "words"),
    [
        ({}, "customer", "required"),
        ({"customer": 5}, "customer", "must be text"),
        ({"customer": "a b"}, "customer", "letters, digits"),
        ({"customer": "acme", "id": "mine"}, "id", "unknown member"),
        ({"customer": "acme", "limits": {"in_flight": -1}}, "limits.in_flight", "must be >= 0"),
        ({"customer": "acme", "models": "a"}, "models", "must be a list of names, or a mapping"),
        ({"customer": "acme", "models": ["a", " "]}, "models[1]", "1 to 200 printable"),
        ({"customer": "acme", "models": {"": {}}}, 'models[""]', "the name must be 1 to 200"),
        ({"customer": "acme", "models": {"a.b": 5}}, 'models["a.b"]', "must be a mapping"),
        (
            {"customer": "acme", "models": {"gpt-5": {"usd_per_dy": 5}}},
            "models.gpt-5.usd_per_dy",
            'unknown member; did you mean "usd_per_day"?',
        ),
        (
            {"customer": "acme", "models": {"gpt-5": {"in_flight": -1}}},
            "models.gpt-5.in_flight",
            "must be >= 0",
        ),
        ({"customer": "acme", "tags": ["a b"]}, "tags[0]", "1 to 64 letters"),
        ({"customer": "acme", "previous_until": None}, "previous_until", "unknown member"),
        ({"customr": "acme"}, "customer", "required"),
    ],
)
async def test_wrong_body(call: Caller, wrong: dict[str, Any], param: str, words: str) -> None:
    """A wrong member is named with what is wrong with it, and no key is made."""
    refused = await call("POST", KEYS, wrong)
    assert (400, "invalid_request", param) == refused.error
    assert words in refused.message
    assert [] == (await call("GET", KEYS)).json["data"]


@pytest.mark.parametrize("member", ["id", "customer", "managed", "created_at", "previous_until"])
async def test_fixed_members(call: Caller, member: str) -> None:
    """A key stays its customer's."""
    made = (await call("POST", KEYS, {"customer": "acme"})).json
    refused = await call("PATCH", f"{KEYS}/{made['id']}", {member: "acme-2"})
    assert f"{member}: cannot be changed" == refused.message


async def test_a_secret_is_not_repeated(call: Caller) -> None:
    """A value that is refused is not in the message: it may be a key."""
    refused = await call(
        "POST", KEYS, {"customer": "test key 0001", "key": "test-key-0002", "name": ["test-key-0003"]}
    )
    assert 400 == refused.status
    assert "test" not in refused.message
