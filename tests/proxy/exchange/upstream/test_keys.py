"""Which of a provider's keys serve a request, and in which order."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.registry import REGISTRY
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Timeouts
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys, single_keys

PROVIDER = Provider(
    REGISTRY["openai"], "http://p.test/v1", Credentials("test-key-0001"), Timeouts(5, 0, 0, 0, 0)
)
NAMES = st.sampled_from(("acme", "other", "third"))
TIERS = st.sampled_from(("frugal", "premium"))


def key(
    place: int, weight: int = 1, *, customers: tuple[str, ...] = (), tiers: tuple[str, ...] = ()
) -> ProviderKey:
    return ProviderKey(f"p/{place}", PROVIDER, weight, frozenset(customers), frozenset(tiers))


def first(keys: list[ProviderKey], request_id: str) -> str:
    return min(keys, key=lambda each: each.rank(request_id)).id


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (1, 2, 7), (1, 100)])
def test_weights(weights: tuple[int, ...]) -> None:
    """Over 1,000 requests each key gets its share, within four standard deviations; the same request the same key."""
    keys = [key(place, weight) for place, weight in enumerate(weights)]
    ids = [f"req-{number:024x}" for number in range(1000)]
    chosen = [first(keys, request_id) for request_id in ids]
    assert chosen == [first(list(reversed(keys)), request_id) for request_id in ids]
    counted = Counter(chosen)
    for each in keys:
        share = each.weight / sum(weights)
        assert abs(counted[each.id] - 1000 * share) <= 4 * (1000 * share * (1 - share)) ** 0.5


def test_a_key_less_moves_nobody_else() -> None:
    """Those that had another key keep it when one is taken away."""
    keys = [key(place) for place in range(4)]
    for number in range(200):
        request_id = f"req-{number}"
        whole = first(keys, request_id)
        if whole != "p/3":
            assert whole == first(keys[:3], request_id)


@given(
    scopes=st.lists(
        st.tuples(st.lists(NAMES, max_size=2), st.lists(TIERS, max_size=2)), min_size=1, max_size=5
    ),
    customer=NAMES,
    tier=st.none() | TIERS,
)
def test_scopes_are_never_violated(
    scopes: list[tuple[list[str], list[str]]], customer: str, tier: str | None
) -> None:
    """A key serves whom it is kept for and nobody else; a provider is usable when one of its keys is."""
    keys = [
        key(place, customers=tuple(customers), tiers=tuple(tiers))
        for place, (customers, tiers) in enumerate(scopes)
    ]
    expected = [
        place
        for place, (customers, tiers) in enumerate(scopes)
        if (not customers or customer in customers) and (not tiers or tier in tiers)
    ]
    assert expected == [place for place, each in enumerate(keys) if each.serves(customer, tier)]
    whole = ProviderKeys({"p": keys})
    assert bool(expected) is whole.usable("p", customer, tier)
    assert whole.for_some or whole.usable("p", customer, tier)
    assert whole.for_some is all(customers or tiers for customers, tiers in scopes)


def test_kept_keys_come_first() -> None:
    """The customer's own, then the tier's, then everybody's, whatever the weights."""
    keys = [
        key(0, 1000),
        key(1, tiers=("premium",)),
        key(2, customers=("acme",)),
        key(3, customers=("acme",), tiers=("premium",)),
    ]
    for number in range(50):
        ordered = sorted(keys, key=lambda each: each.rank(f"req-{number}"))
        assert ["p/3", "p/2", "p/1", "p/0"] == [each.id for each in ordered]


def test_single_keys() -> None:
    """A provider with one credential has one key, for everybody."""
    (only,) = single_keys({"p": PROVIDER}).of("p")
    assert ("p/0", PROVIDER, True) == (only.id, only.provider, only.serves("anybody", None))
