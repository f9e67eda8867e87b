"""Price lists of others in one form: models.dev's, LiteLLM's, and the snapshots kept of both.

A list with anything malformed in it is refused whole, naming the row: half a list would look like a change of prices.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import orjson

from proxy.settings.schema import Price
from proxy.settings.validation import validate

Place = tuple[str, str]
"""Provider, by our adapter's name, and its name for a model."""


class Malformed(Exception):
    """The message names the file and the row."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a list says of one model of one provider.

    Attributes:
        source: key of the list in `sources.yaml`; empty when the list does not say it of itself.
    """

    place: Place
    price: Price
    source: str = ""
    deprecated_on: date | None = None


# models.dev's names of providers; others are the same as ours, or none of ours.
_MODELS_DEV: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alibaba": "dashscope",
        "amazon-bedrock": "bedrock",
        "fireworks-ai": "fireworks",
        "google": "gemini",
        "google-vertex": "vertex",
        "moonshotai": "moonshot",
        "togetherai": "together",
    }
)
# LiteLLM's, with the prefix of their keys that is not part of a model's name; keys without it say the same again.
_LITELLM: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "anthropic": ("anthropic", ""),
        "bedrock": ("bedrock", ""),
        "bedrock_converse": ("bedrock", ""),
        "cerebras": ("cerebras", "cerebras/"),
        "cohere": ("cohere", "cohere/"),
        "cohere_chat": ("cohere", ""),
        "dashscope": ("dashscope", "dashscope/"),
        "deepseek": ("deepseek", "deepseek/"),
        "fireworks_ai": ("fireworks", "fireworks_ai/"),
        "gemini": ("gemini", "gemini/"),
        "groq": ("groq", "groq/"),
        "mistral": ("mistral", "mistral/"),
        "moonshot": ("moonshot", "moonshot/"),
        "openai": ("openai", ""),
        "openrouter": ("openrouter", "openrouter/"),
        "perplexity": ("perplexity", "perplexity/"),
        "together_ai": ("together", "together_ai/"),
        "vertex_ai": ("vertex", "vertex_ai/"),
        "vertex_ai-language-models": ("vertex", "vertex_ai/"),
        "xai": ("xai", "xai/"),
        "zai": ("zai", "zai/"),
    }
)

_MODELS_DEV_KEYS: Final = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "input_audio": "audio_input",
    "output_audio": "audio_output",
}
_LITELLM_KEYS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
}
_ABOVE: Final = re.compile(r"(?P<key>.+)_above_(?P<thousands>[0-9]+)k_tokens")
_MILLION: Final = 1_000_000


def read_offers(data: bytes, name: str) -> dict[Place, Offer]:
    """What a price list says of providers that Headgate knows. Rows without a price are left out.

    Args:
        data: models.dev's API (`{provider: {models}}`) or its rows, LiteLLM's map, or a snapshot of ours.
        name: of the file, for messages.

    Raises:
        Malformed: not such a list, or a row that cannot be right.
    """
    rows, read = _rows(data, name)
    offers: dict[Place, Offer] = {}
    for where, row in rows:
        for offer in read(row, f"{name}, {where}"):
            known = offers.setdefault(offer.place, offer)
            if known.price != offer.price:
                raise Malformed(f"{name}, {where}: {'/'.join(offer.place)} is there already at another price")
    if not offers:
        raise Malformed(f"{name}: holds no price of a provider that Headgate knows")
    return offers


def snapshot_line(offer: Offer) -> bytes:
    """An offer as a line of a snapshot."""
    line: dict[str, Any] = {
        "source": offer.source,
        "provider": offer.place[0],
        "model": offer.place[1],
        "price": offer.price.model_dump(exclude_defaults=True),
    }
    if offer.deprecated_on is not None:
        line["deprecated_on"] = offer.deprecated_on.isoformat()
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


_Row = tuple[str, dict[str, Any]]
_Read = Callable[[dict[str, Any], str], Iterator[Offer]]


def _rows(data: bytes, name: str) -> tuple[list[_Row], _Read]:
    """The rows with words for where they stand, and how they are read."""
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _lines(data, name)
    if not isinstance(whole, dict) or not whole:
        raise Malformed(f"{name}: is no list of prices: it must be an object or hold an object a line")
    if "provider" in whole and "model" in whole:  # a list of one line
        return _lines(data, name)
    for key, value in whole.items():
        if not isinstance(value, dict):
            raise Malformed(f'{name}, "{key}": must be an object')
    if all(isinstance(value.get("models"), dict) for value in whole.values()):
        return list(_models_dev_rows(whole, name)), _models_dev_offer
    if any("litellm_provider" in value for value in whole.values()):
        return [(f'"{key}"', {**value, "key": key}) for key, value in whole.items()], _litellm_offer
    raise Malformed(f"{name}: is neither models.dev's list nor LiteLLM's")


def _lines(data: bytes, name: str) -> tuple[list[_Row], _Read]:
    rows: list[_Row] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"{name}, line {number}: is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise Malformed(f"{name}, line {number}: must be an object")
        rows.append((f"line {number}", row))
    snapshot = bool(rows) and "price" in rows[0][1]
    return rows, _snapshot_offer if snapshot else _models_dev_offer


def _models_dev_rows(whole: Mapping[str, Any], name: str) -> Iterator[_Row]:
    for provider, entry in whole.items():
        for model, row in entry["models"].items():
            if not isinstance(row, dict):
                raise Malformed(f'{name}, "{provider}", "{model}": must be an object')
            yield f'"{provider}", "{model}"', {**row, "provider": provider, "model": model}


def _models_dev_offer(row: dict[str, Any], where: str) -> Iterator[Offer]:
    provider, model = _text(row, "provider", where), _text(row, "model", where)
    cost = row.get("cost")
    if cost is None:
        return
    if not isinstance(cost, dict):
        raise Malformed(f"{where}: `cost` must be an object")
    values = _figures(cost, _MODELS_DEV_KEYS, 1, where)
    steps = cost.get("tiers") or []
    above = cost.get("context_over_200k")  # as older lists write a step
    if not isinstance(steps, list) or not isinstance(above, dict | None):
        raise Malformed(f"{where}: `tiers` must be a list, `context_over_200k` an object")
    values["steps"] = [_models_dev_step(step, where) for step in steps]
    if above is not None and not steps:
        values["steps"] = [_models_dev_step({"tier": {"size": 200_000}, **above}, where)]
    # Perplexity's `request` is USD for a thousand requests (its pricing page, November 2026).
    if "request" in cost:
        values["per_request_usd"] = _number(cost["request"], "request", where) / 1000
    yield Offer((_MODELS_DEV.get(provider, provider), model), _price(values, where))


def _models_dev_step(step: Any, where: str) -> dict[str, Any]:
    tier = step.get("tier") if isinstance(step, dict) else None
    size = tier.get("size") if isinstance(tier, dict) else None
    if not isinstance(size, int):
        raise Malformed(f"{where}: `tiers` without a whole `tier.size`")
    return {"above_context_tokens": size, **_figures(step, _MODELS_DEV_KEYS, 1, where)}


def _litellm_offer(row: dict[str, Any], where: str) -> Iterator[Offer]:
    known = _LITELLM.get(row.get("litellm_provider") or "")
    if row["key"] == "sample_spec" or known is None or not row["key"].startswith(known[1]):
        return
    provider, prefix = known
    values = _figures(row, _LITELLM_KEYS, _MILLION, where)
    above: dict[int, dict[str, Any]] = {}
    for key, value in row.items():
        match = _ABOVE.fullmatch(key)
        if match and match["key"] in _LITELLM_KEYS:
            above.setdefault(int(match["thousands"]) * 1000, {})[match["key"]] = value
    steps = {size: _figures(step, _LITELLM_KEYS, _MILLION, where) for size, step in above.items()}
    ranges = row.get("tiered_pricing")
    if isinstance(ranges, list) and "input" not in values:
        values, steps = _litellm_ranges(ranges, where)
    # A price list of embeddings may leave the answer out: they have none.
    if row.get("mode") == "embedding" and "input" in values:
        values.setdefault("output", 0.0)
    if "input" not in values or "output" not in values:
        return
    values["steps"] = [
        {"above_context_tokens": size, "input": values["input"], "output": values["output"], **step}
        for size, step in sorted(steps.items())
        if "input" in step or "output" in step
    ]
    if provider == "perplexity":  # each request searches; what else is asked for costs more
        searched = row.get("search_context_cost_per_query") or {}
        fee = searched.get("search_context_size_low", 0.0)
        values["per_request_usd"] = _number(fee, "search_context_size_low", where)
    price = _price(values, where)
    yield Offer(
        (provider, row["key"].removeprefix(prefix)), price, deprecated_on=_day(row, "deprecation_date")
    )


def _litellm_ranges(ranges: list[Any], where: str) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    found: dict[int, dict[str, Any]] = {}
    for entry in ranges:
        bounds = entry.get("range") if isinstance(entry, dict) else None
        if not isinstance(bounds, list) or not bounds:
            raise Malformed(f"{where}: `tiered_pricing` without `range`")
        found[int(_number(bounds[0], "range", where))] = _figures(entry, _LITELLM_KEYS, _MILLION, where)
    return found.pop(0, {}), found


def _snapshot_offer(row: dict[str, Any], where: str) -> Iterator[Offer]:
    place = (_text(row, "provider", where), _text(row, "model", where))
    price = _price(row.get("price"), where)
    yield Offer(place, price, _text(row, "source", where), _day(row, "deprecated_on"))


def _figures(values: Mapping[str, Any], keys: Mapping[str, str], times: int, where: str) -> dict[str, Any]:
    """USD per million tokens of what is there; six decimals are more than anybody publishes.

    Writing to a cache counts only where it costs as much as fresh input or more. The lists write 0 where it costs
    nothing beside the input, and the fee of Google for keeping, which comes beside the input too.
    """
    found = {
        ours: round(_number(values[theirs], theirs, where) * times, 6)
        for theirs, ours in keys.items()
        if values.get(theirs) is not None
    }
    fresh_usd = found.get("input", 0.0)
    return {
        ours: usd
        for ours, usd in found.items()
        if not ours.startswith("cache_write") or (usd and usd >= fresh_usd)
    }


def _number(value: Any, key: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{where}: `{key}` must be a number, not {orjson.dumps(value).decode()[:40]}")
    return float(value)


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{where}: `{key}` is missing")
    return value


def _price(values: Any, where: str) -> Price:
    price, problems = validate(Price, values)
    if price is None:
        raise Malformed(f"{where}: {problems[0]}")
    return price


def _day(row: Mapping[str, Any], key: str) -> date | None:
    """A day, or `None` where the list has none or only words."""
    try:
        return date.fromisoformat(row.get(key) or "")
    except (TypeError, ValueError):
        return None
