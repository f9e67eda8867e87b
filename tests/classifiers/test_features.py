"""What the scorer sees of a text."""

import pytest

from classifiers.features import features
from classifiers.types import Ask


def words(text: str) -> frozenset[str]:
    return features(Ask(text)).words


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
