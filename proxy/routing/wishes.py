"""What a caller asks of the choice: OpenRouter's `models` and `provider`, and our own `headgate`. A pure reading."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, cast

from proxy.routing.catalogue.types import Strategy
from proxy.routing.types import Priority

Ordering = Strategy | Literal["quality"]

SORTS: Final[Mapping[str, Ordering]] = MappingProxyType(
    {"price": "cheapest", "throughput": "throughput", "latency": "fastest", "exacto": "quality"}
)
"""OpenRouter's words. `exacto` prefers what calls tools well."""

_PRIORITIES: Final = ("low", "normal", "high")
_PRICES: Final = ("prompt", "completion", "request", "image", "audio")
_PERCENTILES: Final = ("p50", "p75", "p90", "p99")
_OURS: Final = ("tier", "priority", "max_cost_usd", "deadline_ms", "region", "stages", "tags")
_MICRO: Final = 1_000_000
_FALLBACKS_MAX: Final = 32
_NAMES_MAX: Final = 64


class WishError(ValueError):
    """A member that cannot be meant. `param` is its path."""

    def __init__(self, param: str, problem: str) -> None:
        super().__init__(f"`{param}` {problem}")
        self.param = param


class Wishes(NamedTuple):
    """All of them; the defaults wish for nothing.

    Attributes:
        models: to fall back to, in this order.
        order, only, ignore: providers by name, in lower case, or backends by id.
        allow_fallbacks: false: only the providers in `order`, or only the first choice.
        require_parameters: no parameter may be left out.
        max_price: USD per million tokens by OpenRouter's words, `request` in USD.
        sort: what to order by instead.
        pooled: `sort` orders the backends of all models together.
        no_training, no_retention: only backends whose data policy is known to say so.
        distillable: only backends whose output may be used for training. No catalogue says it of one.
        quantizations: only these; `unknown` is where nobody said.
        min_throughput_tokens_s, max_latency_s: by percentile; those who miss it come later.
        tier: instead of the name in the request.
        priority: at most the customer's own.
        max_cost_microusd: for the whole of one attempt.
        deadline_s: from arrival.
        regions: only backends that are known to be in one of these, in lower case.
    """

    models: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    max_price: tuple[tuple[str, float], ...] = ()
    sort: Ordering | None = None
    pooled: bool = False
    no_training: bool = False
    no_retention: bool = False
    distillable: bool = False
    quantizations: tuple[str, ...] = ()
    min_throughput_tokens_s: tuple[tuple[str, float], ...] = ()
    max_latency_s: tuple[tuple[str, float], ...] = ()
    tier: str | None = None
    priority: Priority | None = None
    max_cost_microusd: int | None = None
    deadline_s: float | None = None
    regions: tuple[str, ...] = ()

    @property
    def on_who_may_read(self) -> "Wishes":
        """Those alone that say whom the prompt may reach: they hold for whatever else is asked about it."""
        return NONE._replace(
            only=self.only,
            ignore=self.ignore,
            no_training=self.no_training,
            no_retention=self.no_retention,
            regions=self.regions,
        )


NONE: Final = Wishes()


def parse_wishes(members: Mapping[str, Any]) -> Wishes:
    """Read the members of a request, in OpenAI's vocabulary.

    Raises:
        WishError: one of them cannot be meant. Members of `provider` that are not known here are left to providers
            that know them; those of `headgate` are refused.
    """
    said: dict[str, Any] = {}
    models = members.get("models")
    if models is not None:
        said["models"] = _names(models, "models", most=_FALLBACKS_MAX)
    provider = members.get("provider")
    if provider is not None:
        said |= _provider(_object(provider, "provider"))
    ours = members.get("headgate")
    if ours is not None:
        said |= _headgate(_object(ours, "headgate"))
    return Wishes(**said) if said else NONE


def _provider(members: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, read in _PROVIDER.items():
        value = members.get(name)
        if value is not None:
            said |= read(value, f"provider.{name}")
    return said


def _headgate(members: Mapping[str, Any]) -> dict[str, Any]:
    for name in members:
        if name not in _OURS:
            raise WishError(
                f"headgate.{name}", f"is not known; there are {', '.join(f'`{each}`' for each in _OURS)}"
            )
    said: dict[str, Any] = {}
    tier = members.get("tier")
    if tier is not None:
        said["tier"] = _text(tier, "headgate.tier")
    priority = members.get("priority")
    if priority is not None:
        said["priority"] = _one_of(priority, "headgate.priority", _PRIORITIES)
    cost_usd = members.get("max_cost_usd")
    if cost_usd is not None:
        said["max_cost_microusd"] = int(_number(cost_usd, "headgate.max_cost_usd") * _MICRO)
    deadline_ms = members.get("deadline_ms")
    if deadline_ms is not None:
        if isinstance(deadline_ms, bool) or not isinstance(deadline_ms, int) or deadline_ms < 1:
            raise WishError("headgate.deadline_ms", "must be a whole number of milliseconds, at least 1")
        said["deadline_s"] = deadline_ms / 1000
    region = members.get("region")
    if region is not None:
        said |= _regions(region, "headgate.region")
    return said


def _sort(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"sort": SORTS[_one_of(value, path, tuple(SORTS))]}
    by = value.get("by")
    said: dict[str, Any] = {} if by is None else {"sort": SORTS[_one_of(by, f"{path}.by", tuple(SORTS))]}
    partition = value.get("partition")
    if partition is not None:
        said["pooled"] = _one_of(partition, f"{path}.partition", ("model", "none")) == "none"
    return said


def _max_price(value: Any, path: str) -> dict[str, Any]:
    prices = _object(value, path)
    found = [
        (name, _number(_numeric(prices[name]), f"{path}.{name}"))
        for name in _PRICES
        if prices.get(name) is not None
    ]
    return {"max_price": tuple(found)}


def _numeric(value: Any) -> Any:
    """OpenRouter's clients send prices as text too."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _percentiles(name: str) -> "_Read":
    def read(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {name: (("p50", _number(value, path)),)}
        found = [
            (each, _number(value[each], f"{path}.{each}"))
            for each in _PERCENTILES
            if value.get(each) is not None
        ]
        return {name: tuple(found)}

    return read


def _slugs(name: str) -> "_Read":
    return lambda value, path: {name: tuple(each.lower() for each in _names(value, path, most=_NAMES_MAX))}


def _regions(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, list):
        return {"regions": (_text(value, path).lower(),)}
    if not value:
        raise WishError(path, "must have a name")  # where nothing may run is no wish
    return _slugs("regions")(value, path)


def _switch(name: str) -> "_Read":
    def read(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, bool):
            raise WishError(path, "must be true or false")
        return {name: value}

    return read


_Read = Callable[[Any, str], dict[str, Any]]
_PROVIDER: Final[Mapping[str, _Read]] = MappingProxyType(
    {
        "order": _slugs("order"),
        "only": _slugs("only"),
        "ignore": _slugs("ignore"),
        "allow_fallbacks": _switch("allow_fallbacks"),
        "require_parameters": _switch("require_parameters"),
        "max_price": _max_price,
        "sort": _sort,
        "data_collection": lambda value, path: {
            "no_training": _one_of(value, path, ("allow", "deny")) == "deny"
        },
        "zdr": _switch("no_retention"),
        "enforce_distillable_text": _switch("distillable"),
        "quantizations": _slugs("quantizations"),
        "preferred_min_throughput": _percentiles("min_throughput_tokens_s"),
        "preferred_max_latency": _percentiles("max_latency_s"),
    }
)


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise WishError(path, "must be an object")
    return value


def _names(value: Any, path: str, *, most: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise WishError(path, "must be a list of names")
    if len(value) > most:
        raise WishError(path, f"must have at most {most} names")
    return tuple(_text(each, f"{path}[{place}]") for place, each in enumerate(value))


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise WishError(path, "must be a name")
    return value


def _one_of(value: Any, path: str, words: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in words:
        raise WishError(path, f"must be one of {', '.join(f'`{word}`' for word in words)}")
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise WishError(path, "must be a number of 0 or more")
    return cast("float", value)
