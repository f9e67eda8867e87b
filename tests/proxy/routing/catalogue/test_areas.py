"""What classifiers say a request is about is what the catalogue has figures of, or is known to have none."""

import pytest

from classifiers.rules_table import RULES
from classifiers.scorer import load
from proxy.routing.catalogue.areas import AREA_OF, UNMEASURED
from proxy.routing.catalogue.quality import AREAS
from proxy.routing.catalogue.types import Model


def spoken() -> set[str]:
    """Every domain that rules and scorer can name."""
    domains = {domain for head, domain in load()._weights.outputs if head == "domain"}
    return domains | {rule.domain for rule in RULES}


def test_every_domain_is_measured_or_known_not_to_be() -> None:
    """One of three, and no more: a new word of the classifiers must be put somewhere."""
    measured, renamed = set(AREAS), set(AREA_OF)
    assert spoken() <= measured | renamed | UNMEASURED
    assert not measured & renamed
    assert not (measured | renamed) & UNMEASURED
    assert set(AREA_OF.values()) <= measured


def test_no_word_is_left_over() -> None:
    """What nobody says any more leaves the table."""
    assert set(AREA_OF) | UNMEASURED <= spoken()


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        ({"software_design": 90.0, "code": 80.0, "other": 70.0}, 90.0),
        ({"code": 80.0, "generation": 75.0, "other": 70.0}, 80.0),
        ({"generation": 75.0, "other": 70.0}, 75.0),
        ({"other": 70.0}, 70.0),
        ({}, None),
    ],
)
def test_the_finer_figure_wins(quality: dict[str, float], expected: float | None) -> None:
    """The word itself, then what measures it, then the kind of task."""
    model = Model("m", (), quality=quality)
    assert expected == model.quality_for("software_design", "generation", "other")


def test_what_is_not_measured_is_the_kind_of_task() -> None:
    """Law is nobody's area."""
    model = Model("m", (), quality={"code": 80.0, "other": 70.0})
    assert 70.0 == model.quality_for("law", "other")
    assert 60.0 == Model("m", (), quality={"law": 60.0, "other": 70.0}).quality_for("law", "other")
