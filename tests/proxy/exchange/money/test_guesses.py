"""What a request will probably use: learned, bounded, and never the last word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.money import guesses
from proxy.exchange.money.guesses import Guesses

COUNTS = st.integers(0, 10**9)
ANSWERS = st.lists(st.tuples(st.sampled_from(["a", "b"]), COUNTS, COUNTS, COUNTS, st.integers(1, 128)))


def taught(
    *, answers: int, prompt_bytes: int, prompt_tokens: int, output_tokens: int, choices: int = 1
) -> Guesses:
    made = Guesses()
    for _ in range(answers):
        made.learn(
            "a",
            prompt_bytes=prompt_bytes,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            choices=choices,
        )
    return made


def test_before_the_first_answer() -> None:
    """Nobody knows better: four bytes a token, a middling answer."""
    assert (101, guesses.OUTPUT_TOKENS) == (
        Guesses().prompt_tokens("a", 400),
        Guesses().output_tokens("a"),
    )


def test_learned() -> None:
    """After many answers the guess is what they were; another model's guess stays as it was."""
    made = taught(answers=300, prompt_bytes=6000, prompt_tokens=2000, output_tokens=90, choices=3)
    assert 1000 == pytest.approx(made.prompt_tokens("a", 3000), rel=0.01)
    assert 30 == pytest.approx(made.output_tokens("a"), abs=1)
    assert (751, guesses.OUTPUT_TOKENS) == (made.prompt_tokens("b", 3000), made.output_tokens("b"))


def test_one_answer_moves_it_little() -> None:
    """A single strange answer is no reason to refuse the next request."""
    made = taught(answers=1, prompt_bytes=40, prompt_tokens=11, output_tokens=60_000)
    assert made.output_tokens("a") < 10 * guesses.OUTPUT_TOKENS
    assert made.prompt_tokens("a", 4000) == pytest.approx(1000, rel=0.1)


def test_follows() -> None:
    """What a model does now outweighs what it did: after two hundred answers the old ratio is forgotten."""
    made = taught(answers=500, prompt_bytes=4000, prompt_tokens=1000, output_tokens=5000)
    for _ in range(200):
        made.learn("a", prompt_bytes=4000, prompt_tokens=2000, output_tokens=50, choices=1)
    assert 2000 == pytest.approx(made.prompt_tokens("a", 4000), rel=0.02)
    assert made.output_tokens("a") < 200


@given(ANSWERS, COUNTS)
def test_bounded(answers: list[tuple[str, int, int, int, int]], prompt_bytes: int) -> None:
    """Whatever providers report, a guess stays between stated limits."""
    made = Guesses()
    for backend, answer_bytes, prompt_tokens, output_tokens, choices in answers:
        made.learn(
            backend,
            prompt_bytes=answer_bytes,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            choices=choices,
        )
        for each in ("a", "b"):
            least = prompt_bytes / guesses.MOST_BYTES_PER_TOKEN
            assert least < made.prompt_tokens(each, prompt_bytes) <= prompt_bytes + 1
            assert guesses.LEAST_OUTPUT_TOKENS <= made.output_tokens(each) <= guesses.MOST_OUTPUT_TOKENS


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(1.0, 16.0)), min_size=1, max_size=50))
def test_between_what_was_seen(answers: list[tuple[int, float]]) -> None:
    """The ratio is never outside of what was seen and the one it began with."""
    made = Guesses()
    ratios = [guesses.BYTES_PER_TOKEN]
    for tokens, ratio in answers:
        prompt_bytes = int(tokens * ratio)
        ratios.append(prompt_bytes / tokens)
        made.learn("a", prompt_bytes=prompt_bytes, prompt_tokens=tokens, output_tokens=1, choices=1)
    guessed = made.prompt_tokens("a", 10**9)
    assert 10**9 / max(ratios) * 0.999 <= guessed <= 10**9 / min(ratios) * 1.001 + 1
