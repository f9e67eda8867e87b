"""Which tools a text asks for."""

import re
from collections.abc import Sequence

from proxy.sandbox.request import Calling, Request, Tool

_NAME_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_WORD = re.compile(r"\w+")
# Words that describe tools in general, so that meeting one says nothing about which is meant.
# fmt: off
_COMMON = frozenset((
    "about", "after", "all", "and", "any", "are", "argument", "call", "can", "current", "for", "from",
    "function", "get", "gets", "given", "has", "have", "how", "information", "into", "its", "make", "name",
    "out", "please", "return", "returns", "run", "set", "should", "tell", "that", "the", "their", "them",
    "then", "these", "this", "tool", "use", "used", "user", "uses", "using", "value", "values", "want",
    "what", "when", "which", "will", "with", "you", "your",
))
# fmt: on


def wanted(request: Request) -> tuple[Tool, ...]:
    """The tools to call now, in the order offered; none when the answer is text.

    Tools are called on a user's turn only. A tool whose name shares a word with the text is asked for; where
    there is none, the one whose description shares most words is.
    """
    if request.calling is Calling.NONE or not request.tools or request.messages[-1].role != "user":
        return ()
    found = _matching(request.tools, request.messages[-1].text)
    if not found and request.calling is Calling.REQUIRED:
        found = request.tools[:1]
    return found if request.parallel else found[:1]


def _matching(tools: Sequence[Tool], text: str) -> tuple[Tool, ...]:
    said = _stems(_WORD.findall(text))
    lowered = text.casefold()
    named = tuple(
        tool
        for tool in tools
        if tool.name.casefold() in lowered or said & _stems(_NAME_WORD.findall(tool.name))
    )
    if named:
        return named
    shared = [len(said & _stems(_WORD.findall(tool.description))) for tool in tools]
    most = max(shared)
    return (tools[shared.index(most)],) if most else ()


def _stems(words: Sequence[str]) -> frozenset[str]:
    """Words in lower case without a plural s; short and common ones left out."""
    lowered = (word.casefold() for word in words)
    return frozenset(word.removesuffix("s") for word in lowered if len(word) > 2 and word not in _COMMON)
