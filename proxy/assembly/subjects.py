"""Customers and keys of the configuration, as the store is told of them."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from proxy.settings.schema import Settings
from proxy.settings.subjects import Customer as CustomerSettings
from proxy.settings.subjects import Key as KeySettings
from proxy.settings.subjects import model_limits, model_names
from ratelimit.subjects.types import ConfiguredKey, NewCustomer

LOCAL: Final = "local"
"""Customer and key of the laptop: made once, without limits."""


class ConfiguredSubjects(NamedTuple):
    """Customers and keys of the configuration. `named_only`: ids of customers that only a key names."""

    customers: Sequence[NewCustomer]
    named_only: Sequence[str]
    keys: Sequence[ConfiguredKey]


def configured_subjects(settings: Settings, local_key: str | None) -> ConfiguredSubjects:
    """What the store is to be told of the configuration; the laptop's key stands for a customer of its own."""
    defaults = settings.limits.defaults.named()
    customers = [_customer(each, defaults) for each in settings.customers if not each.named_only]
    keys = [_key(each, each.digest) for each in settings.keys if each.digest is not None]
    if local_key is not None:
        customers.append(NewCustomer(LOCAL, "This machine"))
        keys.append(ConfiguredKey(LOCAL, LOCAL, sha256(local_key.encode()).hexdigest(), "Local key"))
    return ConfiguredSubjects(customers, [each.id for each in settings.customers if each.named_only], keys)


def _customer(customer: CustomerSettings, defaults: Mapping[str, float]) -> NewCustomer:
    return NewCustomer(
        customer.id,
        customer.name or customer.id,
        limits=customer.limits.over(defaults),
        models=customer.models,
        priority=customer.priority,
        metadata=customer.metadata,
        disabled=customer.disabled,
        tags=customer.tags,
        on_soft_limit=customer.on_soft_limit,
        regions=customer.regions,
    )


def _key(key: KeySettings, digest: str) -> ConfiguredKey:
    return ConfiguredKey(
        key.id,
        key.customer,
        digest,
        key.id,
        limits=key.limits.named(),
        models=model_names(key.models),
        expires_at=key.expires_at,
        disabled=key.disabled,
        model_limits=model_limits(key.models),
        tags=key.tags,
    )
