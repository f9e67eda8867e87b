"""Keys of providers as the configuration has them."""

from pathlib import Path

import pytest

from proxy.assembly.providers import first_byte_before_others_s, keys_of, providers_of
from proxy.assembly.seat import Seat
from proxy.exchange.upstream.keys import ProviderKey
from proxy.settings.load import load
from proxy.settings.reload import Reloaded
from proxy.settings.schema import Timeouts as TimeoutSettings

TEXT = """
customers: [{id: acme}]
providers:
  several:
    adapter: openai
    base_url: http://several.test/v1
    max_in_flight: 3
    api_keys: [{key: env:GONE}, {key: env:A, weight: 3, customers: [acme], tiers: [frugal]}, {key: env:B}]
  single: {adapter: openai, base_url: http://single.test/v1, api_key: env:A}
  keyless: {adapter: openai, base_url: http://keyless.test/v1}
  cloud: {adapter: bedrock, region: eu-west-1}
  token: {adapter: vertex, project: p, location: l, token: env:A}
models:
  - {id: m, backends: [{provider: several, model: m}]}
tiers: {frugal: {models: [m]}}
"""


async def never() -> Reloaded:
    raise AssertionError("nothing is reloaded here")


@pytest.fixture
async def keys(tmp_path: Path) -> dict[str, tuple[ProviderKey, ...]]:
    path = tmp_path / "headgate.yaml"
    path.write_text(TEXT)
    environ = {"A": "provider-key-a", "B": "provider-key-b"}
    settings = load(path, environ=environ, flags={}, default_models=b"{models: [], tiers: {}}").settings
    providers = providers_of(settings, None, Seat(never))
    made = keys_of(settings, providers)
    return {name: made.of(name) for name in providers}


async def test_several(keys: dict[str, tuple[ProviderKey, ...]]) -> None:
    """Each with its terms, known by its place in the file; all share the provider's places."""
    first, second = keys["several"]
    assert ("several/1", 3, frozenset({"acme"}), frozenset({"frugal"})) == (
        first.id,
        first.weight,
        first.customers,
        first.tiers,
    )
    assert ("several/2", 1, frozenset(), frozenset()) == (
        second.id,
        second.weight,
        second.customers,
        second.tiers,
    )
    assert ["provider-key-a", "provider-key-b"] == [each.provider.credentials.key for each in (first, second)]
    assert first.provider.places is second.provider.places is not None
    sent = [each.provider.target("/chat/completions").head for each in (first, second)]
    assert [b"Bearer provider-key-a", b"Bearer provider-key-b"] == [
        head.partition(b"authorization: ")[2].partition(b"\r\n")[0] for head in sent
    ]


async def test_single_and_none(keys: dict[str, tuple[ProviderKey, ...]]) -> None:
    """One credential is one key; where there is none, none is told apart. A cloud's credentials are one key."""
    assert {"single": ["single/0"], "keyless": [""], "cloud": ["cloud/0"], "token": ["token/0"]} == {
        name: [key.id for key in each] for name, each in keys.items() if name != "several"
    }


async def test_a_key_is_never_shown(keys: dict[str, tuple[ProviderKey, ...]]) -> None:
    for each in keys.values():
        assert "provider-key-" not in repr(each)


@pytest.mark.parametrize(
    ("timeouts", "deadline_s", "expected_s"),
    [
        ({}, 60.0, 30.0),
        ({"stall_s": 9.0}, 60.0, 30.0),
        ({}, 200.0, 60.0),
        ({}, 20.0, 10.0),
        ({}, 19.0, 60.0),
        ({}, 0.0, 60.0),
        ({"first_byte_s": 60.0}, 60.0, 60.0),
        ({"first_byte_s": 0.0}, 60.0, 0.0),
    ],
)
def test_patience_while_others_could_be_tried(
    timeouts: dict[str, float], deadline_s: float, expected_s: float
) -> None:
    """Half of the deadline, where nobody configured another; a short deadline is not shared."""
    assert expected_s == first_byte_before_others_s(TimeoutSettings(**timeouts), deadline_s)
