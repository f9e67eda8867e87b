"""Records as they are stored (JSON), and the checks that keep nonsense out."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ratelimit.subjects.errors import InvalidRecord
from ratelimit.subjects.types import Customer, Key, Kind, Limits, Subject

# Spaces separate ids in an index and braces make hash tags, so neither may be part of an id.
_ID: Final = re.compile(r"[^\s{}\x00-\x1f\x7f\ud800-\udfff]{1,128}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


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


def check_id(kind: Kind, record_id: str) -> None:
    """Raises InvalidRecord unless the id has 1 to 128 characters: no blank, no brace, no control."""
    if not is_id(record_id):
        raise InvalidRecord(kind, record_id, "id: 1 to 128 characters without spaces and braces are needed")


def check_customer(customer: Customer) -> Customer:
    """The customer itself. Raises InvalidRecord naming the member at fault."""
    check_id("customer", customer.id)
    _check_limits("customer", customer.id, customer.limits)
    return customer


def check_key(key: Key) -> Key:
    """The key itself. Raises InvalidRecord naming the member at fault."""
    check_id("key", key.id)
    _check_limits("key", key.id, key.limits)
    if not _DIGEST.fullmatch(key.digest):
        raise InvalidRecord("key", key.id, "digest: 64 lower-case hex digits are needed")
    if key.expires_at is not None:
        try:
            epoch_s(key.expires_at)
        except (ValueError, OverflowError) as error:
            raise InvalidRecord("key", key.id, "expires_at: an ISO 8601 time is needed") from error
    return key


def _check_limits(kind: Kind, record_id: str, limits: Limits) -> None:
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRecord(kind, record_id, f"limits.{name}: a number is needed")
        if not math.isfinite(value) or value < 0:
            raise InvalidRecord(kind, record_id, f"limits.{name}: must be >= 0")


def encode_customer(customer: Customer) -> bytes:
    return _encode("customer", customer.id, customer.public())


def encode_key(key: Key) -> bytes:
    return _encode("key", key.id, {**key.public(), "digest": key.digest})


def _encode(kind: Kind, record_id: str, members: Mapping[str, object]) -> bytes:
    try:
        # Sorted, so that the same record is always the same bytes: changes are found by comparing them.
        return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise InvalidRecord(kind, record_id, f"{error}") from error


def decode_customer(raw: bytes) -> Customer:
    members: dict[str, Any] = orjson.loads(raw)
    return Customer(**{**members, "models": _models(members)})


def decode_key(raw: bytes) -> Key:
    members: dict[str, Any] = orjson.loads(raw)
    return Key(**{**members, "models": _models(members)})


def _models(members: Mapping[str, Any]) -> tuple[str, ...] | None:
    models = members["models"]
    return None if models is None else tuple(models)


def subject_of(key: Key, customer: Customer) -> Subject:
    """Join a key and its customer; done once per look-up, so that a request reads plain fields."""
    disabled = "customer disabled" if customer.disabled else "key disabled" if key.disabled else None
    return Subject(
        key_id=key.id,
        customer_id=customer.id,
        key_models=key.models,
        customer_models=customer.models,
        key_limits=key.limits,
        customer_limits=customer.limits,
        key_requests_per_minute=key.limits.get("requests_per_minute"),
        customer_requests_per_minute=customer.limits.get("requests_per_minute"),
        priority=customer.priority,
        expires_at_s=None if key.expires_at is None else epoch_s(key.expires_at),
        disabled=disabled,
    )
