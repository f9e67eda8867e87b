"""A provider's keys: whom each is kept for, and which of them a request uses.

A key kept for customers or tiers serves these alone. Of the keys that may serve a request those that are kept for its
customer come first, then those for its tier, then the others; among equals weights decide, by a hash of the request's
id: the same request always meets the same order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import log
from typing import Final

from proxy.exchange.upstream.backends import Provider

_HASH_BYTES: Final = 8
_HASHES: Final = 2 ** (8 * _HASH_BYTES)


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One credential of a provider.

    Attributes:
        id: `<provider>/<place in the configuration>`; empty where a provider needs none. Never the credential.
        provider: the provider, as it is called with this credential.
        weight: its share among equals.
        customers, tiers: whom it is kept for; empty: for everybody.
    """

    id: str
    provider: Provider
    weight: int = 1
    customers: frozenset[str] = frozenset()
    tiers: frozenset[str] = frozenset()

    def serves(self, customer_id: str, tier: str | None) -> bool:
        """Whether it may be used. `tier`: `None` when a model was named, which no key for tiers serves."""
        return (not self.customers or customer_id in self.customers) and (
            not self.tiers or tier in self.tiers
        )

    def rank(self, request_id: str) -> tuple[bool, bool, float]:
        """Smaller comes first. Weighted as drawing without putting back: the first of equals by its share."""
        digest = blake2b(f"{request_id} {self.id}".encode(), digest_size=_HASH_BYTES).digest()
        drawn = (int.from_bytes(digest, "big") + 1) / (_HASHES + 1)
        return not self.customers, not self.tiers, -log(drawn) / self.weight


class ProviderKeys:
    """The keys of all providers.

    Attributes:
        for_some: a provider has no key for everybody, so that not all are usable for every request.
    """

    __slots__ = ("_keys", "for_some")

    def __init__(self, keys: Mapping[str, Sequence[ProviderKey]]) -> None:
        """Args:
        keys: by provider, each with one at least.
        """
        self._keys = {provider: tuple(each) for provider, each in keys.items()}
        self.for_some = not all(
            any(not key.customers and not key.tiers for key in each) for each in self._keys.values()
        )

    def of(self, provider: str) -> tuple[ProviderKey, ...]:
        """All of a provider's, in the configuration's order."""
        return self._keys[provider]

    def usable(self, provider: str, customer_id: str, tier: str | None) -> bool:
        """Whether any key of the provider may serve a request of this customer and tier."""
        return any(key.serves(customer_id, tier) for key in self._keys[provider])


def single_keys(providers: Mapping[str, Provider]) -> ProviderKeys:
    """One key each: what providers have that were configured with one credential, or none."""
    return ProviderKeys({name: (ProviderKey(f"{name}/0", provider),) for name, provider in providers.items()})
