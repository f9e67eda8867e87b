"""Changes to a request that must not change its verdict. All texts are this project's own."""

from collections.abc import Callable
from typing import Any, Final

from classifiers.asking.messages import looked_at
from classifiers.types import Ask

_ARTICLE: Final = (
    "The river rises in low hills and flows eastward through several counties before it reaches the sea. Its banks"
    " were settled early, and trade along the water shaped the towns that grew there. In the nineteenth century the"
    " embankments were built of granite, and sewers were laid beneath the new roads. Engineers measured the tides for"
    " decades before the barrier was raised, and the records they kept are still consulted by those who study floods. "
)
_PROSE: Final = _ARTICLE * 7
_PARAGRAPHS: Final = "\n\n".join([_ARTICLE.strip()] * 7)
_CODE: Final = "\n".join(
    f"def step_{number}(values, limit={number}):\n    total = sum(values[:limit])\n    return total * {number}\n"
    for number in range(34)
)
_SYSTEM: Final = (
    "You are an agent that works in a repository. Plan before you act, call tools one at a time, prove that each change"
    " is right, debug failures step by step, and never stop before the architecture is sound. "
) * 30
_TURNS: Final = 20
_TOOLS: Final = 32

Disturbance = Callable[[str], Ask]


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _history() -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for number in range(_TURNS):
        turns.append(_user(f"Tell me about topic {number}, prove it and design a system for it."))
        turns.append({"role": "assistant", "content": f"Topic {number} has several sides. " * 10})
    return turns


def _transcript() -> str:
    return "".join(
        f"User: Tell me about topic {number}.\nAssistant: Topic {number} has several sides.\n"
        for number in range(_TURNS)
    )


DISTURBANCES: Final[dict[str, Disturbance]] = {
    "6 kB system prompt": lambda text: looked_at([{"role": "system", "content": _SYSTEM}, _user(text)]),
    "6 kB reminder in the message": lambda text: looked_at(
        [_user(f"<system-reminder>{_SYSTEM}</system-reminder>\n{text}")]
    ),
    "pasted prose after": lambda text: looked_at([_user(f"{text}\n\n{_PROSE}")]),
    "pasted paragraphs before": lambda text: looked_at([_user(f"{_PARAGRAPHS}\n\n{text}")]),
    "pasted prose on the next line": lambda text: looked_at([_user(f"{text}\n{_PROSE}")]),
    "pasted prose in the same line": lambda text: looked_at([_user(f"{text} {_PROSE}")]),
    "pasted code in a fence": lambda text: looked_at([_user(f"{text}\n\n```python\n{_CODE}\n```")]),
    "pasted code, bare": lambda text: looked_at([_user(f"{text}\n\n{_CODE}")]),
    "20 turns": lambda text: looked_at([*_history(), _user(text)]),
    "20 turns in the message": lambda text: looked_at([_user(f"{_transcript()}User: {text}")]),
    "framing": lambda text: looked_at([_user(f"{text} Think step by step and explain.")]),
    "politeness": lambda text: looked_at([_user(f"Hello! Could you please help me? {text} Thanks!")]),
    "32 tools": lambda text: looked_at([_user(text)], tools=_TOOLS),
}
