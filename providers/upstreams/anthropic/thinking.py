"""What a request says of reasoning, and how Claude is told: a budget of tokens, or adaptively with an effort.

Shares of the output limit are OpenRouter's (openrouter.ai/docs/use-cases/reasoning-tokens, November 2026), so that one
word means the same here and there. A budget is at least 1024 and below `max_tokens` (platform.claude.com/docs, page
"extended-thinking", November 2026).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from providers.upstreams.anthropic.models import Traits

LEAST_BUDGET_TOKENS: Final = 1024
_MOST_TOKENS: Final = (
    32_000  # the limit we choose with a budget; the smallest model that thinks writes as much
)
_SHARES: Final[Mapping[str, float]] = MappingProxyType(
    {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
)
_OFF: Final = "none"


class Wish(NamedTuple):
    """What the client wants.

    Attributes:
        member: where it says so.
        off: no reasoning.
        effort: in OpenRouter's words, which hold OpenAI's; empty when a budget or nothing is said.
        budget_tokens: a limit on the reasoning, or 0.
        hidden: reasoning is not to be shown.
        own: `thinking` as Anthropic spells it; the client knows what it wants.
    """

    member: str
    off: bool = False
    effort: str = ""
    budget_tokens: int = 0
    hidden: bool = False
    own: Mapping[str, Any] | None = None

    @property
    def on(self) -> bool:
        """Whether the model is to think."""
        if self.own is not None:
            return self.own.get("type") in ("enabled", "adaptive")
        return not self.off

    @property
    def understood(self) -> bool:
        """Whether the effort is a word we know."""
        return not self.effort or self.effort in _SHARES


class Thinking(NamedTuple):
    """How it is told. `max_tokens` is the whole limit, thinking included."""

    thinking: Mapping[str, Any] | None
    effort: str
    max_tokens: int


def wish(members: Mapping[str, Any]) -> Wish | None:
    """What the request says of reasoning; `None` when it says nothing."""
    own = members.get("thinking")
    if isinstance(own, dict):
        return Wish("thinking", own=own)
    said = members.get("reasoning")
    said = said if isinstance(said, dict) else {}
    hidden = said.get("exclude") is True or members.get("include_reasoning") is False
    budget, effort = said.get("max_tokens"), said.get("effort")
    if said.get("enabled") is False or effort == _OFF:
        return Wish("reasoning", off=True)
    if isinstance(effort, str) and effort:
        return Wish("reasoning", effort=effort, hidden=hidden)
    if isinstance(budget, int) and budget > 0:
        return Wish("reasoning", budget_tokens=budget, hidden=hidden)
    effort = members.get("reasoning_effort")
    if effort == _OFF:
        return Wish("reasoning_effort", off=True)
    if isinstance(effort, str) and effort:
        return Wish("reasoning_effort", effort=effort, hidden=hidden)
    return Wish("reasoning", hidden=hidden) if said.get("enabled") is True else None


def told(said: Wish | None, traits: Traits, limit_tokens: int | None, default_tokens: int) -> Thinking:
    """How this model is told.

    Args:
        limit_tokens: the client's own limit on the answer, reasoning included.
        default_tokens: room for the answer itself, where the client set no limit.
    """
    limit = limit_tokens or default_tokens
    if said is None:
        return Thinking(None, "", limit)
    if said.own is not None:
        budget = said.own.get("budget_tokens")
        room = budget if isinstance(budget, int) and limit_tokens is None else 0
        return Thinking(said.own, "", limit + room)
    if said.off:
        if traits.off == "omit":
            return Thinking(None, "", limit)
        # `never` is asked for all the same: the provider says that it cannot be.
        kind = "between_tools" if traits.off == "between_tools" else "disabled"
        return Thinking({"type": kind}, "", limit)
    if traits.thinks == "adaptive" or (traits.thinks == "either" and not said.budget_tokens):
        display = "omitted" if said.hidden else "summarized"
        return Thinking({"type": "adaptive", "display": display}, _effort(said, traits, limit_tokens), limit)
    budget, limit = _budget(said, limit_tokens, default_tokens)
    return Thinking({"type": "enabled", "budget_tokens": budget}, "", limit)


def is_budget(thinking: Thinking, said: Wish | None) -> bool:
    """Whether the gateway asks for thoughts with a budget: the client's own `thinking` is the client's business."""
    return said is not None and said.own is None and (thinking.thinking or {}).get("type") == "enabled"


def _budget(said: Wish, limit_tokens: int | None, default_tokens: int) -> tuple[int, int]:
    """Tokens for thinking, and the limit of the whole answer."""
    if said.budget_tokens:
        budget = max(said.budget_tokens, LEAST_BUDGET_TOKENS)
        limit = limit_tokens or budget + default_tokens
        return max(min(budget, limit - 1), LEAST_BUDGET_TOKENS), limit
    share = _SHARES.get(said.effort, _SHARES["medium"])
    limit = limit_tokens or min(int(default_tokens / (1 - share)), _MOST_TOKENS)
    return max(min(int(limit * share), limit - 1), LEAST_BUDGET_TOKENS), limit


def _effort(said: Wish, traits: Traits, limit_tokens: int | None) -> str:
    """The effort a model has for what was asked: the word itself, or the strongest below it."""
    word = said.effort
    if said.budget_tokens:
        share = said.budget_tokens / max(limit_tokens or _MOST_TOKENS, 1)
        word = next((name for name, most in _SHARES.items() if share <= most), "xhigh")
    if word == "minimal":
        return "low"
    if word == "xhigh" and word not in traits.efforts:
        return "high"
    return word
