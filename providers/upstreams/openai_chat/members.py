"""Members of a request that a provider knows under another name, or not at all."""

from collections.abc import Mapping
from typing import Any, Final

from providers.types import Canonical

# A provider that refuses one of these still gives the same answer without it.
HARMLESS: Final = frozenset(
    {
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "seed",
        "service_tier",
        "store",
        "user",
    }
)

# Values that ask for what happens anyway (platform.openai.com/docs/api-reference/chat, November 2026).
_DEFAULTS: Final[Mapping[str, Any]] = {
    "frequency_penalty": 0,
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "service_tier": "auto",
    "store": False,
    "top_logprobs": 0,
}


def matters(name: str, value: Any) -> bool:
    """Whether this value asks for anything: null, a default, or an empty list or object does not."""
    if value is None or value in ([], {}) or (name in _DEFAULTS and value == _DEFAULTS[name]):
        return False
    if name == "logit_bias" and isinstance(value, dict):
        return any(value.values())
    return True


def renamed(
    request: Canonical, other: str, own: str, put: dict[str, bytes], drop: frozenset[str]
) -> frozenset[str]:
    """Move the value of `other` to the provider's `own` name, which wins when both say something.

    Args:
        put: gets the member to add.
        drop: members that are left out already.

    Returns:
        All members to leave out.
    """
    members = request.members
    if other not in members:
        return drop
    if members[other] is not None and members.get(own) is None:
        # As the client spelled it: a value of any shape can be moved, and numbers keep their digits.
        member = next(member for member in request.layout if member.name == other)
        put[own] = request.raw[member.value_start : member.value_end]
    return drop | {other}
