"""What is allowed and yet probably not meant."""

from collections.abc import Callable

from proxy.settings.load import Loaded

Load = Callable[..., Loaded]

SANDBOX = "providers: {s: {adapter: sandbox}}\n"


def _warnings(loaded: Loaded) -> list[str]:
    return [str(warning) for warning in loaded.warnings]


def test_a_backend_without_a_price_is_warned_of(load_text: Load) -> None:
    """Unless it or its model has one."""
    text = """
models:
  - {id: a, backends: [{provider: s, model: a}, {provider: s, model: b, price: {input: 1, output: 1}}]}
  - {id: c, backends: [{provider: s, model: c}], price: {input: 0, output: 0}}
"""
    message = "no price: it costs nothing in reports and serves no one with a dollar limit"
    assert [f"models[0].backends[0].price: {message}"] == _warnings(load_text(SANDBOX + text))


def test_a_model_behind_another_name_is_warned_of(load_text: Load) -> None:
    """A tier, a mode and an alias are looked for first."""
    text = """
models:
  - {id: frugal, backends: [{provider: s, model: a}], price: {input: 0, output: 0}}
  - {id: headgate/frugal, backends: [{provider: s, model: b}], price: {input: 0, output: 0}}
  - {id: auto, backends: [{provider: s, model: c}], price: {input: 0, output: 0}}
  - {id: fine, backends: [{provider: s, model: d}], price: {input: 0, output: 0}}
routing: {aliases: {auto: frugal}}
"""
    assert [
        'models[0].id: cannot be asked for: "frugal" is also the name of a tier',
        'models[1].id: cannot be asked for: "headgate/frugal" is also the name of a tier',
        'models[2].id: cannot be asked for: "auto" is also the name of an alias',
    ] == _warnings(load_text(SANDBOX + text))


def test_a_model_of_the_default_catalogue_that_nobody_offers_is_left_out(load_text: Load) -> None:
    """It is known, so no mistake; but it cannot answer."""
    text = "tiers: {frugal: {models: [llama-3, sandbox-small], stages: [sandbox-small, llama-3]}}\n"
    loaded = load_text(text + "routing: {classifier: {micro_model: llama-3}}")
    reason = "left out: no provider that is configured and enabled offers this model"
    assert [
        f"tiers.frugal.models[0]: {reason}",
        f"tiers.frugal.stages[1]: {reason}",
        f"routing.classifier.micro_model: {reason}",
    ] == _warnings(loaded)
    assert (("sandbox-small",), ("sandbox-small",)) == (
        loaded.settings.tiers["frugal"].models,
        loaded.settings.tiers["frugal"].stages,
    )


def test_a_key_kept_for_a_customer_nobody_knows_is_warned_of(load_text: Load) -> None:
    """It may be one that the admin API makes later."""
    text = """
providers: {sandbox: {adapter: sandbox, api_keys: [{key: env:A, customers: [acme, amce]}]}}
customers: [{id: acme}]
"""
    message = (
        'providers.sandbox.api_keys[0].customers[1]: this file names no customer "amce"; did you mean "acme"?'
    )
    assert [message] == _warnings(load_text(text, {"A": "test-key-0001"}))


def test_a_region_that_no_backend_has_is_warned_of(load_text: Load) -> None:
    """A customer kept to it gets no answer."""
    text = """
models:
  - id: a
    backends: [{provider: s, model: a, region: eu-west}, {provider: s, model: b}]
    price: {input: 1, output: 1}
customers: [{id: acme, regions: [EU-WEST, eu-wets]}]
"""
    message = 'customers[0].regions[1]: no backend has the region "eu-wets"; did you mean "eu-west"?'
    assert [message] == _warnings(load_text(SANDBOX + text))


def test_a_gateway_that_can_answer_nothing_is_warned_of(load_text: Load) -> None:
    """No model, or none whose backend is enabled."""
    message = "models: no request can be answered: no model has a backend that is enabled"
    assert [message] == _warnings(load_text("providers: {}"))
    text = """
providers: {p: {adapter: openai, api_key: env:A}}
models: [{id: a, backends: [{provider: p, model: a}], price: {input: 1, output: 1}}]
"""
    assert [message] == _warnings(load_text(text))[-1:]
