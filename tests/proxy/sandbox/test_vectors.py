"""Directions of texts: of length one, the same every time, closer the more words are shared."""

from math import isclose

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.sandbox import vectors


def likeness(one: str, two: str, dimensions: int = 256) -> float:
    """The cosine of the angle between them."""
    pairs = zip(vectors.of_text(one, dimensions), vectors.of_text(two, dimensions), strict=True)
    return sum(left * right for left, right in pairs)


@given(text=st.text(min_size=1, max_size=100), dimensions=st.sampled_from([1, 2, 3, 256, 3072]))
def test_any_text_has_a_unit_vector(text: str, dimensions: int) -> None:
    """Blanks, signs and single letters too, in one dimension and in thousands."""
    vector = vectors.of_text(text, dimensions)
    assert dimensions == len(vector)
    assert isclose(1, sum(place * place for place in vector))
    assert vector == vectors.of_text(text, dimensions)


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=50), st.sampled_from([1, 2, 256]))
@example([0, 24161], 2)  # the two cancel each other
def test_any_token_ids_have_a_unit_vector(tokens: list[int], dimensions: int) -> None:
    """Order does not matter, the ids do."""
    vector = vectors.of_tokens(tokens, dimensions)
    assert isclose(1, sum(place * place for place in vector))
    assert vector == vectors.of_tokens(tokens[::-1], dimensions)


@pytest.mark.parametrize("dimensions", [256, 1536, 3072])
@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        (
            "The lock-keeper waits for boats",
            "A boat waits for the lock-keeper",
            "Quarterly revenue grew by nine percent",
        ),
        (
            "Revenue of the quarter grew nine percent",
            "Quarterly revenue grew by nine percent",
            "The cat sleeps on the mat",
        ),
        ("Das Wetter in Paris", "Wetterbericht für Paris", "ein Rezept mit Linsen"),
        ("猫が好きです", "犬が好きです", "今日は寒い"),
        ("def parse_header(value)", "parse_header(values)", "SELECT name FROM users"),
    ],
)
def test_shared_words_are_closeness(text: str, near: str, far: str, dimensions: int) -> None:
    """Clearly closer to what shares words or their parts than to what shares none."""
    assert likeness(text, near, dimensions) > likeness(text, far, dimensions) + 0.1
    assert abs(likeness(text, far, dimensions)) < 0.25


def test_case_does_not_matter_and_a_text_is_like_itself() -> None:
    """The same words in capitals are the same direction."""
    assert isclose(1, likeness("The Lock-Keeper", "the lock-keeper"))


def test_token_ids_in_common_are_closeness() -> None:
    """Two of three ids shared are nearer than none."""
    one, two, three = (vectors.of_tokens(ids, 256) for ids in ([1, 2, 3], [1, 2, 4], [7, 8, 9]))
    near = sum(a * b for a, b in zip(one, two, strict=True))
    far = sum(a * b for a, b in zip(one, three, strict=True))
    assert near > far + 0.3
