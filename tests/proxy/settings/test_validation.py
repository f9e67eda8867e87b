"""What the schema refuses, and how it says so."""

from collections.abc import Callable

import pytest

Refused = Callable[..., list[str]]

NAME_RULE = "must be 1 to 128 letters, digits, '.', '_', '@' or '-', the first a letter or digit"
CAPABILITIES = (
    "tools, parallel_tools, json_schema, vision, audio_in, pdf, reasoning, prompt_cache, logprobs, embeddings"
)


FLAT = "input: 1, output: 1"
STEPPED = f"id: a, backends: [{{provider: sandbox, model: b}}], price: {{{FLAT}, steps: ["


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server: {prot: 1}", 'server.prot: unknown key; did you mean "port"?'),
        ("sevrer: {}", 'sevrer: unknown key; did you mean "server"?'),
        ("server: {zebra: 1}", "server.zebra: unknown key"),
        (
            "models: [{id: a, backends: [{provider: sandbox, model: b, regoin: us}]}]",
            'models[0].backends[0].regoin: unknown key; did you mean "region"?',
        ),
        (
            "tiers: {a: {weights: {qualty: 1}}}",
            'tiers.a.weights.qualty: unknown key; did you mean "quality"?',
        ),
        (
            "providers: {s: {adapter: sandbox, timeouts: {connect: 1}}}",
            'providers.s.timeouts.connect: unknown key; did you mean "connect_s"?',
        ),
        ("tiers: {a: {flor: 1}}", 'tiers.a.flor: unknown key; did you mean "floor"?'),
        ("routing: {hedge: {enable: true}}", 'routing.hedge.enable: unknown key; did you mean "enabled"?'),
        ("customers: [{id: a, limits: {usd_per_mont: 1}}]",
         'customers[0].limits.usd_per_mont: unknown key; did you mean "usd_per_month"?'),
        ("server: {port: '8080'}", "server.port: must be a whole number"),
        ("server: {port: 80.5}", "server.port: must be a whole number"),
        ("server: {port: true}", "server.port: must be a whole number"),
        ("server: {port: 1:30}", "server.port: must be a whole number"),
        ("server: {port: 65536}", "server.port: must be <= 65535"),
        ("server: {port: -1}", "server.port: must be >= 0"),
        ("server: {workers: 0}", "server.workers: must be >= 1"),
        ("server: {tail_s: -0.5}", "server.tail_s: must be >= 0"),
        ("server: {tail_s: 2s}", "server.tail_s: must be a number"),
        ("server: {tail_s: .inf}", "server.tail_s: must be a finite number"),
        ("server: {host: 5}",
         "server.host: must be text (a number, true, false or null as text is put in quotes)"),
        ("server: {host: ''}", "server.host: must not be empty"),
        ("server: {ops_listen: 9090}",
         "server.ops_listen: must be text (a number, true, false or null as text is put in quotes)"),
        ("server: {ops_listen: localhost}",
         "server.ops_listen: must be an address and a port, like 127.0.0.1:9090"),
        ("server: {trusted_proxies: 10.0.0.1}", "server.trusted_proxies: must be a list"),
        (
            "server: {trusted_proxies: [10.0.0.1, proxy]}",
            "server.trusted_proxies[1]: must be an IP address or a network, like 10.0.0.0/8",
        ),
        ("server: {data_dir: 5}", "server.data_dir: must be a path"),
        ("server: 5", "server: must be a mapping of keys to values"),
        ("redis: {on_outage: opne}",
         'redis.on_outage: "opne" is not one of lease, open, closed; did you mean "open"?'),
        ("redis: {on_outage: [open]}", "redis.on_outage: must be one of lease, open, closed"),
        ("redis: {timeout_ms: 0}", "redis.timeout_ms: must be >= 1"),
        ("providers: [openai]", "providers: must be a mapping of names to values"),
        ("providers: {s: {}}", "providers.s.adapter: required"),
        ("providers: {s: {adapter: sandbox, required: yes}}", "providers.s.required: must be true or false"),
        (
            "providers: {'a b': {adapter: sandbox}}",
            f'providers["a b"]: the name {NAME_RULE}',
        ),
        ("models: {a: 1}", "models: must be a list"),
        ("models: [{id: a}]", "models[0].backends: required"),
        ("models: [{id: a, backends: []}]", "models[0].backends: must hold 1 entry or more, not 0"),
        (
            "models: [{id: a, backends: [{provider: sandbox, model: b}], price: {input: -1, output: 1}}]",
            "models[0].price.input: must be >= 0",
        ),
        (
            f"models: [{{{STEPPED} {{above_context_tokens: 2, {FLAT}}}, {{above_context_tokens: 2, {FLAT}}}]}}}}]",
            "models[0].price.steps: above_context_tokens must grow from one entry to the next",
        ),
        (
            f"models: [{{{STEPPED} {{above_context_tokens: 0, {FLAT}}}]}}}}]",
            "models[0].price.steps[0].above_context_tokens: must be >= 1",
        ),
        (
            "models: [{id: a, backends: [{provider: sandbox, model: b}], can: [tools, vison]}]",
            f'models[0].can[1]: "vison" is not one of {CAPABILITIES}; did you mean "vision"?',
        ),
        (
            "models: [{id: a, backends: [{provider: sandbox, model: b}], quality: {code: 101}}]",
            "models[0].quality.code: must be <= 100",
        ),
        (
            "models: [{id: a, backends: [{provider: sandbox, model: b}], speed_tokens_s: 0}]",
            "models[0].speed_tokens_s: must be > 0",
        ),
        (
            "models: [{id: a, backends: [{provider: sandbox, model: b}], deprecated_on: 2026}]",
            "models[0].deprecated_on: must be a date, like 2026-12-31",
        ),
        (
            "models: [{id: a b, backends: [{provider: sandbox, model: b}]}]",
            "models[0].id: must be 1 to 200 printable ASCII characters without blanks",
        ),
        ("tiers: {a: {floor: 101}}", "tiers.a.floor: must be <= 100"),
        ("routing: {modes: {a: [frugal]}}", "routing.modes.a: must hold 3 entries or more, not 1"),
        (
            "routing: {modes: {a: [frugal, frugal, frugal, frugal]}}",
            "routing.modes.a: must hold 3 entries or fewer, not 4",
        ),
        ("routing: {breaker: {error_ratio: 2}}", "routing.breaker.error_ratio: must be <= 1"),
        (
            "routing: {classifier: {rules: [{name: a, pattern: '(', complexity: simple}]}}",
            "routing.classifier.rules[0].pattern: is not a pattern of RE2: missing ): (",
        ),
        ("limits: {defaults: {requests_per_minute: -1}}",
         "limits.defaults.requests_per_minute: must be >= 0"),
        ("limits: {defaults: {usd_total: lots}}", "limits.defaults.usd_total: must be a number"),
        ("customers: [{name: Acme}]", "customers[0].id: required"),
        ("keys: [{id: a, customer: b}]", "keys[0].secret: required"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem_at_its_place(refused: Refused, text: str, expected: str) -> None:
    """The message says what to write instead."""
    assert [expected] == refused(text)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:8000", "must be a URL that begins http:// or https://, like https://api.example.com/v1"),
        ("ftp://a", "must be a URL that begins http:// or https://, like https://api.example.com/v1"),
        ("https://", "must be a URL that begins http:// or https://, like https://api.example.com/v1"),
        ("http://a:port/v1", "must be a URL, like https://api.example.com/v1"),
        ("http://[::1/v1", "must be a URL, like https://api.example.com/v1"),
        ("https://user:hunter2@a/v1", "must not hold a user or password; name the key in api_key"),
        ("https://a/v1?key=hunter2", "must not hold a query or fragment; name the key in api_key"),
    ],
)
def test_an_address_must_be_one_and_hold_no_secret(refused: Refused, address: str, expected: str) -> None:
    """What a refused address holds is not repeated."""
    text = f"providers: {{s: {{adapter: sandbox, base_url: '{address}'}}}}"
    assert [f"providers.s.base_url: {expected}"] == refused(text)
