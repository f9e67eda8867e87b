"""From a conversation in the common shape to the ask and the facts around it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from classifiers.asking.courtesy import without_courtesies
from classifiers.asking.envelopes import stripped
from classifiers.asking.material import parted
from classifiers.asking.transcripts import last_turn
from classifiers.types import Ask, Facts

_TOOL_ROLES: Final = frozenset({"tool", "function"})
_SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_TEXT_PARTS: Final = frozenset({"text", "input_text"})
_TOOL_PARTS: Final = frozenset({"tool_result", "function_call_output"})
# What an agent's client puts into the user's place between two steps; none of it is the user's.
_NOT_ASKED: Final = (
    "[Request interrupted",
    "[SUGGESTION MODE",
    "Caveat: The messages below",
    "<local-command",
)
# Older turns than these are not searched for an ask.
_MOST_SEARCHED: Final = 400


def looked_at(messages: Sequence[Mapping[str, Any]], tools: int = 0) -> Ask:
    """The last real ask among `messages` (OpenAI's or Anthropic's shape), and the facts.

    Args:
        tools: how many tools are offered.

    Never raises for a shape it does not know: what is not text is not looked at. No ask gives an empty text.
    """
    steps = 0
    for back, message in enumerate(reversed(messages[-_MOST_SEARCHED:])):
        role = message.get("role")
        if role in _TOOL_ROLES:
            steps += 1
        elif role == "user":
            raw, kinds, results = _content(message.get("content"))
            steps += results
            own = stripped(raw) if raw else ""
            if own and not own.startswith(_NOT_ASKED):
                position = len(messages) - 1 - back
                return _ask(own, _facts(messages, position, tools, steps, len(raw), kinds))
    return Ask("", facts=_facts(messages, len(messages), tools, steps, 0, ()))


def asked(prompt: str) -> Ask:
    """The ask in one bare prompt."""
    return looked_at(({"role": "user", "content": prompt},))


def _ask(own: str, facts: Facts) -> Ask:
    if not own.isascii():  # half a surrogate pair is no text, and RE2 refuses it
        own = own.encode("utf-8", "replace").decode()
    parts = parted(last_turn(own))
    text = without_courtesies(parts.ask)
    return Ask(text, parts.refers, parts.material, replace(facts, materials=parts.materials))


def _content(content: object) -> tuple[str, tuple[str, ...], int]:
    """Text of a message, kinds of its other parts, and how many results of tools are among them."""
    if isinstance(content, str):
        return content, (), 0
    if not isinstance(content, Sequence):
        return "", (), 0
    texts: list[str] = []
    kinds: list[str] = []
    results = 0
    for part in content:
        if not isinstance(part, Mapping):
            continue
        kind = part.get("type")
        text = part.get("text")
        if kind in _TEXT_PARTS and isinstance(text, str):
            texts.append(text)
        elif kind in _TOOL_PARTS:
            results += 1
        elif isinstance(kind, str):
            kinds.append(kind)
    return "\n\n".join(texts), tuple(kinds), results


def _chars(content: object) -> int:
    """Characters of text, without putting it together."""
    if isinstance(content, str):
        return len(content)
    if not isinstance(content, Sequence):
        return 0
    texts = (part.get("text") for part in content if isinstance(part, Mapping))
    return sum(len(text) for text in texts if isinstance(text, str))


def _facts(
    messages: Sequence[Mapping[str, Any]],
    position: int,
    tools: int,
    steps: int,
    message_chars: int,
    kinds: tuple[str, ...],
) -> Facts:
    system_chars = history_chars = turns = 0
    for index, message in enumerate(messages):
        content = message.get("content")
        chars = _chars(content)
        role = message.get("role")
        if role in _SYSTEM_ROLES:
            system_chars += chars
        elif index != position:
            history_chars += chars
        turns += role == "user" and chars > 0
    return Facts(system_chars, history_chars, turns, tools, steps, kinds, message_chars)
