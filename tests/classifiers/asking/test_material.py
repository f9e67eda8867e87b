"""Ask and pasted matter in one message."""

import pytest

from classifiers.asking.material import HEAD_CHARS, TAIL_CHARS, bounded, parted

PROSE = (
    "The river rises in low hills and flows eastward through several counties before it reaches the sea. "
    * 20
)
CODE = "\n".join(f"def step_{n}(values):\n    return sum(values) * {n}\n" for n in range(12))
LOG = "\n".join(f"2026-11-0{n} 10:00:0{n} ERROR worker {n} lost its lease and stopped" for n in range(1, 9))
ASK = "Compare optimistic and pessimistic locking"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"{ASK}\n\n{PROSE}", "prose"),
        (f"{PROSE}\n\n{ASK}", "prose"),
        (f"{ASK} {PROSE}", "prose"),
        (f"{ASK}\nresult = run(1)\nprint(result)\nclose(result)" + " " * 300, "code"),
        (f"first = open(path)\nrows = first.read()\nprint(rows)\n{ASK}" + " " * 300, "code"),
        (f"{ASK}\n{PROSE}", "prose"),
        (f"{ASK}\n\n```python\n{CODE}```", "code"),
        (f"{ASK}\n\n{CODE}", "code"),
        (f"{CODE}\n\n{ASK}", "code"),
        (f"{ASK}\n\n{LOG}", "log"),
        (f"{ASK}\n\n" + "\n".join(f"> quoted line number {n} of a letter" for n in range(20)), "quote"),
    ],
)
def test_the_ask_comes_out_alone(text: str, kind: str) -> None:
    """Prose, code, logs and quotations beside an ask are material, before it or after it."""
    parts = parted(text)
    assert parts.ask == ASK
    assert parts.materials == (kind,)


def test_an_ask_that_points_at_its_material_brings_the_beginning_along() -> None:
    """What "this" means can be looked at; what nobody points at is not."""
    pointing = parted(f"Explain what this code does, please.\n\n```\n{CODE}```")
    assert pointing.refers
    assert pointing.material.strip().startswith("def step_0")
    assert parted(f"{ASK}\n\n```\n{CODE}```").material == ""


@pytest.mark.parametrize(
    "text",
    [
        "I have a shop with two tills. " * 30
        + "\n\nHow should I schedule my staff so that you would call it fair?",
        "Write a game.\n\n"
        + "\n".join(f"- Feature {n} should work with the keyboard and the mouse" for n in range(20)),
        "A train leaves at 9:40 and covers 312 km in 2 h 45 min; another leaves at 10:15 from the other end. "
        * 6
        + "\n\nWhen do they meet?",
        CODE,
    ],
)
def test_one_long_request_is_its_own_ask(text: str) -> None:
    """Requirements, problems with figures, speech to the reader and bare code are not beside something else."""
    assert parted(text).ask == bounded(text)


def test_the_ask_is_bounded() -> None:
    """A request of any length is looked at by its two ends."""
    text = "Please implement this. " * 1_000
    assert len(parted(text).ask) <= HEAD_CHARS + TAIL_CHARS + 2


def test_a_headline_or_figures_are_no_ask() -> None:
    """The title of a pasted story is not what is wanted, and neither is a row of numbers: the whole is looked at."""
    story = f"The Sound Beneath The Hills\n\n{PROSE}"
    assert parted(story).ask == bounded(story)
    numbers = f"12 13 14\n\n{PROSE}"
    assert parted(numbers).ask == bounded(numbers)


def test_a_list_beside_an_ask_belongs_to_it() -> None:
    """Points of a list are requirements, however long their lines are."""
    text = f"{ASK}\n\n" + "\n".join(f"- {PROSE[:200]}" for _ in range(5))
    assert parted(text).ask == bounded(text)


def test_a_line_that_only_looks_like_code_is_not_material() -> None:
    """One assignment or call alone may be the request itself."""
    text = (
        "Simplify the following for me and say why it holds.\n\nx = (a + b) * (a - b)\n\n"
        + "Use plain words. " * 20
    )
    assert "x = (a + b)" in parted(text).ask


def test_a_line_without_a_sentence_is_left_whole() -> None:
    """Where no first sentence can be told, nothing is cut."""
    text = "word " * 400
    assert parted(text).ask == bounded(text)
