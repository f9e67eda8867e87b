"""Customers and keys in the file: the same members, and the same words, as over the admin API."""

from collections.abc import Callable

import pytest

from proxy.assembly.subjects import configured_subjects
from proxy.settings.load import Loaded
from ratelimit.subjects.types import ConfiguredKey, NewCustomer

Load = Callable[..., Loaded]
Refused = Callable[..., list[str]]

ENVIRONMENT = {"A": "test-key-0001-abcdef", "B": "test-key-0002-abcdef"}


def test_every_member_reaches_the_store(load_text: Load) -> None:
    """What the file says of a customer and a key is what the directory is told."""
    text = """
limits: {defaults: {requests_per_minute: 60, usd_per_month: 10}}
customers:
  - id: acme
    name: Acme
    limits: {usd_per_month: null, in_flight: 2}
    models: [frugal]
    priority: high
    on_soft_limit: lower
    regions: [EU, us-east-1]
    metadata: {team: blue, deep: {list: [1]}}
    tags: [a, "b:c"]
    disabled: true
  - id: plain
keys:
  - id: k
    customer: acme
    secret: env:A
    limits: {tokens_total: 5}
    models: {frugal: {usd_per_day: 5}, balanced: {}, premium: null}
    expires_at: 2030-01-31T12:00:00+01:00
    tags: [d]
    disabled: true
  - {id: l, customer: implied, secret: env:B, models: [frugal]}
  - {id: m, customer: left-out, secret: env:C}
"""
    settings = load_text(text, ENVIRONMENT).settings
    subjects = configured_subjects(settings, None)
    digests = [key.digest or "" for key in settings.keys]
    assert [
        NewCustomer(
            "acme",
            "Acme",
            {"requests_per_minute": 60, "in_flight": 2},
            ("frugal",),
            "high",
            {"team": "blue", "deep": {"list": [1]}},
            disabled=True,
            tags=("a", "b:c"),
            on_soft_limit="lower",
            regions=("EU", "us-east-1"),
        ),
        NewCustomer("plain", "plain", {"requests_per_minute": 60, "usd_per_month": 10}),
    ] == subjects.customers
    assert [
        ConfiguredKey(
            "k",
            "acme",
            digests[0],
            "k",
            {"tokens_total": 5},
            ("frugal", "balanced", "premium"),
            "2030-01-31T11:00:00Z",
            disabled=True,
            model_limits={"frugal": {"usd_per_day": 5.0}, "balanced": {}, "premium": {}},
            tags=("d",),
        ),
        ConfiguredKey("l", "implied", digests[1], "l", models=("frugal",)),
    ] == subjects.keys
    assert ["implied", "left-out"] == subjects.named_only


def test_the_laptops_key_has_no_limits(load_text: Load) -> None:
    """Whatever the defaults are."""
    settings = load_text("limits: {defaults: {requests_per_minute: 60}}").settings
    subjects = configured_subjects(settings, "test-key-0003-abcdef")
    assert [("local", {})] == [(customer.id, customer.limits) for customer in subjects.customers]
    assert [("local", {})] == [(key.customer, key.limits) for key in subjects.keys]


@pytest.mark.parametrize(
    ("customer", "problem"),
    [
        ("models: [frugl]", 'models[0]: no model or tier is called "frugl"; did you mean "frugal"?'),
        ("models: {frugal: {}}", "models: must be a list"),
        ("on_soft_limit: lowr", 'on_soft_limit: "lowr" is not one of keep, lower; did you mean "lower"?'),
        ("priority: hgih", 'priority: "hgih" is not one of low, normal, high; did you mean "high"?'),
        ("regions: eu", "regions: must be a list"),
        ("regions: []", "regions: must hold 1 entry or more, not 0"),
        ("regions: [eu, '']", "regions[1]: must not be empty"),
        ("metadata: [a]", "metadata: must be a mapping of names to values"),
        ("tags: ['a b']", "tags[0]: must be 1 to 64 letters, digits, '_', '.', ':', '/', '=' or '-'"),
        ("tags: [a, b, c, d, e, f, g, h, i]", "tags: must hold 8 entries or fewer, not 9"),
        ("disabled: maybe", "disabled: must be true or false"),
        ("limits: {usd_per_dy: 1}", 'limits.usd_per_dy: unknown key; did you mean "usd_per_day"?'),
        ("limits: {usd_total: 1000000001}", "limits.usd_total: must be <= 1000000000"),
        ("limits: {usd_total: .inf}", "limits.usd_total: must be a finite number"),
        ("limits: {in_flight: 1.5}", "limits.in_flight: must be a whole number"),
        ("tag: a", 'tag: unknown key; did you mean "tags"?'),
    ],
)
def test_wrong_customers(refused: Refused, customer: str, problem: str) -> None:
    """Each with its path and what to write instead."""
    assert [f"customers[0].{problem}"] == refused(f"customers: [{{id: acme, {customer}}}]")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("models: frugal", "models: must be a list of names, or a mapping of names to limits"),
        ("models: [frugl]", 'models[0]: no model or tier is called "frugl"; did you mean "frugal"?'),
        ("models: {frugl: {}}", 'models.frugl: no model or tier is called "frugl"; did you mean "frugal"?'),
        ("models: {frugal: {usd_dy: 1}}", 'models.frugal.usd_dy: unknown key; did you mean "usd_per_day"?'),
        ("models: {frugal: {usd_total: -1}}", "models.frugal.usd_total: must be >= 0"),
        ("models: {frugal: 5}", "models.frugal: must be a mapping of keys to values"),
        (
            "expires_at: tomorrow",
            "expires_at: must be a time with its zone, like 2030-01-31T12:00:00Z or 2030-01-31T12:00:00+02:00",
        ),
        ("tags: ['']", "tags[0]: must be 1 to 64 letters, digits, '_', '.', ':', '/', '=' or '-'"),
        ("priority: high", "priority: unknown key"),
    ],
)
def test_wrong_keys(refused: Refused, key: str, problem: str) -> None:
    """The same for keys, and for the limits of single models."""
    assert [f"keys[0].{problem}"] == refused(
        f"keys: [{{id: k, customer: c, secret: env:A, {key}}}]", ENVIRONMENT
    )
