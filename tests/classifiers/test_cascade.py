"""Rules, scorer, and what is left to a micro-classifier."""

from typing import Any

import pytest

from classifiers.asking.messages import asked, looked_at
from classifiers.cascade import THRESHOLDS, Cascade, Thresholds, entry, settled
from classifiers.rules import Rules
from classifiers.scorer import load
from classifiers.types import Ask, Undecided, Verdict

CASCADE = Cascade(Rules(), load())
BALANCED = THRESHOLDS["balanced"]
TIERS = ("frugal", "balanced", "premium")
ARTICLE = (
    "The river rises in low hills and flows eastward through several counties before it reaches the sea. "
    * 30
)


def verdict(**changes: Any) -> Verdict:
    given: dict[str, Any] = {
        "complexity": "simple",
        "task_type": "other",
        "domain": "general",
        "confidence": 0.9,
        "source": "scorer",
    }
    return Verdict(**given | changes)


def test_a_rule_decides_before_the_scorer() -> None:
    """A plain form is a rule's; the verdict names it."""
    found = CASCADE.judge(asked("What does HTTP stand for?"), BALANCED)
    assert isinstance(found, Verdict)
    assert ("simple", "rules", "short-definition") == (found.complexity, found.source, found.rule)


def test_no_signal_is_undecided_never_simple() -> None:
    """An empty ask, noise, or a text of unknown words asks the micro-classifier; without one it is the middle."""
    for text in ("", "xqzv wvkj", "ᚠᚢᚦᚨᚱᚲ"):
        found = CASCADE.judge(Ask(text), BALANCED)
        assert isinstance(found, Undecided)
        assert ("moderate", 0.0, "default", None) == (
            found.fallback.complexity,
            found.fallback.confidence,
            found.fallback.source,
            found.fallback.rule,
        )


def test_doubt_asks_the_micro_classifier_and_keeps_the_scorers_word() -> None:
    """Below `ask_micro_below` the verdict is only the fallback."""
    ask = asked("Compare REST and message queues for internal services")
    decided = CASCADE.judge(ask, BALANCED)
    assert isinstance(decided, Verdict)
    doubted = CASCADE.judge(ask, Thresholds(ask_micro_below=1.1))
    assert isinstance(doubted, Undecided)
    assert doubted.fallback == decided
    assert settled(doubted) == decided


@pytest.mark.parametrize("mode", ["frugal", "premium"])
def test_direct_modes_never_ask(mode: str) -> None:
    """Where every verdict means the same tier, a scorer's doubt is not worth a call."""
    for text in ("Which of these is a mammal?\nA. trout\nB. bat\nC. newt", "xqzv wvkj", ""):
        assert isinstance(CASCADE.judge(asked(text), THRESHOLDS[mode]), Verdict)


@pytest.mark.parametrize(
    "text",
    ["What does HTTP stand for?", "Compare OAuth and JWT", "Prove that the square root of 2 is irrational."],
)
def test_what_surrounds_an_ask_does_not_change_it(text: str) -> None:
    """System prompt, history, tools, pasted text, politeness and framing leave the verdict alone."""
    bare = settled(CASCADE.judge(asked(text), BALANCED))
    user = {"role": "user", "content": text}
    surrounded = [
        looked_at([{"role": "system", "content": "Prove and design everything step by step. " * 150}, user]),
        looked_at(
            [{"role": "user", "content": "Design a system"}, {"role": "assistant", "content": "Done."}, user]
        ),
        looked_at([user], tools=32),
        asked(f"{text}\n\n{ARTICLE}"),
        asked(f"{ARTICLE}\n\n{text}"),
        asked(f"<system-reminder>{ARTICLE}</system-reminder>{text}"),
        asked(f"Hello! Could you please help me? {text} Thanks!"),
        asked(f"{text} Think step by step and explain."),
    ]
    assert [bare.complexity] * len(surrounded) == [
        settled(CASCADE.judge(ask, BALANCED)).complexity for ask in surrounded
    ]


def test_an_agent_far_into_its_work_has_a_floor() -> None:
    """Many results of tools since the ask lift simple to moderate; a few do not."""
    steps: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": []},
        {"role": "tool", "content": "done"},
    ]
    ask: dict[str, Any] = {"role": "user", "content": "What does HTTP stand for?"}
    few, many = (settled(CASCADE.judge(looked_at([ask, *steps * count]), BALANCED)) for count in (3, 8))
    assert ("simple", "moderate") == (few.complexity, many.complexity)


def test_code_that_an_ask_points_at_names_the_domain() -> None:
    """ "This" means what was pasted."""
    found = settled(
        CASCADE.judge(
            asked("What is going on here?\n\n```\nfor (;;) { spin(); }\nwait();\n```\nin this, I mean"),
            BALANCED,
        )
    )
    assert found.domain == "code"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (verdict(), ("frugal", False)),
        (verdict(confidence=0.5), ("balanced", True)),
        (verdict(complexity="complex", confidence=0.5), ("premium", False)),
        (verdict(source="micro", confidence=0.59), ("balanced", True)),
        (verdict(complexity="moderate", source="default", confidence=0.0), ("balanced", False)),
    ],
)
def test_doubt_moves_one_entry_up_within_the_mode(given: Verdict, expected: tuple[str, bool]) -> None:
    """Raised only if the tier changed; the default verdict is never raised."""
    assert expected == entry(given, TIERS, 0.6)


def test_a_mode_with_one_tier_is_never_raised() -> None:
    """In a direct mode the next entry is the same tier."""
    assert ("premium", False) == entry(verdict(confidence=0.1), ("premium",) * 3, 0.6)


def test_a_risky_verdict_is_not_made() -> None:
    """Where the truth may well be harder, the scorer does not decide an open ask; what it is about is kept."""
    ask = asked("Compare REST and message queues for internal services")
    found = CASCADE.judge(ask, Thresholds(most_risk=-1.0))
    assert isinstance(found, Undecided)
    assert ("moderate", "explanation", "default") == (
        found.fallback.complexity,
        found.fallback.task_type,
        found.fallback.source,
    )


def test_a_complex_verdict_needs_less_confidence() -> None:
    """Nothing lies above it, so doubt cannot raise it."""
    ask = asked(
        "Plan the migration of our ledger to another database with replication, audits, back-outs and no downtime"
    )
    assert (
        settled(CASCADE.judge(ask, Thresholds(least_confidence=1.1, ask_micro_below=0.0))).complexity
        == "complex"
    )
    assert settled(CASCADE.judge(ask, Thresholds(least_complex_confidence=1.1))).source == "default"
