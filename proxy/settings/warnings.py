"""What is allowed in a configuration and yet probably not meant."""

from collections.abc import Iterator

from proxy.settings.checks import TIER_PREFIX
from proxy.settings.problems import Problem, near_miss, path_of
from proxy.settings.schema import Settings


def cross_warnings(written: Settings, effective: Settings) -> list[Problem]:
    """Warnings about sound settings.

    Args:
        written: what the configuration says.
        effective: what it comes to with defaults in place and the default catalogue reduced.
    """
    return [
        *_without_price(written),
        *_hidden_models(effective),
        *_unavailable(written, effective),
        *_unknown_customers(written, effective),
        *_no_models(effective),
        *_nowhere(effective),
    ]


def _without_price(written: Settings) -> Iterator[Problem]:
    for index, model in enumerate(written.models):
        for place, backend in enumerate(model.backends):
            if model.price is None and backend.price is None:
                path = path_of(("models", index, "backends", place, "price"))
                yield Problem(
                    path, "no price: it costs nothing in reports and serves no one with a dollar limit"
                )


def _hidden_models(effective: Settings) -> Iterator[Problem]:
    owners = dict.fromkeys(effective.routing.modes, "a mode") | dict.fromkeys(effective.tiers, "a tier")
    owners |= {f"{TIER_PREFIX}{name}": owner for name, owner in owners.items()}
    owners |= dict.fromkeys(effective.routing.aliases, "an alias")
    for index, model in enumerate(effective.models):
        if model.id in owners:
            path = path_of(("models", index, "id"))
            yield Problem(path, f'cannot be asked for: "{model.id}" is also the name of {owners[model.id]}')


def _unavailable(written: Settings, effective: Settings) -> Iterator[Problem]:
    """Models of the default catalogue that are named although no configured provider offers them."""
    known = {model.id for model in effective.models}
    reason = "left out: no provider that is configured and enabled offers this model"
    for name, tier in written.tiers.items():
        for key, models in (("models", tier.models), ("stages", tier.stages or ())):
            for index, model in enumerate(models):
                if model not in known:
                    yield Problem(path_of(("tiers", name, key, index)), reason)
    micro = written.routing.classifier.micro_model
    if micro is not None and micro not in known:
        yield Problem("routing.classifier.micro_model", reason)


def _unknown_customers(written: Settings, effective: Settings) -> Iterator[Problem]:
    known = [customer.id for customer in effective.customers]
    for name, provider in written.providers.items():
        for index, key in enumerate(provider.api_keys):
            for place, customer in enumerate(key.customers):
                if customer not in known:
                    path = path_of(("providers", name, "api_keys", index, "customers", place))
                    yield Problem(
                        path, f'this file names no customer "{customer}"{near_miss(customer, known)}'
                    )


def _no_models(effective: Settings) -> Iterator[Problem]:
    if not any(
        effective.providers[backend.provider].disabled is None
        for model in effective.models
        for backend in model.backends
    ):
        yield Problem("models", "no request can be answered: no model has a backend that is enabled")


def _nowhere(effective: Settings) -> Iterator[Problem]:
    """Regions of customers that no backend is in: nothing is answered there."""
    said = [backend.region for model in effective.models for backend in model.backends]
    known = [region for region in dict.fromkeys(said) if region is not None]
    for index, customer in enumerate(effective.customers):
        for place, region in enumerate(customer.regions or ()):
            if region.lower() not in map(str.lower, known):
                path = path_of(("customers", index, "regions", place))
                yield Problem(path, f'no backend has the region "{region}"{near_miss(region, known)}')
