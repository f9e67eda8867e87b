"""The default catalogue, reduced to what this configuration can use."""

from collections.abc import Iterable, Mapping

from proxy.settings.schema import Model, Tier


def reduced_models(models: Iterable[Model], providers: frozenset[str]) -> tuple[Model, ...]:
    """Models with the backends whose provider is one of `providers`; those left without one are dropped."""
    reduced: list[Model] = []
    for model in models:
        backends = tuple(backend for backend in model.backends if backend.provider in providers)
        if backends:
            reduced.append(model.model_copy(update={"backends": backends}))
    return tuple(reduced)


def reduced_tiers(tiers: Mapping[str, Tier], models: frozenset[str]) -> dict[str, Tier]:
    """Tiers that name only `models`. A tier may be left empty; it stays known."""
    return {name: _reduced(tier, models) for name, tier in tiers.items()}


def _reduced(tier: Tier, models: frozenset[str]) -> Tier:
    stages = tier.stages
    if stages is not None:
        stages = tuple(model for model in stages if model in models)
    kept = tuple(model for model in tier.models if model in models)
    return tier.model_copy(update={"models": kept, "stages": stages})


def reduced_modes(modes: Mapping[str, tuple[str, ...]], tiers: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Modes all of whose tiers exist."""
    return {name: entries for name, entries in modes.items() if tiers.issuperset(entries)}


def without_sandbox(
    tiers: Mapping[str, Tier], models: Iterable[Model], sandboxes: frozenset[str]
) -> dict[str, Tier]:
    """Tiers without models that only a sandbox serves, as far as others are left.

    Nobody who has a provider wants made-up answers.
    """
    served = frozenset(
        model.id for model in models if any(backend.provider not in sandboxes for backend in model.backends)
    )
    reduced = reduced_tiers(tiers, served)
    return {name: reduced[name] if reduced[name].models else tier for name, tier in tiers.items()}
