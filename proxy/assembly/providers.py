"""Providers of the configuration, ready to be called."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from providers.registry import REGISTRY, Place
from proxy.assembly.seat import Seat
from proxy.exchange.upstream.auth.types import Credentials
from proxy.exchange.upstream.backends import Provider, Providers, Timeouts
from proxy.exchange.upstream.keys import ProviderKey, ProviderKeys
from proxy.exchange.upstream.places import Places
from proxy.settings.schema import Provider as ProviderSettings
from proxy.settings.schema import Settings
from proxy.settings.schema import Timeouts as TimeoutSettings

_SHARED_S: Final = 10.0
"""The least that is worth waiting for a first byte: half of a deadline is the first backend's from here on."""
DEFAULT_REGION: Final = "us-east-1"
"""Signed for where an address was configured and no region."""


def providers_of(
    settings: Settings, sandbox_url: str | None, seat: Seat | None = None, before: Providers | None = None
) -> dict[str, Provider]:
    """The providers that take requests, ready to be called; to be made on the loop that calls them.

    Args:
        sandbox_url: where providers with adapter `sandbox` are.
        seat: whose part of each provider's places they have; `None`: they have them all.
        before: those of the configuration that is served now, whose places are counted on; see `resize_places`.
    """
    providers: dict[str, Provider] = {}
    for name, provider in settings.providers.items():
        if provider.disabled is not None:
            continue
        adapter = REGISTRY[provider.adapter]
        given = Place(
            (provider.base_url or "").rstrip("/"),
            provider.api_version,
            provider.region,
            provider.project,
            provider.location,
        )
        base_url = adapter.address(given) or sandbox_url
        assert base_url is not None
        place = replace(given, base_url=base_url)
        timeouts = provider.timeouts
        providers[name] = Provider(
            adapter.at(place),
            base_url,
            _credentials(provider),
            Timeouts(
                timeouts.connect_s,
                timeouts.first_byte_s,
                timeouts.first_content_s,
                timeouts.stall_s,
                timeouts.total_s,
                first_byte_before_others_s(timeouts, settings.routing.deadline_s),
            ),
            _places(name, provider, seat, (before or {}).get(name)),
        )
    return providers


def keys_of(settings: Settings, providers: Mapping[str, Provider]) -> ProviderKeys:
    """The keys of these providers. What needs none has one without a name."""
    return ProviderKeys(
        {name: _keys(name, settings.providers[name], each) for name, each in providers.items()}
    )


def _keys(name: str, settings: ProviderSettings, provider: Provider) -> list[ProviderKey]:
    if not settings.resolved_keys:
        # A cloud's credentials are one key; AWS has some even where none are configured.
        held = settings.resolved_secrets or provider.adapter.auth == "sigv4"
        return [ProviderKey(f"{name}/0" if held else "", provider)]
    return [
        ProviderKey(
            f"{name}/{key.place}",
            replace(provider, credentials=replace(provider.credentials, key=key.key.reveal())),
            key.weight,
            frozenset(key.customers),
            frozenset(key.tiers),
        )
        for key in settings.resolved_keys
    ]


def resize_places(settings: Settings, providers: Providers, seat: Seat) -> None:
    """Let providers give out as many places as these settings say; to be called when they are served."""
    for name, provider in providers.items():
        configured = settings.providers[name]
        if provider.places is not None and configured.max_in_flight is not None:
            provider.places.resize(seat.part(configured.max_in_flight), configured.queue_s)


def _places(
    name: str, provider: ProviderSettings, seat: Seat | None, before: Provider | None
) -> Places | None:
    if provider.max_in_flight is None:
        return None
    if before is not None and before.places is not None:
        return before.places
    count = provider.max_in_flight if seat is None else seat.part(provider.max_in_flight)
    return Places(name, count, provider.queue_s)


def _credentials(provider: ProviderSettings) -> Credentials:
    keys = provider.resolved_keys
    return Credentials(
        key=keys[0].key.reveal() if keys else None,
        region=provider.region or DEFAULT_REGION,
        **{name: secret.reveal() for name, secret in provider.resolved_secrets.items()},
    )


def first_byte_before_others_s(timeouts: TimeoutSettings, deadline_s: float) -> float:
    """How long a stream may be silent while another backend could be tried: the rest of the deadline is for that.

    What is configured holds as it is. A deadline too short to be shared is spent on the first backend.
    """
    half_s = deadline_s / 2
    if "first_byte_s" in timeouts.model_fields_set or half_s < _SHARED_S:
        return timeouts.first_byte_s
    return min(timeouts.first_byte_s, half_s)
