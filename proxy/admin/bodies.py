"""What an administrator may write about customers and keys, as types.

The members are those of the configuration file, so that a record means the same wherever it was written.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import ConfigDict, Field, Strict

from proxy.settings.section import Section
from proxy.settings.subjects import KeyModels, Limits, Metadata, OnSoftLimit, Priority, Regions, Tags
from proxy.settings.words import Label, Moment, Name, PublicName, Switch, Text

DAY_S: Final = 86_400
OVERLAP_MAX_S: Final = 90 * DAY_S

Overlap = Annotated[int, Strict(), Ge(0), Le(OVERLAP_MAX_S)]


class CustomerBody(Section):
    """A new customer. `null` means the same as absent, but for a limit: that is none, whatever the defaults are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "acme",
                    "name": "Acme Industries",
                    "limits": {"usd_per_month": 100},
                    "models": ["balanced"],
                    "regions": ["eu"],
                    "priority": "high",
                    "on_soft_limit": "lower",
                    "metadata": {"team": "blue"},
                    "tags": ["division:web"],
                }
            ]
        }
    )

    id: Name
    name: Label | None = None
    limits: Limits = Limits()
    models: tuple[PublicName, ...] | None = None
    regions: Regions | None = None
    priority: Priority | None = None
    on_soft_limit: OnSoftLimit | None = None
    metadata: Metadata | None = None
    tags: Tags | None = None
    disabled: Switch = False


class CustomerPatch(Section):
    """What changes of a customer: only what is named. `null` takes a value back to what it is when absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"limits": {"usd_per_month": None, "usd_per_day": 5}, "disabled": True}]
        }
    )

    name: Label | None = None
    limits: Limits | None = None
    models: tuple[PublicName, ...] | None = None
    regions: Regions | None = None
    priority: Priority | None = None
    on_soft_limit: OnSoftLimit | None = None
    metadata: Metadata | None = None
    tags: Tags | None = None
    disabled: Switch = False


class KeyBody(Section):
    """A new key. `null` means the same as absent, as it does in the file."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "acme",
                    "name": "web",
                    "limits": {"requests_per_minute": 600},
                    "models": {"gpt-5": {"usd_per_day": 5}, "balanced": {}},
                    "expires_at": "2099-12-31T00:00:00Z",
                }
            ]
        }
    )

    customer: Name
    name: Label | None = None
    limits: Limits = Limits()
    models: KeyModels | None = None
    expires_at: Moment | None = None
    tags: Tags | None = None
    disabled: Switch = False


class KeyPatch(Section):
    """What changes of a key: only what is named. `null` takes a value back to what it is when absent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "web, blue", "models": ["balanced"], "expires_at": None}]}
    )

    name: Label | None = None
    limits: Limits | None = None
    models: KeyModels | None = None
    expires_at: Moment | None = None
    tags: Tags | None = None
    disabled: Switch = False


class Rotation(Section):
    """How a key gets another text. `overlap_s`: how long the present one works on; 0 ends it at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_s": 3600}]})

    overlap_s: Overlap = Field(default=DAY_S, json_schema_extra={"default": DAY_S})


class Reconcile(Section):
    """Whose books are compared; all customers' unless one is named."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer": "acme"}]})

    customer: Name | None = None


class Release(Section):
    """Lost reservations whose money is given back. Exactly one of `ids`, `before` and `all` says which.

    `ids`: of requests; those that are not lost are passed over. `before`: those that arrived earlier.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"customer": "acme", "ids": ["req-0123456789abcdef01234567"]},
                {"customer": "acme", "before": "2026-11-28T12:00:00Z"},
                {"customer": "acme", "all": True},
            ]
        }
    )

    customer: Name
    ids: Annotated[tuple[Annotated[str, Strict(), MinLen(1)], ...], MaxLen(1000)] | None = None
    before: Moment | None = None
    all: Switch = False


class ClassifyBody(Section):
    """A request to be classified: its last real ask counts. `tools` are only counted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"prompt": "Write a commit message for this change.", "mode": "balanced"}]
        }
    )

    id: Text = "1"
    prompt: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    tools: tuple[Any, ...] = ()
    mode: PublicName = "balanced"
    micro: Switch = False


class ChatRequest(Section):
    """A chat request, with any other members that `POST /v1/chat/completions` takes."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"model": "balanced", "messages": [{"role": "user", "content": "Hello"}]}]
        },
    )

    model: PublicName
    messages: tuple[Mapping[str, Any], ...]
