"""What must hold between the parts of a configuration: a name that is used is known, an id is there once.

Works on plain values, so that these problems are found in the same run as those of the schema. A part of
the wrong shape is passed over here; the schema reports it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from classifiers.asking.messages import asked
from classifiers.rules import BadPattern, Rules, matches, own_rule
from providers.registry import REGISTRY
from proxy.settings.catalogue import reduced_modes
from proxy.settings.environment import SANDBOX
from proxy.settings.problems import Location, Problem, path_of, unknown
from proxy.settings.schema import DEFAULT_MODES, Catalogue, Provider, Rule
from proxy.settings.validation import parts, validate

# A tier may also be called by this prefix and its name.
TIER_PREFIX: Final = "headgate/"

# Keys of a provider that only one adapter takes.
_ADAPTERS_OWN: Final[Mapping[str, str]] = {
    "region": "bedrock",
    "access_key_id": "bedrock",
    "secret_access_key": "bedrock",
    "session_token": "bedrock",
    "project": "vertex",
    "location": "vertex",
    "token": "vertex",
    "api_version": "azure",
}


@dataclass(frozen=True, slots=True)
class Names:
    """Every name that the parts of a configuration may use."""

    providers: tuple[str, ...]
    models: tuple[str, ...]
    tiers: tuple[str, ...]
    modes: tuple[str, ...]
    aliases: tuple[str, ...]

    def requestable(self) -> tuple[str, ...]:
        """What a client may write as `model`, and so what an allow-list may hold."""
        tiers = dict.fromkeys((*self.tiers, *self.modes))
        return (*self.models, *tiers, *(f"{TIER_PREFIX}{tier}" for tier in tiers), *self.aliases)


def names_in(
    values: Mapping[str, Any], providers: Iterable[str], models: Iterable[str], tiers: Iterable[str]
) -> Names:
    """The names in plain values; the arguments stand in for the sections that are absent."""
    ids = (entry.get("id") for _, entry in _entries(values.get("models")) if isinstance(entry, Mapping))
    known_tiers = _keys(values["tiers"]) if "tiers" in values else tuple(tiers)
    modes = _at(values, "routing", "modes")
    return Names(
        providers=_keys(values["providers"]) if "providers" in values else tuple(providers),
        models=tuple(each for each in ids if isinstance(each, str)) if "models" in values else tuple(models),
        tiers=known_tiers,
        modes=tuple(reduced_modes(DEFAULT_MODES, frozenset(known_tiers))) if modes is None else _keys(modes),
        aliases=_keys(_at(values, "routing", "aliases")),
    )


def cross_problems(values: Mapping[str, Any], names: Names) -> list[Problem]:
    """Everything wrong between the parts of `values`."""
    return [
        *_providers(values),
        *_models(values, names),
        *_tiers(values, names),
        *_routing(values, names),
        *_subjects(values, names),
    ]


def catalogue_problems(values: Any) -> list[Problem]:
    """Everything wrong with a catalogue by itself, in which providers are called as their adapters are."""
    if not isinstance(values, Mapping):
        return [Problem("catalogue", "must hold the sections models and tiers")]
    _, found = validate(Catalogue, values)
    names = names_in(values, sorted(REGISTRY), (), ())
    return [*found, *_models(values, names), *_tiers(values, names)]


def _providers(values: Mapping[str, Any]) -> Iterator[Problem]:
    adapters = sorted(REGISTRY)
    for where, adapter in _each(values, "providers", "adapter"):
        if adapter not in adapters:
            yield Problem(path_of(where), unknown("adapter", adapter, adapters))
    for name, provider in parts(Provider, values.get("providers")):
        at: Location = ("providers", name)
        if provider.api_key is not None and provider.api_keys:
            yield Problem(path_of((*at, "api_keys")), "give api_key or api_keys, not both")
        yield from _clouds(provider, at)


def _clouds(provider: Provider, at: Location) -> Iterator[Problem]:
    """What one adapter takes and no other, and what it cannot do without."""
    for key, owner in _ADAPTERS_OWN.items():
        if getattr(provider, key) is not None and provider.adapter != owner:
            yield Problem(path_of((*at, key)), f'only the adapter "{owner}" takes this')
    known = REGISTRY.get(provider.adapter)
    nowhere = (
        known is not None and known.base_url is None and known.host is None and provider.base_url is None
    )
    if nowhere and provider.adapter != SANDBOX:
        yield Problem(path_of((*at, "base_url")), f'required by the adapter "{provider.adapter}"')
    for key in _needed(provider):
        if getattr(provider, key) is None:
            yield Problem(path_of((*at, key)), f'required by the adapter "{provider.adapter}"')
    alone = (provider.access_key_id is None) != (provider.secret_access_key is None)
    if alone and provider.adapter == "bedrock":
        yield Problem(path_of(at), "access_key_id and secret_access_key go together")


def _needed(provider: Provider) -> tuple[str, ...]:
    """Keys that say where a cloud is used: in the path of each request, or in the default address alone."""
    if provider.adapter == "vertex":
        return "project", "location"
    return ("region",) if provider.adapter == "bedrock" and provider.base_url is None else ()


def _models(values: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    yield from _repeated(values, "models")
    for index, model in _entries(values.get("models")):
        seen: dict[tuple[str, str], Location] = {}
        for place, backend in _entries(_at(model, "backends")):
            at: Location = ("models", index, "backends", place)
            provider, upstream = _at(backend, "provider"), _at(backend, "model")
            if not isinstance(provider, str):
                continue
            if provider not in names.providers:
                yield Problem(path_of((*at, "provider")), unknown("provider", provider, names.providers))
            if not isinstance(upstream, str):
                continue
            first = seen.setdefault((provider, upstream), at)
            if first != at:
                yield Problem(path_of(at), f"the same provider and model as {path_of(first)}")


def _tiers(values: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    for key in ("models", "stages"):
        for at, model in _each_listed(values, "tiers", key):
            if model not in names.models:
                yield Problem(path_of(at), unknown("model", model, names.models))


def _routing(values: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    modes = _at(values, "routing", "modes")
    for mode, tiers in _entries(modes):
        for index, tier in _entries(tiers):
            if isinstance(tier, str) and tier not in names.tiers:
                yield Problem(path_of(("routing", "modes", mode, index)), unknown("tier", tier, names.tiers))
    targets = tuple(dict.fromkeys((*names.tiers, *names.modes)))
    for alias, target in _entries(_at(values, "routing", "aliases")):
        if isinstance(target, str) and target not in targets:
            yield Problem(path_of(("routing", "aliases", alias)), unknown("tier", target, targets))
    micro = _at(values, "routing", "classifier", "micro_model")
    if isinstance(micro, str) and micro not in names.models:
        at: Location = ("routing", "classifier", "micro_model")
        yield Problem(path_of(at), unknown("model", micro, names.models))
    yield from _rules(_at(values, "routing", "classifier", "rules"))


def _rules(values: Any) -> Iterator[Problem]:
    first_by_name: dict[str, str] = {}
    compiled = []
    for index, rule in parts(Rule, values):
        at: Location = ("routing", "classifier", "rules", index)
        first = first_by_name.setdefault(rule.name, path_of(at))
        if first != path_of(at):
            yield Problem(path_of((*at, "name")), f'"{rule.name}" is already the name of {first}')
        own = own_rule(rule.name, rule.pattern, rule.complexity, rule.task_type)
        compiled.append(own)
        if rule.example is not None and not matches(own, asked(rule.example)):
            yield Problem(path_of((*at, "example")), _not_matched(rule))
    if compiled:
        try:
            Rules(own=compiled)
        except BadPattern as problem:
            yield Problem("routing.classifier.rules", problem.message)


def _not_matched(rule: Rule) -> str:
    looked_at = asked(rule.example or "").text
    seen = "" if looked_at == rule.example else f", of which rules see {looked_at!r}"
    return f'the pattern of "{rule.name}" does not match its own example{seen}'


def _subjects(values: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    yield from _repeated(values, "customers")
    yield from _repeated(values, "keys")
    requestable = names.requestable()
    for section in ("customers", "keys"):
        for at, model in _each_admitted(values, section):
            if model not in requestable:
                yield Problem(path_of(at), unknown("model or tier", model, requestable))
    for name, provider in _entries(values.get("providers")):
        for index, key in _entries(_at(provider, "api_keys")):
            for place, tier in _entries(_at(key, "tiers")):
                if isinstance(tier, str) and tier not in names.tiers:
                    at = ("providers", name, "api_keys", index, "tiers", place)
                    yield Problem(path_of(at), unknown("tier", tier, names.tiers))


def _repeated(values: Mapping[str, Any], section: str) -> Iterator[Problem]:
    """Ids that occur twice in a list of mappings."""
    first_by_id: dict[str, str] = {}
    for at, text in _each(values, section, "id"):
        owner = path_of(at[:-1])
        first = first_by_id.setdefault(text, owner)
        if first != owner:
            yield Problem(path_of(at), f'"{text}" is already the id of {first}')


def _each(values: Mapping[str, Any], section: str, key: str) -> Iterator[tuple[Location, str]]:
    """The texts under one key of every entry of a section."""
    for place, entry in _entries(values.get(section)):
        text = _at(entry, key)
        if isinstance(text, str):
            yield (section, place, key), text


def _each_listed(values: Mapping[str, Any], section: str, key: str) -> Iterator[tuple[Location, str]]:
    """The texts in the list under one key of every entry of a section."""
    for place, entry in _entries(values.get(section)):
        for index, text in _entries(_at(entry, key)):
            if isinstance(text, str):
                yield (section, place, key, index), text


def _each_admitted(values: Mapping[str, Any], section: str) -> Iterator[tuple[Location, str]]:
    """The names in the allow-list of every entry of a section, as a list or as a mapping to limits."""
    yield from _each_listed(values, section, "models")
    for place, entry in _entries(values.get(section)):
        for name in _keys(_at(entry, "models")):
            yield (section, place, "models", name), name


def _entries(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _keys(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, Mapping) else ()
