"""Rules: a table of patterns, matched in linear time. They decide only when they agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import re2

from classifiers.rules_table import RULES
from classifiers.types import GENERAL, TASK_TYPES, Ask, Complexity, Rule, TaskType, Verdict

# A pattern an operator writes may not take more memory than this when compiled.
_MOST_PROGRAM_BYTES: Final = 8 << 20
# More patterns than these in one pass, and its automaton outgrows that memory and is built again and again.
_MOST_TOGETHER: Final = 8
_SHORT_CHARS: Final = 240


@dataclass(frozen=True, slots=True)
class BadPattern(Exception):
    """A rule's pattern is not RE2 syntax, or needs too much memory; `rule` is empty where only all together do."""

    rule: str
    message: str


class _Patterns:
    """Some rules' patterns, searched for in as few passes as pay."""

    def __init__(self, rules: Sequence[Rule], places: Sequence[int]) -> None:
        self._passes: Final = [
            _Pass(rules, places[at : at + _MOST_TOGETHER]) for at in range(0, len(places), _MOST_TOGETHER)
        ]

    def found(self, text: str) -> list[int]:
        """Places of the rules whose patterns occur, in their order."""
        return [place for each in self._passes for place in each.found(text)]


class _Pass:
    """Some rules' patterns, searched for in one pass."""

    def __init__(self, rules: Sequence[Rule], places: Sequence[int]) -> None:
        self._places: Final = tuple(places)
        self._set: Final = re2.Set.SearchSet(_options())
        for place in self._places:
            try:
                self._set.Add(rules[place].pattern)
            except re2.error as error:
                raise BadPattern(rules[place].name, str(error)) from error
        try:
            self._set.Compile()
        except re2.error as error:
            raise BadPattern("", "all patterns together need too much memory") from error

    def found(self, text: str) -> list[int]:
        """Places of the rules whose patterns occur, in their order."""
        return sorted(self._places[at] for at in self._set.Match(text) or ())


class Rules:
    """A compiled table. Built once; `match` is safe from any thread."""

    def __init__(self, rules: Sequence[Rule] = RULES, own: Sequence[Rule] = ()) -> None:
        """`own` are the operator's: where one of them speaks, the built-in ones are not heard.

        Raises:
            BadPattern: naming the rule.
        """
        self._rules: Final = (*own, *rules)
        self._own_count: Final = len(own)
        if own:
            _Pass(own, range(len(own)))  # refuses what all of an operator's patterns together would take
        self._unless: Final = tuple(_compiled(rule) for rule in self._rules)
        # Most forms are short ones; a long ask is not searched for them.
        self._short: Final = _Patterns(self._rules, range(len(self._rules)))
        self._long: Final = _Patterns(
            self._rules, [at for at, rule in enumerate(self._rules) if rule.most_chars > _SHORT_CHARS]
        )

    def match(self, ask: Ask) -> Verdict | None:
        """The verdict of the rules that speak, or None when none does or they differ about complexity."""
        patterns = self._short if len(ask.text) <= _SHORT_CHARS else self._long
        speaking = [index for index in patterns.found(ask.text) if self._speaks(index, ask)]
        if not speaking:
            return None
        own = [index for index in speaking if index < self._own_count]
        heard = [self._rules[index] for index in own or speaking]
        if any(rule.complexity != heard[0].complexity for rule in heard):
            return None
        first = heard[0]
        return Verdict(first.complexity, first.task_type, first.domain, first.confidence, "rules", first.name)

    def _speaks(self, index: int, ask: Ask) -> bool:
        rule, unless = self._rules[index], self._unless[index]
        if len(ask.text) > rule.most_chars or ask.facts.message_chars < rule.least_message_chars:
            return False
        return unless is None or unless.search(ask.text) is None


def pattern_problem(pattern: str) -> str | None:
    """Why this is no pattern of a rule, or None."""
    if not pattern.isascii() and pattern.encode("utf-8", "replace") != pattern.encode(
        "utf-8", "surrogatepass"
    ):
        return "holds half a character"
    try:
        re2.compile(pattern, _options())
    except re2.error as error:
        message = error.args[0] if error.args else error
        return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    return None


def own_rule(
    name: str, pattern: str, complexity: Complexity, task_type: str | None = None, domain: str = GENERAL
) -> Rule:
    """An operator's rule. A task type that is none of the five counts as other."""
    known: TaskType = next((each for each in TASK_TYPES if each == task_type), "other")
    return Rule(name, pattern, complexity, known, domain, confidence=1.0)


def matches(rule: Rule, ask: Ask) -> bool:
    """Whether a rule by itself speaks of `ask`."""
    return Rules((), (rule,)).match(ask) is not None


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MOST_PROGRAM_BYTES
    options.never_nl = False
    options.dot_nl = False
    return options


def _compiled(rule: Rule) -> "re2._Regexp | None":
    return re2.compile(rule.unless, _options()) if rule.unless else None
