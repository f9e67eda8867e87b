"""What the scorer sees of a text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.features import features, pieces
from classifiers.scorer import load
from classifiers.spelling import spelled, tokens
from classifiers.types import Ask

SHIPPED = load()
LETTERS = st.sampled_from("aZ 09_-.,;\n\x00éßµıΑΣς я你，。・カ한العَ٣हि।१ไ²ⅣⒶ①ａ２ﬁ\u0301\u0338=“😀")


def words(text: str) -> set[str]:
    found = features(Ask(text))
    return {*found.words, *pieces(found.runs)}


def test_words_stems_pairs_and_the_beginning() -> None:
    """A Latin text gives words, stems of long ones, pairs, and how it begins."""
    found = words("Explain caching simply")
    assert {
        "explain",
        "expla-",
        "cachi-",
        "explain caching",
        "caching simply",
        "^explain",
        "^explain caching",
    } <= found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("写一个函数", {"函", "函数", "个函数", "^写一"}),
        ("関数を書いて", {"関数", "関数を", "書いて"}),
        ("เขียนกลอน", {"เข", "กลอ"}),
        ("함수를 작성하세요", {"함수-", "작성-", "함수를 작성하세요"}),
        ("اكتب الدالة", {"دالة-"}),
        ("Напиши функцию", {"напиш-", "функц-"}),
        ("फ़ंक्शन लिखें", {"लि-"}),
    ],
)
def test_each_script_in_its_own_pieces(text: str, expected: set[str]) -> None:
    """Unspaced scripts are read by signs, others by words and what words begin with."""
    assert expected <= words(text)


def test_the_same_letters_in_other_dress_are_the_same() -> None:
    """Full-width and formula letters read as the plain ones; numbers differ only in how many digits they have."""
    assert words("ＡＢＣ 12") == words("abc 99")


def test_the_form_is_seen_without_words() -> None:
    """Length, options, signs of code and mathematics, script and end of the text are steps of their own."""
    forms = features(Ask("Which is it?\nA. $x^2$\nB. x = {1};\nC. none")).forms
    assert {"#options3", "#dollars", "#script-ascii", "#question1", "#ends-"} <= set(forms)


def test_material_is_kept_apart() -> None:
    """Words of what was pasted never mix with words of the ask."""
    found = features(Ask("Explain this", refers=True, material="def quicksort(values): ..."))
    assert "quicksort" in found.material
    assert "quicksort" not in found.words


def test_the_work_is_bounded() -> None:
    """However many words an ask has, a bounded number is read, from both ends."""
    found = words(" ".join(f"a{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}" for n in range(5_000)) + " ending")
    assert len(found) < 3_000
    assert "ending" in found


@given(st.text(LETTERS, max_size=40))
def test_words_numbers_and_signs_are_cut_as_one_pattern_would(text: str) -> None:
    """Passes over the whole text find the very tokens that a pattern finds, one after the other."""
    found = spelled(text)
    pattern = (
        r"[a-zà-öø-ɏḀ-ỿ]+|[0-9]+|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|"
        r"[\u0900-\u0963\u0966-\u0dff]+|[^\W\d_]+|[^\w\s]"
    )
    assert re.findall(pattern, found.text) == tokens(found)


@given(st.text(st.sampled_from("的是用写函数设计系统证明什么を関数ไทย a。"), max_size=40))
def test_pieces_the_scorer_knows_are_found_in_one_pass(text: str) -> None:
    """What is looked for in unspaced scripts is found wherever it is one of their pieces."""
    found = features(Ask(text))
    names = SHIPPED._words.names
    assert names.intersection(words(text)) == names.intersection(found.words).union(
        SHIPPED._pieces(found.runs)
    )
