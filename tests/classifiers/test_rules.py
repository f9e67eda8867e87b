"""The table of rules, and how rules decide together."""

import pytest
import re2

from classifiers.asking.messages import asked
from classifiers.rules import BadPattern, Rules, own_rule
from classifiers.rules_table import RULES
from classifiers.types import Ask, Facts, Rule

BUILT_IN = Rules()
EXAMPLES = [(rule, example) for rule in RULES for example in rule.examples]


@pytest.mark.parametrize(
    ("rule", "example"), EXAMPLES, ids=[f"{rule.name}-{number}" for number, (rule, _) in enumerate(EXAMPLES)]
)
def test_every_example_is_taken_by_its_rule(rule: Rule, example: str) -> None:
    """The example of a rule gets that rule's verdict from the whole table."""
    ask = asked(example)
    if rule.least_message_chars:
        ask = Ask(ask.text, facts=Facts(message_chars=rule.least_message_chars))
    verdict = BUILT_IN.match(ask)
    assert verdict is not None
    assert (rule.name, rule.complexity, rule.task_type) == (
        verdict.rule,
        verdict.complexity,
        verdict.task_type,
    )


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_rule_says_why_and_shows_an_example(rule: Rule) -> None:
    """Names are unique; a rule without a reason or an example is not a rule."""
    assert rule.why
    assert rule.examples
    assert [rule.name] == [each.name for each in RULES if each.name == rule.name]


@pytest.mark.parametrize(
    "text",
    [
        "What is the difference between a mutex and a semaphore?",
        "What is 17 * 23?",
        "What is the probability that two dice show seven?",
        "What is wrong with my code?\nfor i in range(3) print(i)",
        "Who was right, Bohr or Einstein, and why?",
        "Translate this contract into German, keeping every term of art consistent with the glossary that follows",
        "Design a logo for a bakery with warm colours",
        "Write a commit message linter that reads the git history",
        "什么是最好的架构，为什么？",
        "这个死锁的根本原因是什么？",
        "Was ist die Lösung der Gleichung?",
        "Что такое решение уравнения теплопроводности?",
        "Покажи доказательство теоремы Ферма",
        "Помоги найти взаимную блокировку",
        "帮助分析这个死锁",
        "Translate the legacy billing system to microservices",
        "Переведи сервис на Kafka",
        "What does this function do and how would you make it lock-free?",
        "Corrige la condición de carrera",
        "asdfghjkl",
        "",
    ],
)
def test_no_rule_speaks_where_it_is_not_sure(text: str) -> None:
    """A hard question in a short form, a near miss, and no signal at all are left to others."""
    assert BUILT_IN.match(Ask(text)) is None


def test_rules_that_differ_decide_nothing() -> None:
    """Two rules of different complexity that both match leave the ask undecided."""
    rules = Rules([Rule("low", "mutex", "simple", "other"), Rule("high", "prove", "complex", "other")])
    assert rules.match(Ask("prove the mutex")) is None
    assert rules.match(Ask("the mutex")) is not None


def test_an_operators_rule_is_heard_first() -> None:
    """Where an own rule speaks, built-in ones do not; it is fully believed."""
    rules = Rules(own=[own_rule("ours", "http", "complex", "no such type")])
    verdict = rules.match(asked("What does HTTP stand for?"))
    assert verdict is not None
    assert ("ours", "complex", "other", 1.0) == (
        verdict.rule,
        verdict.complexity,
        verdict.task_type,
        verdict.confidence,
    )


@pytest.mark.parametrize("pattern", ["(unclosed", r"(?=ahead)", r"(a)\1"])
def test_a_pattern_that_cannot_be_matched_in_linear_time_is_refused(pattern: str) -> None:
    """Look-ahead, back-references and nonsense are named with their rule when the table is built."""
    with pytest.raises(BadPattern) as caught:
        Rules(own=[own_rule("ours", pattern, "simple")])
    assert caught.value.rule == "ours"


def test_patterns_see_letters_beside_other_scripts() -> None:
    """No pattern relies on a word boundary beside a script that has none."""
    verdict = BUILT_IN.match(asked("请问递归是什么意思？谢谢"))
    assert verdict is not None
    assert verdict.rule == "short-definition-cjk"


def test_every_pattern_is_re2() -> None:
    """Each compiles by itself, so a broken one is named by this test and not by the whole set."""
    assert all(re2.compile(rule.pattern) for rule in RULES)
