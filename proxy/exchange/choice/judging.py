"""What a request is: its last real ask through rules and scorer. A mode's requests are judged, a model's are not."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from classifiers.asking.messages import looked_at
from classifiers.cascade import THRESHOLDS, Cascade, Thresholds
from classifiers.looping import Loop, looping
from classifiers.types import Ask, Undecided
from classifiers.types import Verdict as Judged
from proxy.routing.policy import UNDECIDED, Verdict

NOTHING_ASKED: Final = Ask("")
_DIRECT: Final = Thresholds(ask_micro_below=0.0)
"""For modes in which a micro-classifier's verdict changes nothing, or is not wanted."""


class Mishaps(Protocol):
    """Who counts verdicts that were not reached. Labels are few and fixed."""

    def unclassified(self, reason: str) -> None: ...


class Log(Protocol):
    """A structured logger."""

    def error(self, event: str, **fields: object) -> object: ...


class Judgement(NamedTuple):
    """What is known of a request before anything is called.

    Attributes:
        mode: that was asked for.
        tiers: the mode's, for simple, moderate and complex requests.
        ask: the last real ask of the user; empty where there is none.
        verdict: of rules and scorer, or undecided; undecided, too, before these were asked.
        left_open: where a micro-classifier may decide; `None` where none is asked.
        loop: how the conversation goes in circles; `None` where it does not.
    """

    mode: str
    tiers: tuple[str, str, str]
    ask: Ask
    verdict: Verdict = UNDECIDED
    left_open: Undecided | None = None
    loop: Loop | None = None


class Judge:
    """Judges requests. One per process; a request costs some hundred microseconds, however long it is."""

    def __init__(self, cascade: Cascade, mishaps: Mishaps, log: Log) -> None:
        self._cascade = cascade
        self._mishaps = mishaps
        self._log = log
        self._logged: set[str] = set()

    def of(self, mode: str, tiers: tuple[str, str, str], members: Mapping[str, Any]) -> Judgement:
        """The judgement of a request with these `members` (OpenAI's vocabulary). Never fails: a fault is undecided."""
        return self.judged(self.seen(mode, tiers, members))

    def seen(self, mode: str, tiers: tuple[str, str, str], members: Mapping[str, Any]) -> Judgement:
        """What is asked, not judged yet: a verdict on the same turn may be remembered. Never fails."""
        try:
            messages = _messages(members)
            ask = looked_at(messages, _count(members.get("tools")))
            return Judgement(mode, tiers, ask, loop=looping(messages) if ask.facts.tool_steps else None)
        except Exception as fault:  # noqa: BLE001 - a verdict is a convenience: no fault of ours in it may fail a request
            self._mishap(fault)
            return Judgement(mode, tiers, NOTHING_ASKED)

    def judged(self, seen: Judgement) -> Judgement:
        """The same with its verdict. Never fails: a fault is undecided."""
        try:
            judged = self._cascade.judge(seen.ask, thresholds(seen.mode, seen.tiers))
        except Exception as fault:  # noqa: BLE001 - as in `seen`
            self._mishap(fault)
            return seen
        if isinstance(judged, Undecided):
            left_open = judged if seen.ask.text else None  # of nothing there is nothing to ask
            return seen._replace(verdict=spoken(judged.fallback), left_open=left_open)
        return seen._replace(verdict=spoken(judged))

    def _mishap(self, fault: Exception) -> None:
        self._mishaps.unclassified("fault")
        kind = type(fault).__name__
        if kind not in self._logged:
            self._logged.add(kind)
            self._log.error("classification failed; such requests are undecided", exc_info=fault)


def thresholds(mode: str, tiers: Sequence[str]) -> Thresholds:
    """When a mode believes the scorer, and when it asks a micro-classifier."""
    if len(set(tiers)) == 1:
        return _DIRECT
    return THRESHOLDS.get(mode) or Thresholds()


def spoken(judged: Judged) -> Verdict:
    """A verdict in the policy's words."""
    return Verdict(
        judged.source, judged.complexity, judged.task_type, judged.confidence, judged.rule, judged.domain
    )


def _messages(members: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    messages = members.get("messages")
    return messages if isinstance(messages, list) else ()


def _count(tools: object) -> int:
    return len(tools) if isinstance(tools, list) else 0
