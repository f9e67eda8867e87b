"""A catalogue's file is written in one form, and nothing in it is lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.catalogue.document import CatalogueFile, Unwritable, read_catalogue
from proxy.routing.catalogue.load import default_models
from proxy.settings.document import parse

TEXT = st.text("abc:#{}[],'\"\\ -0129._/@~", min_size=1, max_size=12)
SCALARS = (
    TEXT
    | st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(0, 1e6, allow_nan=False).map(lambda number: round(number, 6))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MODELS = st.lists(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), max_size=3)


def test_the_default_catalogue_is_in_that_form() -> None:
    """So that a program's change shows as that change alone."""
    data = default_models()
    assert data == read_catalogue(data, "default").to_bytes()


@given(MODELS, st.dictionaries(TEXT, st.dictionaries(TEXT, VALUES, max_size=3), max_size=2))
def test_whatever_is_written_is_read_again(models: list[Any], tiers: dict[str, Any]) -> None:
    """Texts that look like numbers, words, comments or brackets included."""
    values = {"models": models, "tiers": tiers}
    written = CatalogueFile("# kept", values).to_bytes()
    assert values == parse(written)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: [{id: a}] # why\ntiers: {}\n", "f, line 1: a comment among the values would be lost"),
        ("# top\nmodels: []\n# why\ntiers: {}\n", "f, line 3: a comment among the values would be lost"),
        ("models: []\n", "f: must hold the sections models and tiers and nothing else"),
        (
            "models: []\ntiers: {}\nserver: {}\n",
            "f: must hold the sections models and tiers and nothing else",
        ),
        ("models: [1]\ntiers: {}\n", "f: models must be a list of mappings"),
        ("models: []\ntiers: {a: 1}\n", "f: tiers must be a mapping of mappings"),
        ("models: [", "f: line "),
    ],
)
def test_refused(text: str, expected: str) -> None:
    """What would be lost or cannot be understood."""
    with pytest.raises(Unwritable) as refused:
        read_catalogue(text.encode(), "f")
    assert str(refused.value).startswith(expected)
