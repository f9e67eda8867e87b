"""Merging what an administrator changes into what is stored (RFC 7396). Pure: a change may be made again."""

from collections.abc import Mapping
from typing import Any

from proxy.settings.subjects import Limits


def changed_limits(limits: Mapping[str, float], change: Limits | None) -> dict[str, float]:
    """Limits after a change: a name with `null` is removed, `None` removes all, unnamed ones stay."""
    if change is None:
        return {}
    named = {name: getattr(change, name) for name in Limits.model_fields if name in change.model_fields_set}
    return {name: value for name, value in {**limits, **named}.items() if value is not None}


def merged(target: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    """`target` with the members of `patch`: `None` removes one, objects merge, anything else replaces."""
    result: dict[str, Any] = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            result[name] = merged(result.get(name), value)
        else:
            result[name] = value
    return result
