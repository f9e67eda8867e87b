"""Records as they are stored (JSON), and the checks that keep nonsense out."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ratelimit.subjects.errors import InvalidRecord
from ratelimit.subjects.types import (
    DEFAULT_ON_SOFT_LIMIT,
    DEFAULT_PRIORITY,
    ON_SOFT_LIMIT,
    PRIORITIES,
    TAGS_MAX,
    Customer,
    Key,
    Kind,
    Limits,
    Scope,
    Subject,
)

# Spaces separate ids in an index and braces make hash tags, so neither may be part of an id.
_ID: Final = re.compile(r"[^\s{}\x00-\x1f\x7f\ud800-\udfff]{1,128}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
TAG: Final = re.compile(r"[A-Za-z0-9_.:/=-]{1,64}")


def utc_text(wall_clock_s: float) -> str:
    """ISO 8601 in UTC, whole seconds: `2025-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(wall_clock_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_s(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time; one without a zone is UTC.

    Raises:
        ValueError: not a time.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def is_id(text: str) -> bool:
    """Whether `text` could be the id of a record."""
    return _ID.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether `text` may be a tag."""
    return TAG.fullmatch(text) is not None


def check_id(kind: Kind, record_id: str) -> None:
    """Raises InvalidRecord unless the id has 1 to 128 characters: no blank, no brace, no control."""
    if not is_id(record_id):
        raise InvalidRecord(kind, record_id, "id: 1 to 128 characters without spaces and braces are needed")


def check_customer(customer: Customer) -> Customer:
    """The customer itself. Raises InvalidRecord naming the member at fault."""
    check_id("customer", customer.id)
    _check_limits("customer", customer.id, "limits", customer.limits)
    _check_tags("customer", customer.id, customer.tags)
    if customer.priority not in PRIORITIES:
        raise InvalidRecord("customer", customer.id, f"priority: must be one of {', '.join(PRIORITIES)}")
    if customer.on_soft_limit not in ON_SOFT_LIMIT:
        problem = f"on_soft_limit: must be one of {', '.join(ON_SOFT_LIMIT)}"
        raise InvalidRecord("customer", customer.id, problem)
    if customer.regions is not None and not all((customer.regions, *customer.regions)):
        # None would read as anywhere further on.
        raise InvalidRecord("customer", customer.id, "regions: at least one is needed, and each has a name")
    return customer


def check_key(key: Key) -> Key:
    """The key itself. Raises InvalidRecord naming the member at fault."""
    check_id("key", key.id)
    _check_limits("key", key.id, "limits", key.limits)
    for name, limits in key.model_limits.items():
        _check_limits("key", key.id, f"models.{name}", limits)
        if key.models is None or name not in key.models:
            raise InvalidRecord("key", key.id, f"models.{name}: has limits and is not in the list")
    _check_tags("key", key.id, key.tags)
    if not _DIGEST.fullmatch(key.digest):
        raise InvalidRecord("key", key.id, "digest: 64 lower-case hex digits are needed")
    if key.expires_at is not None:
        try:
            epoch_s(key.expires_at)
        except (ValueError, OverflowError) as error:
            raise InvalidRecord("key", key.id, "expires_at: an ISO 8601 time is needed") from error
    return key


def _check_limits(kind: Kind, record_id: str, member: str, limits: Limits) -> None:
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRecord(kind, record_id, f"{member}.{name}: a number is needed")
        if not math.isfinite(value) or value < 0:
            raise InvalidRecord(kind, record_id, f"{member}.{name}: must be >= 0")


def _check_tags(kind: Kind, record_id: str, tags: tuple[str, ...]) -> None:
    if len(tags) > TAGS_MAX or not all(map(is_tag, tags)):
        raise InvalidRecord(
            kind,
            record_id,
            f"tags: at most {TAGS_MAX}, each of 1 to 64 letters, digits, '_', '.', ':', '/', '=' or '-'",
        )


def encode_customer(customer: Customer) -> bytes:
    return _encode("customer", customer.id, customer.public())


def encode_key(key: Key) -> bytes:
    members = {
        **key.public(),
        "models": key.models,
        "model_limits": key.model_limits,
        "digest": key.digest,
        "previous_until_s": None if key.previous_until is None else int(epoch_s(key.previous_until)),
    }
    del members["previous_until"]
    return _encode("key", key.id, members)


def _encode(kind: Kind, record_id: str, members: Mapping[str, object]) -> bytes:
    try:
        # Sorted, so that the same record is always the same bytes: changes are found by comparing them.
        return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise InvalidRecord(kind, record_id, f"{error}") from error


def decode_customer(raw: bytes) -> Customer:
    """A stored customer. Members that came later than the record have their defaults, unknown ones are left out."""
    members: dict[str, Any] = orjson.loads(raw)
    priority = members["priority"]
    return Customer(
        id=members["id"],
        name=members["name"],
        limits=members["limits"],
        models=_names(members["models"]),
        # Once any word could be stored; what is none of ours never meant anything.
        priority=priority if priority in PRIORITIES else DEFAULT_PRIORITY,
        metadata=members["metadata"],
        disabled=members["disabled"],
        managed=members["managed"],
        created_at=members["created_at"],
        tags=tuple(members.get("tags", ())),
        on_soft_limit=members.get("on_soft_limit", DEFAULT_ON_SOFT_LIMIT),
        regions=_names(members.get("regions")),
    )


def decode_key(raw: bytes) -> Key:
    """A stored key; like `decode_customer`."""
    members: dict[str, Any] = orjson.loads(raw)
    until_s = members.get("previous_until_s")
    return Key(
        id=members["id"],
        customer=members["customer"],
        name=members["name"],
        limits=members["limits"],
        models=_names(members["models"]),
        expires_at=members["expires_at"],
        disabled=members["disabled"],
        managed=members["managed"],
        created_at=members["created_at"],
        digest=members["digest"],
        model_limits=members.get("model_limits", {}),
        tags=tuple(members.get("tags", ())),
        previous_until=None if until_s is None else utc_text(until_s),
    )


def _names(models: list[str] | None) -> tuple[str, ...] | None:
    return None if models is None else tuple(models)


def subject_of(key: Key, customer: Customer, *, replaced_at_s: float | None = None) -> Subject:
    """Join a key and its customer; done once per look-up, so that a request reads plain fields.

    `replaced_at_s`: see `Subject`.
    """
    disabled = "customer disabled" if customer.disabled else "key disabled" if key.disabled else None
    model_limits = {name: limits for name, limits in key.model_limits.items() if limits}
    return Subject(
        key_id=key.id,
        customer_id=customer.id,
        key_models=key.models,
        customer_models=customer.models,
        priority=customer.priority,
        expires_at_s=None if key.expires_at is None else epoch_s(key.expires_at),
        disabled=disabled,
        key_model_limits=model_limits,
        tags=tuple(dict.fromkeys((*customer.tags, *key.tags))),
        scopes=(
            Scope("customer", customer.id, customer.limits),
            Scope("key", key.id, key.limits),
            *(Scope("model", name, limits) for name, limits in model_limits.items()),
        ),
        replaced_at_s=replaced_at_s,
        on_soft_limit=customer.on_soft_limit,
        regions=tuple(region.lower() for region in customer.regions or ()),
    )
