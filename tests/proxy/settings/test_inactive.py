"""What is accepted although nothing acts on it yet."""

from collections.abc import Callable

import pytest

from proxy.settings.inactive import TABLE, Row, inactive
from proxy.settings.load import Loaded
from proxy.settings.schema import Settings

Load = Callable[..., Loaded]

UNTOLD = """
models:
  - id: m
    backends: [{provider: sandbox, model: m, price: {input: 1, output: 1, audio_output: 2}}]
    price:
      {input: 1, output: 1, cache_write_1h: 2, steps: [{above_context_tokens: 1, input: 1, output: 1, audio_input: 1}]}
"""
LIMITS = """
limits: {default_max_output_tokens: 1, soft_ratio: 0, shrink_output: true, defaults: {in_flight: 1}}
"""


def test_defaults_are_never_named(load_text: Load) -> None:
    """Neither absent nor written out."""
    assert [] == inactive(Settings())
    text = """
server: {workers: 1, ops_listen: null}
redis: {url: embedded}
records: {generations_max: 100000, generations_days: 7, ledger_days: 30}
tiers:
  frugal: {models: [sandbox-small], strategy: cheapest, floor: 55}
  balanced: {models: [sandbox-small], strategy: cheapest, floor: 70}
  premium: {strategy: score}
  own: {floor: 0}
routing:
  modes:
    frugal: [frugal, frugal, frugal]
    balanced: [frugal, balanced, premium]
    premium: [premium, premium, premium]
  classifier: {micro_timeout_ms: 400}
  hedge: {enabled: false}
limits: {soft_ratio: 0.8, defaults: {requests_per_minute: 60}}
keys: [{id: k, customer: c, secret: env:A, limits: {requests_per_minute: 5}}]
"""
    assert () == load_text(text, {"A": "test-key-0001-abcdef"}).inactive


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server: {workers: 2, ops_listen: 127.0.0.1:9090}", []),
        ("redis: {url: redis://a, on_outage: open}", []),
        ("server: {trusted_proxies: [10.0.0.0/8]}", ["server.trusted_proxies"]),
        ("redis: {on_outage: lease}", ["redis.on_outage"]),
        ("records: {ledger_days: 1, generations_max: 1}", []),
        (
            "providers: {s: {adapter: sandbox, api_keys: [{key: vault:a#b, tiers: [frugal]}, {key: env:B}]}}",
            ["providers.s.api_keys[0].key"],
        ),
        ("providers: {s: {adapter: sandbox, api_key: 'vault:a#b'}}", ["providers.s.api_key"]),
        ("keys: [{id: k, customer: c, secret: 'vault:a#b'}]", ["keys[0].secret"]),
        (
            UNTOLD,
            [
                "models[0].price.cache_write_1h",
                "models[0].price.steps[0].audio_input",
                "models[0].backends[0].price.audio_output",
            ],
        ),
        (
            "tiers: {frugal: {strategy: score, floor: 1, weights: {cost: 1}, stages: [sandbox-small]}}",
            ["tiers.frugal.stages"],
        ),
        (
            "routing: {retries: 0, deadline_s: 5, breaker: {min_requests: 1}, hedge: {enabled: true}}",
            ["routing.hedge"],
        ),
        (
            LIMITS,
            [],
        ),
        ("customers: [{id: a, priority: high}, {id: b, priority: normal}]", []),
    ],
)  # fmt: skip
def test_what_has_no_effect_yet_is_named(load_text: Load, text: str, expected: list[str]) -> None:
    """Key by key, each with what happens instead."""
    loaded = load_text(text, {"A": "test-key-0001-abcdef", "B": "test-key-0002-abcdef"})
    assert expected == [each.path for each in loaded.inactive]
    assert all(each.message.startswith("accepted, not yet active: ") for each in loaded.inactive)


def test_removing_a_row_makes_a_feature_active(load_text: Load) -> None:
    """Nothing else has to change."""
    settings = load_text("redis: {on_outage: lease}\nrouting: {hedge: {enabled: true}}").settings
    without = tuple(row for row in TABLE if row.pattern != "redis.on_outage")
    assert ["redis.on_outage", "routing.hedge"] == [each.path for each in inactive(settings)]
    assert ["routing.hedge"] == [each.path for each in inactive(settings, without)]


def test_every_row_names_keys_of_the_schema() -> None:
    """A row for a key that has been renamed would be silent."""
    price = {"input": 1, "output": 1, "steps": [{"above_context_tokens": 1, "input": 1, "output": 1}]}
    backend = {"provider": "p", "model": "m", "price": price}
    text_by_kind = {
        "models": [{"id": "m", "price": price, "backends": [backend]}],
        "providers": {"p": {"adapter": "x", "api_keys": [{"key": "env:A"}]}},
        "tiers": {"t": {}},
        "customers": [{"id": "c"}],
        "keys": [{"id": "k", "customer": "c", "secret": "env:A", "models": {"m": {}}}],
    }
    settings = Settings.model_validate(text_by_kind)
    for row in TABLE:
        assert inactive(settings, (Row(row.pattern, row.note, lambda _: True),)), row.pattern
