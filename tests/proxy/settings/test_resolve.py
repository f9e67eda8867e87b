"""Reading secrets, and what follows where one is missing."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.settings.load import Loaded

Load = Callable[..., Loaded]
Refused = Callable[..., list[str]]

KEY = "test-key-0001-abcdef"
OTHER = "test-key-0002-abcdef"


def _warnings(loaded: Loaded) -> list[str]:
    return [str(warning) for warning in loaded.warnings]


def test_a_providers_key_is_read(load_text: Load) -> None:
    """From the variable that is named, and it shows nowhere but by `reveal`."""
    loaded = load_text("providers: {p: {adapter: openai, api_key: env:A}}", {"A": KEY})
    provider = loaded.settings.providers["p"]
    assert [KEY] == [each.key.reveal() for each in provider.resolved_keys]
    assert provider.disabled is None
    assert KEY not in f"{loaded!r} {loaded.settings} {provider!r} {provider.resolved_keys}"


def test_several_keys_keep_their_order_and_their_terms(load_text: Load, tmp_path: Path) -> None:
    """Weight, customers and tiers stay with each."""
    (tmp_path / "key").write_text(f"{OTHER}\n")
    text = f"""
customers: [{{id: acme}}]
providers:
  p:
    adapter: openai
    api_keys: [{{key: env:A, weight: 3, customers: [acme], tiers: [frugal]}}, {{key: 'file:{tmp_path}/key'}}]
"""
    keys = load_text(text, {"A": KEY}).settings.providers["p"].resolved_keys
    assert [(KEY, 3, ("acme",), ("frugal",), 0), (OTHER, 1, (), (), 1)] == [
        (each.key.reveal(), each.weight, each.customers, each.tiers, each.place) for each in keys
    ]


def test_a_provider_without_its_secret_is_disabled_with_a_warning(load_text: Load) -> None:
    """The rest works."""
    loaded = load_text("providers: {p: {adapter: openai, api_key: env:A}, sandbox: {adapter: sandbox}}")
    reason = "the environment variable A is not set"
    assert reason == loaded.settings.providers["p"].disabled
    assert () == loaded.settings.providers["p"].resolved_keys
    assert [f"providers.p.api_key: {reason}; the provider is disabled"] == _warnings(loaded)


def test_one_of_several_keys_may_be_missing(load_text: Load) -> None:
    """It is left out with a warning; the others keep their places, by which all gateways know them."""
    loaded = load_text(
        "providers: {openai: {adapter: openai, api_keys: [{key: env:A}, {key: env:B}]}}",
        {"B": KEY},
    )
    provider = loaded.settings.providers["openai"]
    assert ([KEY], None) == ([each.key.reveal() for each in provider.resolved_keys], provider.disabled)
    assert [1] == [each.place for each in provider.resolved_keys]
    assert [
        "providers.openai.api_keys[0].key: the environment variable A is not set; the key is left out"
    ] == _warnings(loaded)


def test_a_required_provider_without_its_secret_is_a_problem(refused: Refused) -> None:
    """Better no start than half a service."""
    assert ["providers.p.api_key: required, but the environment variable A is not set"] == refused(
        "providers: {p: {adapter: openai, api_key: env:A, required: true}}"
    )
    assert ['providers.p.api_key: required, but no key is named, and adapter "openai" needs one'] == refused(
        "providers: {p: {adapter: openai, required: true}}"
    )


def test_headgates_own_key_is_never_sent_to_a_provider(load_text: Load) -> None:
    """It counts as missing."""
    loaded = load_text("providers: {p: {adapter: openai, api_key: env:A}}", {"A": "sk-hg-test-0001"})
    assert (
        "a key that starts sk-hg- is Headgate's own, not a provider's"
        == loaded.settings.providers["p"].disabled
    )
    assert "sk-hg-test" not in str(loaded)


@pytest.mark.parametrize(
    "provider",
    [
        "{adapter: sandbox}",
        "{adapter: ollama}",
        "{adapter: vllm}",
        "{adapter: openai, base_url: 'http://127.0.0.1:8000/v1'}",
    ],
)
def test_local_servers_need_no_key(load_text: Load, provider: str) -> None:
    """Nor does any address of the operator's own."""
    loaded = load_text(f"providers: {{p: {provider}, sandbox: {{adapter: sandbox}}}}")
    assert ((), None) == (
        loaded.settings.providers["p"].resolved_keys,
        loaded.settings.providers["p"].disabled,
    )
    assert [] == _warnings(loaded)


def test_a_key_that_is_named_must_exist_where_none_is_needed(load_text: Load) -> None:
    """Going without it would only move the failure to every request."""
    loaded = load_text(
        "providers: {p: {adapter: openai, base_url: 'http://a/v1', api_key: env:A}, s: {adapter: sandbox}}"
    )
    assert "the environment variable A is not set" == loaded.settings.providers["p"].disabled


def test_literal_secrets_are_refused_and_never_repeated(refused: Refused) -> None:
    """Wherever a secret's name belongs."""
    literal = "hunter2-hunter2-hunter2"
    text = f"""
providers:
  a: {{adapter: openai, api_key: {literal}}}
  b: {{adapter: openai, api_keys: [{{key: {literal}}}]}}
  c: {{adapter: bedrock, access_key_id: {literal}, secret_access_key: {literal}, session_token: {literal}}}
  d: {{adapter: vertex, token: {literal}}}
keys: [{{id: k, customer: c, secret: {literal}}}, {{id: l, customer: c, secret: 123456}}]
"""
    problems = refused(text)
    assert [
        "providers.a.api_key",
        "providers.b.api_keys[0].key",
        "providers.c.access_key_id",
        "providers.c.secret_access_key",
        "providers.c.session_token",
        "providers.d.token",
        "keys[0].secret",
        "keys[1].secret",
    ] == [problem.partition(": ")[0] for problem in problems]
    assert "use env:NAME, file:/path or sha256:<hex>" in problems[6]
    assert not [problem for problem in problems if "hunter2" in problem or "123456" in problem]


def test_a_key_is_known_by_its_digest(load_text: Load) -> None:
    """Named by a variable or written as a digest, it is the same; and it shows nowhere."""
    digest = hashlib.sha256(OTHER.encode()).hexdigest()
    loaded = load_text(
        f"keys: [{{id: a, customer: c, secret: env:A}}, {{id: b, customer: c, secret: 'sha256:{digest}'}}]",
        {"A": KEY},
    )
    expected = [("a", hashlib.sha256(KEY.encode()).hexdigest()), ("b", digest)]
    assert expected == [(key.id, key.digest) for key in loaded.settings.keys]
    assert KEY not in repr(loaded)
    assert digest not in repr(loaded)


def test_a_key_without_its_secret_is_left_out_with_a_warning(load_text: Load) -> None:
    """Its customer stays, so that nothing of theirs is disabled."""
    loaded = load_text(
        "keys: [{id: a, customer: c, secret: env:A}, {id: b, customer: c, secret: env:B}]", {"B": KEY}
    )
    assert ["b"] == [key.id for key in loaded.settings.keys]
    assert ["c"] == [customer.id for customer in loaded.settings.customers]
    assert ["keys[0].secret: the environment variable A is not set; the key is left out"] == _warnings(loaded)


def test_a_short_key_is_refused(refused: Refused) -> None:
    """Fifteen characters are too few, in any form."""
    text = "keys: [{id: a, customer: c, secret: env:A}]"
    message = "keys[0].secret: the key it names has fewer than 16 characters"
    assert [message] == refused(text, {"A": "test-key-000001"})


def test_sixteen_characters_are_enough(load_text: Load) -> None:
    """The bound itself passes."""
    loaded = load_text("keys: [{id: a, customer: c, secret: env:A}]", {"A": "test-key-0000001"})
    assert 1 == len(loaded.settings.keys)


def test_one_key_may_not_stand_for_two(refused: Refused) -> None:
    """Requests could not be told apart, however the two are written."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    text = f"keys: [{{id: a, customer: c, secret: env:A}}, {{id: b, customer: d, secret: 'sha256:{digest}'}}]"
    assert ["keys[1].secret: the same key as keys[0]"] == refused(text, {"A": KEY})


def test_the_admin_key_may_not_be_a_customers(refused: Refused) -> None:
    """That customer could administer."""
    text = "keys: [{id: a, customer: c, secret: env:A}]"
    message = 'HEADGATE_ADMIN_KEY: is also the key "a"; the two must differ'
    assert [message] == refused(text, {"A": KEY, "HEADGATE_ADMIN_KEY": KEY})
