"""Customers over the admin API: what is stored, what is shown, what is refused and why."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from ratelimit.subjects.secret import digest_of
from ratelimit.subjects.types import ConfiguredKey, NewCustomer
from tests.proxy.admin.serving import DEFAULT_LIMITS, NOW, Caller, Gateway

CUSTOMERS = "/admin/v1/customers"
ACME = f"{CUSTOMERS}/acme"


def record(**members: Any) -> dict[str, Any]:
    """A customer `acme` of whom nothing was said, but for `members`."""
    return {
        "id": "acme",
        "name": "acme",
        "limits": DEFAULT_LIMITS,
        "models": None,
        "regions": None,
        "priority": "normal",
        "on_soft_limit": "keep",
        "metadata": {},
        "tags": [],
        "disabled": False,
        "managed": "api",
        "created_at": NOW,
        **members,
    }


async def test_made_and_shown(call: Caller) -> None:
    """A new customer is answered with 201, the whole record and its path, and is found there."""
    said = {
        "name": "Acme",
        "limits": {"usd_per_month": 100, "in_flight": 4},
        "models": ["balanced", "gpt-5-mini"],
        "regions": ["eu", "CH"],
        "priority": "high",
        "on_soft_limit": "lower",
        "metadata": {"team": "blue", "depth": {"list": [1, None]}},
        "tags": ["team:blue", "a/b=c"],
        "disabled": True,
    }
    expected = record(
        **{**said, "limits": {"requests_per_minute": 60, "usd_per_month": 100.0, "in_flight": 4}}
    )
    made = await call("POST", CUSTOMERS, {"id": "acme", **said})
    assert (201, ACME, expected) == (made.status, made.headers["location"], made.json)
    shown = await call("GET", ACME)
    assert (200, expected) == (shown.status, shown.json)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"name": None, "limits": None, "models": None, "priority": None, "metadata": None, "tags": None},
        {"on_soft_limit": None, "regions": None},
        {"limits": {"in_flight": None}},
    ],
)
async def test_defaults(call: Caller, said: dict[str, Any]) -> None:
    """What is not named, or is null, has its default; limits are those of `limits.defaults`."""
    made = await call("POST", CUSTOMERS, {"id": "acme", **said})
    assert (201, record()) == (made.status, made.json)


async def test_no_limit_in_spite_of_a_default(call: Caller) -> None:
    """A limit that is null when a customer is made is none, whatever `limits.defaults` says."""
    made = await call("POST", CUSTOMERS, {"id": "acme", "limits": {"usd_per_month": None, "in_flight": 2}})
    assert {"requests_per_minute": 60, "in_flight": 2} == made.json["limits"]
    changed = await call("PATCH", ACME, {"limits": {"requests_per_minute": None}})
    assert {"in_flight": 2} == changed.json["limits"] == (await call("GET", ACME)).json["limits"]


async def test_every_limit(call: Caller) -> None:
    """Each limit can be set, zero included; whole numbers stay whole."""
    limits = {
        "requests_per_minute": 1,
        "tokens_per_minute": 2,
        "in_flight": 0,
        "tokens_per_day": 4,
        "tokens_per_month": 5,
        "tokens_total": 6,
        "usd_per_day": 0.5,
        "usd_per_month": 0.0,
        "usd_total": 8.0,
    }
    made = await call("POST", CUSTOMERS, {"id": "acme", "limits": limits})
    assert (201, limits) == (made.status, made.json["limits"])
    assert b'"tokens_total":6,' in made.raw


async def test_every_answer_has_an_id(call: Caller) -> None:
    """Answers of every status carry the request's id, echo the client's own and are not to be kept by caches."""
    named = Caller(call.app, headers={"x-request-id": "mine-1"})
    answers = [
        await named("POST", CUSTOMERS, {"id": "acme"}),
        await named("GET", CUSTOMERS),
        await named("GET", ACME),
        await named("PATCH", ACME, {}),
        await named("DELETE", ACME),
        await named("GET", ACME),
    ]
    assert [201, 200, 200, 200, 204, 404] == [answer.status for answer in answers]
    assert {"mine-1"} == {answer.headers["x-client-request-id"] for answer in answers}
    assert len(answers) == len({answer.headers["x-request-id"] for answer in answers})
    assert ["no-store"] * 4 == [answer.headers["cache-control"] for answer in answers[:4]]


async def test_admin_key_is_needed(call: Caller) -> None:
    """Without the admin key, or with another one, nothing is read or written."""
    for key in (None, "test-admin-key-0002"):
        for method in ("GET", "POST"):
            refused = await Caller(call.app, admin_key=key)(method, CUSTOMERS, {"id": "acme"})
            assert (401, "invalid_api_key", None) == refused.error
    assert [] == (await call("GET", CUSTOMERS)).json["data"]


async def test_existing_id(call: Caller) -> None:
    """An id is given once: a second customer of the id is refused with 409, and of many at once one is made."""
    made = await asyncio.gather(
        *(call("POST", CUSTOMERS, {"id": "acme", "name": f"n{n}"}) for n in range(10))
    )
    assert {201: 1, 409: 9} == Counter(answer.status for answer in made)
    refused = await call("POST", CUSTOMERS, {"id": "acme", "name": "late"})
    assert (409, "already_exists", "id") == refused.error
    assert "customer `acme` exists already" == refused.message
    (winner,) = (answer.json for answer in made if answer.status == 201)
    assert winner == (await call("GET", ACME)).json


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("customer_id", ["nobody", "no%20body", "%7Bx%7D"])
async def test_unknown_id(call: Caller, method: str, customer_id: str) -> None:
    """What is not there cannot be shown, changed or deleted, whatever its id looks like."""
    assert (404, "not_found", None) == (await call(method, f"{CUSTOMERS}/{customer_id}", {})).error


async def test_pages(call: Caller) -> None:
    """A list comes in pages in order of id; each names the cursor of the next, the last one none."""
    for number in range(5):
        await call("POST", CUSTOMERS, {"id": f"c{number}"})
    seen: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await call("GET", f"{CUSTOMERS}?limit=2&after={cursor}")).json
        assert {"object", "data", "next"} == set(page)
        assert "list" == page["object"]
        seen.append([row["id"] for row in page["data"]])
        cursor = page["next"]
    assert [["c0", "c1"], ["c2", "c3"], ["c4"]] == seen
    assert (await call("GET", f"{CUSTOMERS}?limit=1000")).json["next"] is None


async def test_page_default(call: Caller, served: Gateway) -> None:
    """A page has a hundred records when nothing is said; rows are whole records."""
    for number in range(101):
        await served.directory.create_customer(NewCustomer(f"c{number:03}"))
    page = (await call("GET", CUSTOMERS)).json
    assert (100, "c099") == (len(page["data"]), page["next"])
    assert (await call("GET", f"{CUSTOMERS}/c000")).json == page["data"][0]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=1&limit=2", "limit"),
        ("limt=5", "limt"),
        ("customer=acme", "customer"),
    ],
)
async def test_wrong_query(call: Caller, query: str, param: str) -> None:
    """Parameters that are wrong, unknown or given twice are refused, not ignored."""
    assert (400, "invalid_request", param) == (await call("GET", f"{CUSTOMERS}?{query}")).error


@pytest.mark.parametrize(
    ("patch", "changes"),
    [
        ({}, {}),
        ({"name": "New"}, {"name": "New"}),
        ({"name": None}, {"name": "acme"}),
        ({"limits": {"usd_per_day": None}}, {"limits": {"in_flight": 4}}),
        (
            {"limits": {"usd_per_day": 9, "tokens_total": 0}},
            {"limits": {"in_flight": 4, "usd_per_day": 9.0, "tokens_total": 0}},
        ),
        ({"limits": {"usd_total": None}}, {}),
        ({"limits": {}}, {}),
        ({"limits": None}, {"limits": {}}),
        ({"models": ["b"]}, {"models": ["b"]}),
        ({"models": []}, {"models": []}),
        ({"models": None}, {"models": None}),
        ({"regions": ["us", "ch"]}, {"regions": ["us", "ch"]}),
        ({"regions": None}, {"regions": None}),
        ({"priority": "low"}, {"priority": "low"}),
        ({"priority": None}, {"priority": "normal"}),
        ({"on_soft_limit": "keep"}, {"on_soft_limit": "keep"}),
        ({"on_soft_limit": None}, {"on_soft_limit": "keep"}),
        (
            {"metadata": {"b": 2, "deep": {"x": None, "z": 3}}},
            {"metadata": {"a": 1, "b": 2, "deep": {"y": 2, "z": 3}}},
        ),
        ({"metadata": {"a": None, "deep": None}}, {"metadata": {}}),
        ({"metadata": {"a": {"b": None, "c": 1}}}, {"metadata": {"a": {"c": 1}, "deep": {"x": 1, "y": 2}}}),
        ({"metadata": None}, {"metadata": {}}),
        ({"tags": ["b", "c"]}, {"tags": ["b", "c"]}),
        ({"tags": []}, {"tags": []}),
        ({"tags": None}, {"tags": []}),
        ({"disabled": True}, {"disabled": True}),
        ({"disabled": False, "name": "New", "limits": None}, {"name": "New", "limits": {}}),
    ],
)
async def test_merge(call: Caller, served: Gateway, patch: dict[str, Any], changes: dict[str, Any]) -> None:
    """A change merges: what is named is set, null removes, what is absent stays."""
    kept: dict[str, Any] = {
        "name": "Acme",
        "limits": {"in_flight": 4, "usd_per_day": 1.0},
        "models": ["a"],
        "regions": ["eu"],
        "priority": "high",
        "on_soft_limit": "lower",
        "metadata": {"a": 1, "deep": {"x": 1, "y": 2}},
        "tags": ["a"],
    }
    lists = {"models": ("a",), "regions": ("eu",), "tags": ("a",)}
    await served.directory.create_customer(NewCustomer("acme", **{**kept, **lists}))
    changed = await call("PATCH", ACME, patch)
    expected = record(**{**kept, **changes})
    assert (200, expected) == (changed.status, changed.json)
    assert expected == (await call("GET", ACME)).json


async def test_changes_at_once(call: Caller) -> None:
    """Changes of different members at the same moment all hold."""
    await call("POST", CUSTOMERS, {"id": "acme"})
    names = ("in_flight", "tokens_per_day", "tokens_total", "tokens_per_month")
    answers = await asyncio.gather(*(call("PATCH", ACME, {"limits": {name: 7}}) for name in names))
    assert [200] * 4 == [answer.status for answer in answers]
    assert {**DEFAULT_LIMITS, **dict.fromkeys(names, 7)} == (await call("GET", ACME)).json["limits"]


async def test_disabling_stops_the_keys(call: Caller, served: Gateway) -> None:
    """A disabled customer's keys are refused; enabled again, they work."""
    await call("POST", CUSTOMERS, {"id": "acme"})
    secret: str = (await call("POST", "/admin/v1/keys", {"customer": "acme"})).json["key"]
    await call("PATCH", ACME, {"disabled": True})
    subject = await served.lookup.find(secret.encode())
    assert subject is not None
    assert "customer disabled" == subject.disabled
    await call("PATCH", ACME, {"disabled": False})
    again = await served.lookup.find(secret.encode())
    assert again is not None
    assert again.disabled is None


async def test_deleted_with_its_keys(call: Caller, served: Gateway) -> None:
    """Deleting answers 204 and nothing else; the customer and its keys are gone, others stay."""
    for customer_id in ("acme", "bolt"):
        await call("POST", CUSTOMERS, {"id": customer_id})
    keys = [
        (await call("POST", "/admin/v1/keys", {"customer": name})).json for name in ("acme", "acme", "bolt")
    ]
    deleted = await call("DELETE", ACME)
    assert (204, b"") == (deleted.status, deleted.raw)
    assert ["bolt"] == [row["id"] for row in (await call("GET", CUSTOMERS)).json["data"]]
    assert [keys[2]["id"]] == [row["id"] for row in (await call("GET", "/admin/v1/keys")).json["data"]]
    assert [None, None] == [await served.lookup.find(key["key"].encode()) for key in keys[:2]]
    assert (await served.lookup.find(keys[2]["key"].encode())) is not None
    assert (404, "not_found", None) == (await call("DELETE", ACME)).error


async def test_managed_by_file(call: Caller, served: Gateway) -> None:
    """What the configuration manages is shown and cannot be changed, deleted or made again."""
    key = ConfiguredKey("acme-web", "acme", digest_of("test-key-0001-abcdef").hex())
    await served.directory.sync_configured([NewCustomer("acme", "Acme")], [key], default_limits={})
    shown = (await call("GET", ACME)).json
    assert ("file", "Acme") == (shown["managed"], shown["name"])
    for refused in (await call("PATCH", ACME, {"name": "Mine"}), await call("DELETE", ACME)):
        assert (409, "managed_by_file", None) == refused.error
        assert "configuration file" in refused.message
    assert (409, "already_exists", "id") == (await call("POST", CUSTOMERS, {"id": "acme"})).error
    await served.directory.sync_configured([], [], default_limits={})
    assert (await call("GET", ACME)).json["disabled"] is True
    assert 204 == (await call("DELETE", ACME)).status


@pytest.mark.parametrize(
    ("wrong", "param", "words"),
    [
        ({}, "id", "required"),
        ({"id": 5}, "id", "must be text"),
        ({"id": None}, "id", "must be text"),
        ({"id": ""}, "id", "letters, digits"),
        ({"id": "a b"}, "id", "letters, digits"),
        ({"id": "a{b}"}, "id", "letters, digits"),
        ({"id": "a/b"}, "id", "letters, digits"),
        ({"id": "a" * 129}, "id", "1 to 128"),
        ({"id": "a", "name": 5}, "name", "must be text"),
        ({"id": "a", "name": "x" * 201}, "name", "at most 200"),
        ({"id": "a", "name": "\x1b[31m"}, "name", "control character"),
        ({"id": "a", "limits": []}, "limits", "must be a mapping"),
        (
            {"id": "a", "limits": {"usd_per_dy": 1}},
            "limits.usd_per_dy",
            'unknown member; did you mean "usd_per_day"?',
        ),
        ({"id": "a", "limits": {"usd_per_day": -0.01}}, "limits.usd_per_day", "must be >= 0"),
        ({"id": "a", "limits": {"in_flight": -1}}, "limits.in_flight", "must be >= 0"),
        ({"id": "a", "limits": {"in_flight": 1.5}}, "limits.in_flight", "must be a whole number"),
        ({"id": "a", "limits": {"in_flight": "1"}}, "limits.in_flight", "must be a whole number"),
        ({"id": "a", "limits": {"in_flight": True}}, "limits.in_flight", "must be a whole number"),
        ({"id": "a", "limits": {"usd_total": "1"}}, "limits.usd_total", "must be a number"),
        ({"id": "a", "models": "gpt-5-mini"}, "models", "must be a list"),
        ({"id": "a", "models": ["b", ""]}, "models[1]", "1 to 200 printable"),
        ({"id": "a", "limits": {"usd_total": 1e9 + 1}}, "limits.usd_total", "must be <= 1000000000"),
        (
            {"id": "a", "limits": {"tokens_total": 10**15 + 1}},
            "limits.tokens_total",
            "must be <= 1000000000000000",
        ),
        ({"id": "a", "models": {"b": {}}}, "models", "must be a list"),
        ({"id": "a", "regions": []}, "regions", "must hold 1 entry or more"),
        ({"id": "a", "regions": "eu"}, "regions", "must be a list"),
        ({"id": "a", "priority": 1}, "priority", "must be one of low, normal, high"),
        ({"id": "a", "on_soft_limit": True}, "on_soft_limit", "must be one of keep, lower"),
        (
            {"id": "a", "priority": "hihg"},
            "priority",
            'is not one of low, normal, high; did you mean "high"?',
        ),
        ({"id": "a", "tags": "b"}, "tags", "must be a list"),
        ({"id": "a", "tags": ["b", "c d"]}, "tags[1]", "1 to 64 letters"),
        ({"id": "a", "tags": ["b" * 65]}, "tags[0]", "1 to 64 letters"),
        ({"id": "a", "tags": [""]}, "tags[0]", "1 to 64 letters"),
        ({"id": "a", "tags": ["b"] * 9}, "tags", "must hold 8 entries or fewer"),
        ({"id": "a", "metadata": "x"}, "metadata", "must be a mapping"),
        ({"id": "a", "metadata": {"x": "y" * 16_384}}, "metadata", "at most 16384 bytes"),
        ({"id": "a", "disabled": "yes"}, "disabled", "must be true or false"),
        ({"id": "a", "managed": "file"}, "managed", "unknown member"),
        ({"id": "a", "modles": ["b"]}, "modles", 'unknown member; did you mean "models"?'),
    ],
)
async def test_wrong_body(call: Caller, wrong: dict[str, Any], param: str, words: str) -> None:
    """A wrong member is named with what is wrong with it, and nothing is stored."""
    refused = await call("POST", CUSTOMERS, wrong)
    assert (400, "invalid_request", param) == refused.error
    assert refused.message.startswith(f"{param}: ")
    assert words in refused.message
    assert [] == (await call("GET", CUSTOMERS)).json["data"]


async def test_all_problems_at_once(call: Caller) -> None:
    """Several problems are one message."""
    refused = await call("POST", CUSTOMERS, {"id": "a", "limits": {"in_flight": -1}, "nmae": "x"})
    assert 'limits.in_flight: must be >= 0; nmae: unknown member; did you mean "name"?' == refused.message


@pytest.mark.parametrize("member", ["id", "managed", "created_at"])
async def test_fixed_members(call: Caller, member: str) -> None:
    """What cannot be changed is said so, not called unknown."""
    await call("POST", CUSTOMERS, {"id": "acme"})
    refused = await call("PATCH", ACME, {"name": "New", member: "acme"})
    assert (400, "invalid_request", member) == refused.error
    assert f"{member}: cannot be changed" == refused.message
    assert record() == (await call("GET", ACME)).json


async def test_metadata_stay_small(call: Caller) -> None:
    """Small changes cannot add up to metadata that are too large, and deep ones are refused too."""
    await call("POST", CUSTOMERS, {"id": "acme", "metadata": {"a": "x" * 10_000}})
    refused = await call("PATCH", ACME, {"metadata": {"b": "x" * 10_000}})
    assert (400, "invalid_request", "metadata") == refused.error
    deep = b'{"metadata": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}"
    refused = await call("PATCH", ACME, raw=deep)
    assert (400, "invalid_request", "metadata") == refused.error
    assert "metadata: must not be nested this deeply" == refused.message
    assert {"a": "x" * 10_000} == (await call("GET", ACME)).json["metadata"]


async def test_disabled_is_a_switch(call: Caller) -> None:
    """`disabled` is true or false and nothing like it."""
    await call("POST", CUSTOMERS, {"id": "acme"})
    for wrong in (None, 1, "true"):
        assert (400, "invalid_request", "disabled") == (await call("PATCH", ACME, {"disabled": wrong})).error
