"""How much a Gemini model thinks: OpenAI's and OpenRouter's words for it, by the generation of the model.

Sources: ai.google.dev/gemini-api/docs/openai ("Thinking"), /thinking, /thought-signatures, November 2026. Generation 3
takes `thinkingLevel`, 2.5 `thinkingBudget`; never both. A budget is taken by either, so it stands where the name of a
model does not tell.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_GENERATION: Final = re.compile(r"gemini-([0-9]{1,2})(?:\.([0-9]{1,2}))?(?![0-9])")

_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BUDGET_TOKENS: Final[Mapping[str, int]] = {
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
_LEAST_BUDGET_TOKENS: Final = 128  # of 2.5 Pro, which cannot be told to stop thinking
_LEVELS: Final[Mapping[str, str]] = {
    "none": "minimal",  # thinking cannot be turned off; this is the least of it
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def generation(model: str) -> tuple[int, int] | None:
    """`(2, 5)` for gemini-2.5-flash; `None` where the name does not tell."""
    match = _GENERATION.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else None


def checks_signatures(model: str) -> bool:
    """Whether the model refuses a function call in the history that has no signature: 400 from generation 3 on."""
    known = generation(model)
    return model.endswith("-latest") if known is None else known >= (3, 0)


def config(members: Mapping[str, Any], model: str) -> dict[str, Any] | None:
    """`thinkingConfig` for what the request says; `None` when it says nothing."""
    given = members.get("reasoning")
    reasoning: Mapping[str, Any] = given if isinstance(given, dict) else {}
    effort = members.get("reasoning_effort") or reasoning.get("effort")
    budget_tokens = reasoning.get("max_tokens")
    if reasoning.get("enabled") is False:
        effort, budget_tokens = "none", None
    shown = members.get("include_reasoning")
    shown = reasoning.get("exclude") is not True if shown is None else shown is True
    if effort is None and budget_tokens is None:
        asked = reasoning.get("enabled") is True or "exclude" in reasoning or "include_reasoning" in members
        return {"includeThoughts": shown} if asked else None
    if isinstance(budget_tokens, int) and not isinstance(budget_tokens, bool):
        return {"includeThoughts": shown and budget_tokens != 0, "thinkingBudget": budget_tokens}
    return {"includeThoughts": shown and effort != "none", **_amount(str(effort), model)}


def is_known(effort: Any) -> bool:
    """Whether an effort has a meaning here."""
    return effort is None or effort in _EFFORTS


def _amount(effort: str, model: str) -> dict[str, Any]:
    known = generation(model)
    if known is not None and known >= (3, 0):
        level = _LEVELS.get(effort, "high")
        if "-pro" in model and "image" not in model:
            if level == "minimal":
                level = "low"
            if level == "medium" and known == (
                3,
                0,
            ):  # "not supported for this model", discuss.ai.google.dev/t/112648
                level = "high"
        return {"thinkingLevel": level}
    if effort == "none":
        return {"thinkingBudget": _LEAST_BUDGET_TOKENS if "-pro" in model else 0}
    return {"thinkingBudget": _BUDGET_TOKENS.get(effort, _BUDGET_TOKENS["high"])}
