"""What must hold between the parts of a configuration."""

from collections.abc import Callable

import pytest

from providers.registry import REGISTRY
from proxy.settings import checks
from proxy.settings.checks import names_in

Refused = Callable[..., list[str]]

PROVIDERS = "providers: {openai: {adapter: openai, base_url: 'http://a/v1'}, s: {adapter: sandbox}}\n"
MODELS = """
models:
  - {id: a, backends: [{provider: s, model: a}], price: {input: 0, output: 0}}
  - {id: b, backends: [{provider: s, model: b}], price: {input: 0, output: 0}}
"""


def test_an_unknown_provider_is_named_with_its_near_miss(refused: Refused) -> None:
    """At the place where it is written."""
    text = f"{PROVIDERS}{MODELS}  - {{id: c, backends: [{{provider: opneai, model: c}}]}}"
    message = 'models[2].backends[0].provider: no provider is called "opneai"; did you mean "openai"?'
    assert [message] == refused(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("providers: {x: {adapter: opneai}}",
         'providers.x.adapter: no adapter is called "opneai"; did you mean "openai"?'),
        ("tiers: {frugal: {models: [a, sandbox-smal]}}" + MODELS,
         'tiers.frugal.models[1]: no model is called "sandbox-smal"'),
        ("tiers: {frugal: {models: [sandbox-smal]}}",
         'tiers.frugal.models[0]: no model is called "sandbox-smal"; did you mean "sandbox-small"?'),
        ("tiers: {frugal: {stages: [llama-4]}}",
         'tiers.frugal.stages[0]: no model is called "llama-4"; did you mean "llama-3"?'),
        ("routing: {modes: {x: [frugal, frugal, premum]}}",
         'routing.modes.x[2]: no tier is called "premum"; did you mean "premium"?'),
        ("routing: {aliases: {openrouter/auto: blanced}}",
         'routing.aliases["openrouter/auto"]: no tier is called "blanced"; did you mean "balanced"?'),
        ("routing: {classifier: {micro_model: llama-4}}",
         'routing.classifier.micro_model: no model is called "llama-4"; did you mean "llama-3"?'),
        ("keys: [{id: k, customer: c, secret: env:K, models: [balanced, llama-4]}]",
         'keys[0].models[1]: no model or tier is called "llama-4"; did you mean "llama-3"?'),
        ("providers: {s: {adapter: sandbox, api_keys: [{key: env:K, tiers: [fruga]}]}}",
         'providers.s.api_keys[0].tiers[0]: no tier is called "fruga"; did you mean "frugal"?'),
    ],
)  # fmt: skip
def test_every_name_that_is_used_is_known(refused: Refused, text: str, expected: str) -> None:
    """Providers, adapters, models, tiers, modes and aliases."""
    if "models:\n" in text:
        text += PROVIDERS
    assert [expected] == refused(text)


def test_a_key_may_name_models_tiers_modes_and_aliases(load_text: Callable[..., object]) -> None:
    """Whatever a client may write as `model`."""
    load_text(
        "routing: {aliases: {openrouter/auto: quick}, modes: {quick: [frugal, frugal, frugal]}}\n"
        "keys: [{id: k, customer: c, secret: env:K,"
        " models: [llama-3, frugal, quick, headgate/premium, openrouter/auto]}]"
    )


RULES = """
routing:
  classifier:
    rules: [{name: r, pattern: a, complexity: simple}, {name: r, pattern: b, complexity: simple}]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PROVIDERS + MODELS + "  - {id: a, backends: [{provider: s, model: c}]}",
         'models[2].id: "a" is already the id of models[0]'),
        ("customers: [{id: a}, {id: b}, {id: a}]", 'customers[2].id: "a" is already the id of customers[0]'),
        ("keys: [{id: a, customer: c, secret: env:A}, {id: a, customer: c, secret: env:B}]",
         'keys[1].id: "a" is already the id of keys[0]'),
        (PROVIDERS + "models: [{id: a, backends: [{provider: s, model: a}, {provider: s, model: a}]}]",
         "models[0].backends[1]: the same provider and model as models[0].backends[0]"),
        (RULES,
         'routing.classifier.rules[1].name: "r" is already the name of routing.classifier.rules[0]'),
    ],
)  # fmt: skip
def test_an_id_is_there_once(refused: Refused, text: str, expected: str) -> None:
    """The second is named, and where the first stands."""
    assert [expected] == refused(text)


def test_a_rule_matches_its_own_example(refused: Refused) -> None:
    """A pattern that misses the text it was written for is a mistake."""
    rule = "{name: r, pattern: '^changelog', complexity: simple, example: Write the changelog}"
    message = 'routing.classifier.rules[0].example: the pattern of "r" does not match its own example'
    assert [message] == refused(f"routing: {{classifier: {{rules: [{rule}]}}}}")


def test_an_example_is_seen_as_requests_are(refused: Refused) -> None:
    """Courtesies are gone before a pattern is searched for, so an example that relies on them is told what is left."""
    rule = "{name: r, pattern: ^hello, complexity: simple, example: 'Hello! Write the changelog.'}"
    (message,) = refused(f"routing: {{classifier: {{rules: [{rule}]}}}}")
    assert message.startswith('routing.classifier.rules[0].example: the pattern of "r" does not match')
    assert "'Write the changelog.'" in message


def test_rules_fit_into_memory_together(refused: Refused) -> None:
    """Each pattern may be fine by itself and all of them too many: said at load, not at the first request."""
    rules = ", ".join(
        f"{{name: r{number}, pattern: '[x-z]{{3,900}}[a-c]{{3,900}}{number}', complexity: simple}}"
        for number in range(300)
    )
    expected = "routing.classifier.rules: all patterns together need too much memory"
    assert [expected] == refused(f"routing: {{classifier: {{rules: [{rules}]}}}}")


def test_a_provider_names_its_keys_in_one_way(refused: Refused) -> None:
    """Which of the two would win is nobody's guess."""
    text = "providers: {s: {adapter: sandbox, api_key: env:A, api_keys: [{key: env:B}]}}"
    assert ["providers.s.api_keys: give api_key or api_keys, not both"] == refused(text)


@pytest.mark.parametrize(
    ("key", "value", "owner"),
    [
        ("region", "eu", "bedrock"),
        ("access_key_id", "env:A", "bedrock"),
        ("secret_access_key", "env:A", "bedrock"),
        ("session_token", "env:A", "bedrock"),
        ("project", "p", "vertex"),
        ("location", "eu", "vertex"),
        ("token", "env:A", "vertex"),
        ("api_version", "v1", "azure"),
    ],
)
def test_keys_of_one_adapter_are_refused_for_others(
    refused: Refused, key: str, value: str, owner: str
) -> None:
    """They would have no effect."""
    text = f"providers: {{s: {{adapter: sandbox, {key}: '{value}'}}}}"
    assert [f'providers.s.{key}: only the adapter "{owner}" takes this'] == refused(text)


def test_an_adapter_without_an_address_of_its_own_needs_one(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the sandbox is nowhere."""
    homeless = {**REGISTRY, "homeless": REGISTRY["sandbox"]}
    monkeypatch.setattr(checks, "REGISTRY", homeless)
    assert ['providers.x.base_url: required by the adapter "homeless"'] == refused(
        "providers: {x: {adapter: homeless}}"
    )


def test_problems_of_the_schema_and_between_parts_come_together(refused: Refused) -> None:
    """One run shows everything there is to mend, also within one entry."""
    text = """
server: {prot: 1}
providers: {s: {adapter: sandbox}, x: {adapter: sandbx}}
models: [{id: a, backends: [{provider: t, model: a}], price: {input: -1, output: 0}}, {id: a, backends: []}]
tiers: {frugal: {models: [b], floor: 200}}
keys: [{id: k, customer: c, secret: env:K, models: [zebra], limits: {in_flight: -1}}]
"""
    assert [
        'server.prot: unknown key; did you mean "port"?',
        "models[0].price.input: must be >= 0",
        "models[1].backends: must hold 1 entry or more, not 0",
        "tiers.frugal.floor: must be <= 100",
        "keys[0].limits.in_flight: must be >= 0",
        'providers.x.adapter: no adapter is called "sandbx"; did you mean "sandbox"?',
        'models[1].id: "a" is already the id of models[0]',
        'models[0].backends[0].provider: no provider is called "t"',
        'tiers.frugal.models[0]: no model is called "b"',
        'keys[0].models[0]: no model or tier is called "zebra"',
    ] == refused(text)


def test_modes_that_lack_a_tier_are_not_known() -> None:
    """Without modes in the file there are those whose tiers exist."""
    names = names_in({"tiers": {"frugal": None}}, ["sandbox"], ["a"], ["frugal", "balanced"])
    assert (("sandbox",), ("a",), ("frugal",), ("frugal",)) == (
        names.providers,
        names.models,
        names.tiers,
        names.modes,
    )
