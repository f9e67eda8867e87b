"""The scorer: arithmetic on made-up weights, promises on the shipped ones."""

import math

import pytest

from classifiers.asking.messages import asked
from classifiers.features import features
from classifiers.scorer import Scorer, calibration_kind, load
from classifiers.types import COMPLEXITIES, TASK_TYPES, Ask
from classifiers.weights_file import Block, Weights

OUTPUTS = (
    *(("form", word) for word in COMPLEXITIES),
    *(("outcome", word) for word in COMPLEXITIES),
    ("exam", "exam"),
    ("gain", "gain"),
    *(("task_type", word) for word in TASK_TYPES),
    ("domain", "code"),
    ("domain", "law"),
)
WIDTH = len(OUTPUTS)
SHIPPED = load()


def row(**steps: int) -> bytes:
    """A row of weights, named by output label (of the first head that has it)."""
    labels = [label for _, label in OUTPUTS]
    values = bytearray([128] * WIDTH)
    for label, step in steps.items():
        values[labels.index(label)] = 128 + step
    return bytes(values)


def scorer(words: dict[str, bytes], exam: float = -9.0) -> Scorer:
    empty = Block((), (), (1.0,) * WIDTH)
    biases = tuple(exam if head == "exam" else 0.0 for head, _ in OUTPUTS)
    block = Block(tuple(words), tuple(words.values()), (0.1,) * WIDTH)
    weights = Weights(
        OUTPUTS, biases, {"words": block, "forms": empty, "material": empty}, {}, (-1.0, 0.0, 1.0), "none"
    )
    return Scorer(weights)


def test_an_output_is_the_sum_of_its_known_words_over_the_root_of_their_number() -> None:
    """Lanes of the packed integers never run into each other, up and down to the ends of a byte."""
    found = scorer({"alpha": row(simple=127, complex=-128), "beta": row(simple=1, code=-5)})
    logits, known = found.logits(Ask("alpha beta"))
    assert known == 2
    assert logits[0] == pytest.approx(12.8 / math.sqrt(2))
    assert logits[2] == pytest.approx(-12.8 / math.sqrt(2))
    assert logits[OUTPUTS.index(("domain", "code"))] == pytest.approx(-0.5 / math.sqrt(2))


def test_too_few_known_words_are_no_opinion() -> None:
    """A text that says nothing to the scorer is undecided, never simple."""
    found = scorer({"alpha": row(simple=127)})
    assert found.score(Ask("omega psi chi")) is None
    assert found.score(Ask("")) is None
    assert found.score(Ask("alpha omega")) is None


def test_open_and_closed_asks_are_judged_by_their_own_models() -> None:
    """The mixture follows the probability that an ask is a closed question."""
    words = {"alpha": row(simple=100), "beta": row(simple=100)}
    assert scorer(words, exam=-9.0).score(Ask("alpha beta")).complexity == "simple"  # type: ignore[union-attr] # two known words
    closed = scorer(words, exam=9.0).score(Ask("alpha beta"))
    assert closed is not None
    assert closed.exam
    assert closed.probabilities == pytest.approx((1 / 3,) * 3, abs=1e-3)


def test_probabilities_add_up_and_the_risk_is_what_lies_above() -> None:
    """`risk` is the probability of every harder class together."""
    opinion = SHIPPED.score(asked("Summarise the minutes of the meeting in three bullet points"))
    assert opinion is not None
    assert sum(opinion.probabilities) == pytest.approx(1.0)
    above = opinion.probabilities[COMPLEXITIES.index(opinion.complexity) + 1 :]
    assert opinion.risk == pytest.approx(sum(above))
    assert 0 <= opinion.difficulty <= 1


def test_what_was_pasted_does_not_move_the_form() -> None:
    """Material may say what a question is about; it never enters the outputs that judge an open ask."""
    bare, _ = SHIPPED.logits(Ask("Explain this code"))
    pasted, _ = SHIPPED.logits(Ask("Explain this code", refers=True, material="def f(x):\n    return x + 1"))
    form = slice(0, 3)
    assert bare[form] == pasted[form]


@pytest.mark.parametrize(
    ("text", "complexity"),
    [
        (
            "Prove that the composition of two injective maps is injective, and derive the bound for the general case",
            "complex",
        ),
        ("Compare REST and message queues for internal services", "moderate"),
        ("What is the plural of cactus?", "simple"),
        ("¿Qué es la fotosíntesis?", "simple"),
        ("Сравни Postgres и MySQL", "moderate"),
        ("比较 Redis 和 Memcached", "moderate"),
    ],
)
def test_the_shipped_weights_know_plain_forms(text: str, complexity: str) -> None:
    """Requests nobody trained on, in several languages."""
    opinion = SHIPPED.score(asked(text))
    assert opinion is not None
    assert opinion.complexity == complexity


def test_the_shipped_weights_are_small_and_calibrated_for_every_kind() -> None:
    """Some hundred kilobytes; a calibration for each kind of verdict, growing with what was said."""
    weights = SHIPPED._weights
    assert len(weights.to_bytes()) < 700_000
    kinds = {calibration_kind(word, exam=exam) for word in COMPLEXITIES for exam in (False, True)}
    assert kinds == set(weights.calibration)
    for points in weights.calibration.values():
        assert list(points) == sorted(points)
        assert [found for _, found in points] == sorted(found for _, found in points)


def test_every_language_is_known_by_some_words() -> None:
    """None of the named languages is blank to the scorer."""
    texts = (
        "Explain how caching works",
        "解释缓存如何工作",
        "キャッシュの仕組みを説明してください",
        "캐시가 어떻게 작동하는지 설명해 주세요",
        "Explica cómo funciona la caché",
        "Explique comment fonctionne le cache",
        "Erkläre, wie ein Cache funktioniert",
        "Explique como funciona o cache",
        "Объясни, как работает кэш",
        "اشرح كيف يعمل التخزين المؤقت",
        "समझाइए कि कैश कैसे काम करता है",
    )
    known = [SHIPPED.logits(Ask(text))[1] for text in texts]
    assert min(known) >= 3
    assert all(features(Ask(text)).words for text in texts)


def test_difficulty_is_a_share_of_what_was_fitted() -> None:
    """Below the least gain it is 0, above the greatest 1, and between two quantiles in proportion."""
    found = {
        step: scorer({"alpha": row(gain=step), "beta": row()}).score(Ask("alpha beta"))
        for step in (-100, 0, 5, 100)
    }
    assert [0.0, 0.5, 1.0] == [pytest.approx(found[step].difficulty) for step in (-100, 0, 100)]  # type: ignore[union-attr] # two known words
    assert 0.5 < found[5].difficulty < 1.0  # type: ignore[union-attr] # two known words
