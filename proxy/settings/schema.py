"""The whole configuration as types. Attribute names are the YAML names; docs/configuration.md explains each.

Frozen, and unknown keys are refused. What loading works out (resolved keys, digests) is read from properties
and cannot be written in a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr

from proxy.settings.secrets import Secret
from proxy.settings.section import Section
from proxy.settings.subjects import Customer, Key, Limits
from proxy.settings.words import (
    AboveZero,
    BaseUrl,
    Count,
    Day,
    Directory,
    Grade,
    Listen,
    Lowered,
    Name,
    Network,
    Number,
    Pattern,
    Port,
    Positive,
    PublicName,
    RedisUrl,
    Rising,
    SecretName,
    Share,
    Switch,
    Text,
)

Capability = Literal[
    "tools",
    "parallel_tools",
    "json_schema",
    "vision",
    "audio_in",
    "pdf",
    "reasoning",
    "prompt_cache",
    "logprobs",
    "embeddings",
]

# What a tier of this name is unless the file says otherwise; other tiers have the defaults of `Tier`.
TIER_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "frugal": {"strategy": "cheapest", "floor": 55.0},
    "balanced": {"strategy": "cheapest", "floor": 70.0},
    "premium": {"strategy": "score", "floor": 0.0},
}

# Per mode the tier for simple, moderate and complex requests.
DEFAULT_MODES: Final[Mapping[str, tuple[str, str, str]]] = {
    "frugal": ("frugal", "frugal", "frugal"),
    "balanced": ("frugal", "balanced", "premium"),
    "premium": ("premium", "premium", "premium"),
}


class Server(Section):
    host: Text = "127.0.0.1"
    port: Port = 8080
    workers: Positive = 1
    ops_listen: Listen | None = None
    trusted_proxies: tuple[Network, ...] = ()
    max_body_bytes: Positive = 20_000_000
    data_dir: Directory = Path("./data")
    keep_alive_s: Number = 0.0
    keepalive_timeout_s: AboveZero = 75.0
    tail_s: Number = 2.0
    client_write_s: Number = 120.0
    lame_duck_s: Number = 5.0
    drain_s: Number = 30.0


class Redis(Section):
    # Hidden from repr: it may hold a password.
    url: RedisUrl = Field(default="embedded", repr=False)
    timeout_ms: Positive = 50
    on_outage: Literal["lease", "open", "closed"] = "lease"
    key_grace_s: Number = 300.0


class Log(Section):
    level: Annotated[Literal["debug", "info", "warning", "error"], Lowered] = "info"
    format: Literal["json", "pretty", "auto"] = "auto"


class Records(Section):
    generations_max: Count = 100_000
    generations_days: Count = 7
    ledger_days: Count = 30


class Timeouts(Section):
    connect_s: Number = 5.0
    first_byte_s: Number = 60.0
    first_content_s: Number = 120.0
    stall_s: Number = 60.0
    total_s: Number = 0.0


class ApiKey(Section):
    key: SecretName
    weight: Positive = 1
    customers: tuple[Name, ...] = ()
    tiers: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One credential of a provider, read and ready to be sent.

    Attributes:
        place: in the file's list, those that could not be read included.
        customers: whom it is kept for; empty means everybody.
        tiers: which tiers it is kept for; empty means all.
    """

    key: Secret
    weight: int = 1
    customers: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    place: int = 0


class Provider(Section):
    adapter: Text
    api_key: SecretName | None = None
    api_keys: tuple[ApiKey, ...] = ()
    required: Switch = False
    base_url: BaseUrl | None = None
    max_in_flight: Positive | None = None
    queue_s: Number = 0.0
    timeouts: Timeouts = Timeouts()
    # bedrock
    region: Text | None = None
    access_key_id: SecretName | None = None
    secret_access_key: SecretName | None = None
    session_token: SecretName | None = None
    # vertex
    project: Text | None = None
    location: Text | None = None
    token: SecretName | None = None
    # azure
    api_version: Text | None = None

    _resolved_keys: tuple[ProviderKey, ...] = PrivateAttr(default=())
    _resolved_secrets: Mapping[str, Secret] = PrivateAttr(default_factory=dict)
    _disabled: str | None = PrivateAttr(default=None)

    @property
    def resolved_keys(self) -> tuple[ProviderKey, ...]:
        """The credentials that could be read, in the file's order; empty where none is needed."""
        return self._resolved_keys

    @property
    def resolved_secrets(self) -> Mapping[str, Secret]:
        """Of `token`, `access_key_id`, `secret_access_key` and `session_token` those that are configured."""
        return self._resolved_secrets

    @property
    def disabled(self) -> str | None:
        """Why this provider takes no requests, or `None` when it does."""
        return self._disabled

    def resolved(
        self, keys: tuple[ProviderKey, ...], secrets: Mapping[str, Secret], disabled: str | None
    ) -> Self:
        """The same provider with its credentials read."""
        copy = self.model_copy()
        copy._resolved_keys = keys  # noqa: SLF001 - a copy of our own class
        copy._resolved_secrets = secrets  # noqa: SLF001 - a copy of our own class
        copy._disabled = disabled  # noqa: SLF001 - a copy of our own class
        return copy


class PriceStep(Section):
    """USD per million tokens of a request whose prompt is longer than `above_context_tokens`."""

    above_context_tokens: Positive
    input: Number
    output: Number
    cache_read: Number | None = None
    cache_write: Number | None = None
    cache_write_1h: Number | None = None
    audio_input: Number | None = None
    audio_output: Number | None = None


class Price(Section):
    """USD per million tokens."""

    input: Number
    output: Number
    cache_read: Number | None = None
    cache_write: Number | None = None
    cache_write_1h: Number | None = None
    audio_input: Number | None = None
    audio_output: Number | None = None
    per_request_usd: Number = 0.0
    steps: Annotated[tuple[PriceStep, ...], Rising("above_context_tokens")] = ()


class Backend(Section):
    provider: Name
    model: PublicName
    region: Text | None = None
    data_policy: Text | None = None
    quantization: Text | None = None
    price: Price | None = None


class Model(Section):
    id: PublicName
    backends: Annotated[tuple[Backend, ...], Field(min_length=1)]
    price: Price | None = None
    context_tokens: Positive | None = None
    max_output_tokens: Positive | None = None
    max_image_tokens: Positive | None = None
    can: tuple[Capability, ...] = ()
    quality: Mapping[Name, Grade] = Field(default_factory=dict)
    speed_tokens_s: AboveZero | None = None
    released_on: Day | None = None
    deprecated_on: Day | None = None
    sources: Mapping[Name, Text] = Field(default_factory=dict)


class Weights(Section):
    quality: Number = 0.0
    cost: Number = 0.0
    speed: Number = 0.0
    availability: Number = 0.0


class Tier(Section):
    models: tuple[PublicName, ...] = ()
    strategy: Literal["cheapest", "score", "fastest", "throughput", "order", "weighted", "least_busy"] = (
        "cheapest"
    )
    floor: Grade = 0.0
    weights: Weights | None = None
    stages: tuple[PublicName, ...] | None = None


class Rule(Section):
    name: Name
    pattern: Pattern
    complexity: Literal["simple", "moderate", "complex"]
    task_type: Name | None = None
    example: Text | None = None


class Classifier(Section):
    micro_model: PublicName | None = None
    micro_timeout_ms: Positive = 400
    min_confidence: Share = 0.6
    rules: tuple[Rule, ...] = ()


class Breaker(Section):
    error_ratio: Share = 0.5
    min_requests: Positive = 10
    cool_down_s: Number = 10.0


class Hedge(Section):
    enabled: Switch = False
    share: Share = 0.05


Mode = Annotated[tuple[Name, ...], Field(min_length=3, max_length=3)]


class Routing(Section):
    modes: Mapping[Name, Mode] = Field(default_factory=lambda: dict(DEFAULT_MODES))
    classifier: Classifier = Classifier()
    aliases: Mapping[PublicName, Name] = Field(default_factory=dict)
    retries: Count = 2
    deadline_s: Number = 60.0
    breaker: Breaker = Breaker()
    hedge: Hedge = Hedge()


class LimitSettings(Section):
    default_max_output_tokens: Positive = 4096
    defaults: Limits = Limits()
    soft_ratio: Share = 0.8
    shrink_output: Switch = False


def _fill_tiers(value: Any) -> Any:
    """Put each tier's own defaults under what the file says of it."""
    if not isinstance(value, Mapping):
        return value
    return {name: _fill_tier(TIER_DEFAULTS.get(name, {}), tier) for name, tier in value.items()}


def _fill_tier(defaults: Mapping[str, Any], tier: Any) -> Any:
    if tier is None:
        return dict(defaults)
    return {**defaults, **tier} if isinstance(tier, Mapping) else tier


Tiers = Annotated[Mapping[Name, Tier], BeforeValidator(_fill_tiers)]


class Catalogue(Section):
    """What the default catalogue may hold."""

    models: tuple[Model, ...]
    tiers: Tiers


class Settings(Section):
    server: Server = Server()
    redis: Redis = Redis()
    log: Log = Log()
    records: Records = Records()
    providers: Mapping[Name, Provider] = Field(default_factory=dict)
    models: tuple[Model, ...] = ()
    tiers: Tiers = Field(default_factory=dict)
    routing: Routing = Routing()
    limits: LimitSettings = LimitSettings()
    customers: tuple[Customer, ...] = ()
    keys: tuple[Key, ...] = ()
