"""Which models each tier may choose, from their quality and price; and why. The same inputs give the same bytes."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean
from typing import Any, Final, Literal

from proxy.routing.catalogue.cost import cost_picousd
from proxy.routing.catalogue.document import CatalogueFile
from proxy.routing.catalogue.load import price_of
from proxy.routing.catalogue.quality import TASKS, Measured
from proxy.settings.schema import TIER_DEFAULTS, Price

STANDARD_INPUT_TOKENS: Final = 3000
STANDARD_OUTPUT_TOKENS: Final = 1000
"""The request whose price is compared."""

NOTICE: Final = timedelta(days=30)
"""A model that ends within it of the day of review joins no tier."""

MOST: Final = 12
"""Models of a tier, stand-ins and the sandbox's not counted: more only lengthen plans."""

MEASURED: Final = "benchmarks"
UNKNOWN: Final = "none"
_OURS: Final = (None, MEASURED, UNKNOWN)
"""Sources of `quality` that ranking may replace; a figure of any other source is its operator's."""

_LOCAL: Final = frozenset({"vllm", "ollama", "llamacpp", "lmstudio", "sandbox"})
_PICOUSD: Final = 10**12
_SANDBOX: Final = "the sandbox's, for whoever has no provider yet"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who joins a tier.

    Attributes:
        floor: least quality, the mean over the kinds of task.
        most_usd: of a standard request.
        by: what the order follows.
        sandbox: the sandbox's model at the end, for whoever has no provider yet.
    """

    floor: float
    most_usd: float
    by: Literal["price", "quality"]
    sandbox: str


RULES: Final[Mapping[str, Rule]] = {
    "frugal": Rule(TIER_DEFAULTS["frugal"]["floor"], 0.005, "price", "sandbox-small"),
    "balanced": Rule(TIER_DEFAULTS["balanced"]["floor"], 0.025, "price", "sandbox-large"),
    "premium": Rule(75.0, 0.05, "quality", "sandbox-reasoning"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about a model.

    Attributes:
        quality: mean over the kinds of task; `None`: some of them were not measured.
        usd: of a standard request at the cheapest provider; `None`: unknown.
        provider: that one.
        providers: all it can be had of, servers of one's own included.
        ends: whether it ends within the notice.
    """

    model: str
    quality: float | None
    usd: float | None
    provider: str | None
    providers: tuple[str, ...]
    deprecated_on: str | None
    ends: bool


@dataclass(frozen=True, slots=True)
class Ranking:
    """A catalogue with its quality and lists made anew.

    Attributes:
        reasons: by tier and model, why it is in the list or not.
    """

    catalogue: CatalogueFile
    standings: tuple[Standing, ...]
    reasons: Mapping[str, Mapping[str, str]]


def rank(catalogue: CatalogueFile, measured: Measured, as_of: date) -> Ranking:
    """Make quality and lists anew; what the catalogue said of them before counts for nothing."""
    values = copy.deepcopy(catalogue.values)
    for model in values["models"]:
        _measure(model, measured.quality.get(model["id"]))
    standings = tuple(_standing(model, as_of) for model in values["models"] if not _embeds(model))
    known = {model["id"] for model in values["models"]}
    reasons: dict[str, dict[str, str]] = {}
    for name, rule in RULES.items():
        chosen, reasons[name] = _chosen(rule, standings)
        chosen += [rule.sandbox] if rule.sandbox in known else []
        values["tiers"].setdefault(name, {})["models"] = chosen
    return Ranking(CatalogueFile(catalogue.header, values), standings, reasons)


def moves(before: CatalogueFile, after: Ranking) -> Iterator[str]:
    """A line for each model that joins, leaves or changes its place, and each figure that changes, with the reason."""
    for name in RULES:
        old = list(before.tiers.get(name, {}).get("models", []))
        new = list(after.catalogue.tiers[name]["models"])
        reasons = after.reasons[name]
        stayed = [model for model in old if model in new]
        kept = [model for model in new if model in old]
        for place, model in enumerate(new, 1):
            why = _SANDBOX if model == RULES[name].sandbox else reasons[model]
            if model not in old:
                yield f"{name}: {model} joins at place {place}: {why}"
            elif stayed.index(model) != kept.index(model) and old.index(model) + 1 != place:
                yield f"{name}: {model} moves from place {old.index(model) + 1} to {place}: {why}"
        for model in old:
            if model not in new:
                yield f"{name}: {model} leaves: {reasons.get(model, 'the catalogue does not hold it')}"
    old_quality = {model["id"]: model.get("quality") for model in before.models}
    for model in after.catalogue.models:
        quality = model.get("quality")
        if quality != old_quality.get(model["id"]):
            yield f"quality: {model['id']}: {_figures(old_quality.get(model['id']))} -> {_figures(quality)}"


def report(ranking: Ranking, measured: Measured, as_of: date) -> bytes:
    """The page that says how the lists came about."""
    lines = [
        "# How the tiers' lists came about",
        "",
        f"Made by `headgate catalogue rank` as of {as_of}; docs/catalogue.md explains the figures. Do not edit.",
        f"Quality is the mean over {', '.join(TASKS)}.",
        f"Price: of {STANDARD_INPUT_TOKENS} prompt and {STANDARD_OUTPUT_TOKENS} answer tokens where it is least.",
    ]
    for name, rule in RULES.items():
        lines += [
            "",
            f"## {name}",
            "",
            f"Quality from {rule.floor:g}, price to {rule.most_usd:g} USD, by {rule.by}, to {MOST}; then stand-ins.",
            "",
        ]
        chosen = ranking.catalogue.tiers[name]["models"]
        reasons = ranking.reasons[name]
        lines += [
            f"{place}. {model}: {_SANDBOX if model == rule.sandbox else reasons[model]}"
            for place, model in enumerate(chosen, 1)
        ]
        lines += ["", "Not in it:", ""]
        lines += [f"- {model}: {why}" for model, why in reasons.items() if model not in chosen]
    lines += ["", "## Scales", "", "How benchmarks were brought to the scale of an area's yardsticks:", ""]
    lines += [
        f"- {area}: {benchmark}: z = {tie.slope:.6f} x score {tie.offset:+.4f}, {tie.pairs} models in common"
        for (area, benchmark), tie in measured.ties.items()
    ]
    return ("\n".join(lines) + "\n").encode()


def _measure(model: dict[str, Any], quality: Mapping[str, int] | None) -> None:
    sources = model.setdefault("sources", {})
    if sources.get("quality") not in _OURS:
        return
    model.pop("quality", None)
    if quality:
        model["quality"] = dict(quality)
        model["sources"] = model.pop("sources")  # last, as everywhere
    sources["quality"] = MEASURED if quality else UNKNOWN


def _embeds(model: Mapping[str, Any]) -> bool:
    return "embeddings" in model.get("can", ())


def _standing(model: Mapping[str, Any], as_of: date) -> Standing:
    quality = model.get("quality", {})
    known = [quality[task] for task in TASKS if task in quality]
    offers = []
    for backend in model["backends"]:
        price = backend.get("price", model.get("price"))
        if price is not None and backend["provider"] not in _LOCAL:
            picousd = cost_picousd(
                price_of(Price.model_validate(price)),
                input_tokens=STANDARD_INPUT_TOKENS,
                output_tokens=STANDARD_OUTPUT_TOKENS,
            )
            offers.append((picousd, backend["provider"]))
    cheapest = min(offers, key=lambda offer: offer[0], default=None)
    day = model.get("deprecated_on")
    return Standing(
        model["id"],
        fmean(known) if len(known) == len(TASKS) else None,
        None if cheapest is None else cheapest[0] / _PICOUSD,
        None if cheapest is None else cheapest[1],
        tuple(backend["provider"] for backend in model["backends"]),
        day,
        day is not None and date.fromisoformat(day) <= as_of + NOTICE,
    )


def _chosen(rule: Rule, standings: tuple[Standing, ...]) -> tuple[list[str], dict[str, str]]:
    reasons: dict[str, str] = {}
    able: list[Standing] = []
    for each in standings:
        refusal = _refusal(rule, each)
        if refusal is None:
            able.append(each)
        reasons[each.model] = refusal or f"quality {each.quality:.1f}, {each.usd:.6f} USD at {each.provider}"
    able.sort(key=lambda each: _place(rule, each))
    for each in able[MOST:]:
        reasons[each.model] += f": beyond the first {MOST}"
    chosen = able[:MOST]
    for provider, each in _stand_ins(rule, standings, chosen):
        if each not in chosen:
            chosen.append(each)
            reasons[each.model] += f"; stands in for {provider}, which has no other here"
    return [each.model for each in chosen], reasons


def _stand_ins(
    rule: Rule, standings: tuple[Standing, ...], chosen: list[Standing]
) -> Iterator[tuple[str, Standing]]:
    """For each provider without a model in the list the measured one that comes nearest.

    Whoever has that provider alone would otherwise be answered by nobody, or by the sandbox.
    """
    served = {provider for each in chosen for provider in each.providers}
    measured = [each for each in standings if each.quality is not None and not each.ends]
    for provider in dict.fromkeys(provider for each in measured for provider in each.providers):
        if provider in served:
            continue
        mine = [each for each in measured if provider in each.providers]
        good = [each for each in mine if each.quality is not None and each.quality >= rule.floor]
        nearest = (
            min(good, key=lambda each: _place(rule, each))
            if good
            else max(mine, key=lambda each: each.quality or 0.0)
        )
        served.update(nearest.providers)
        yield provider, nearest


def _place(rule: Rule, standing: Standing) -> tuple[float, float, str]:
    """What the order of a list follows."""
    quality = -(standing.quality or 0.0)
    usd = standing.usd or 0.0
    return (usd, quality, standing.model) if rule.by == "price" else (quality, usd, standing.model)


def _refusal(rule: Rule, standing: Standing) -> str | None:
    if standing.usd is None:
        return "no price of a provider is known"
    if standing.ends:
        return f"its provider ends it on {standing.deprecated_on}"
    if standing.quality is None:
        return "no benchmark measured all kinds of task"
    if standing.quality < rule.floor:
        return f"quality {standing.quality:.1f} is below {rule.floor:g}"
    if standing.usd > rule.most_usd:
        return f"{standing.usd:.6f} USD is above {rule.most_usd:g}"
    return None


def _figures(quality: Mapping[str, int] | None) -> str:
    return " ".join(f"{kind}={points}" for kind, points in quality.items()) if quality else "none"
