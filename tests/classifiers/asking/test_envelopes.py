"""What agents and editors wrap around their user's words."""

import pytest

from classifiers.asking.envelopes import HEAD_CHARS, TAIL_CHARS, stripped

FILLER = "The harness says many things about itself. " * 400


@pytest.mark.parametrize(
    "text",
    [
        f"<system-reminder>\n{FILLER}</system-reminder>\nWhat is a mutex?",
        f"What is a mutex?\n\n<system-reminder>{FILLER}</system-reminder>",
        f'<file path="a.py">{FILLER}</file><git_status>{FILLER}</git_status>What is a mutex?',
        f"<environment_details>{FILLER}</environment_details>\n<task>\nWhat is a mutex?\n</task>",
        f"<context>{FILLER}</context>\n<user_query>What is a mutex?</user_query>\n<rules>{FILLER}</rules>",
    ],
)
def test_only_the_users_words_are_left(text: str) -> None:
    """However long envelopes are and wherever they stand, the ask comes out alone."""
    assert stripped(text) == "What is a mutex?"


def test_what_is_left_open_is_the_users() -> None:
    """A tag that nobody closes is kept: it cannot be told apart from the user's own text."""
    text = "Why does <context> not close here?"
    assert stripped(text) == text


def test_other_tags_are_the_users() -> None:
    """HTML and unknown tags are not envelopes."""
    text = "Centre <div>this</div> with <b>CSS</b>."
    assert stripped(text) == text


def test_a_long_text_is_cut_to_its_two_ends() -> None:
    """What is looked at is bounded, whatever the size of a message; both ends are kept."""
    text = "Summarise. " + "x" * 1_000_000 + " What is the gist?"
    found = stripped(text)
    assert len(found) <= HEAD_CHARS + TAIL_CHARS + 2
    assert found.startswith("Summarise.")
    assert found.endswith("What is the gist?")


def test_a_long_envelope_behind_a_long_text_is_cut() -> None:
    """The last words of the user are found although what an agent adds behind them is longer than what is looked at."""
    text = (
        "Here is my diary. " * 500
        + "What is the gist?"
        + f"<system-reminder>{FILLER}</system-reminder>\n" * 2
    )
    assert stripped(text).endswith("What is the gist?")


def test_a_tag_that_only_ends_is_the_users() -> None:
    """A closing tag without an opening one is kept, at the end of a long text as in a short one."""
    text = "y" * 9_000 + " closes here </system-reminder>"
    assert stripped(text).endswith("closes here </system-reminder>")
    assert stripped("a </b>") == "a </b>"


def test_an_open_tag_among_closed_ones() -> None:
    """What cannot be cut does not keep the next envelope from being cut."""
    assert stripped("Why <context> and <rules>be brief</rules>?") == "Why <context> and ?"


def test_envelopes_alone_can_make_a_message_long() -> None:
    """A short ask before a very long envelope is found whole."""
    assert stripped(f"What is a mutex?<file>{FILLER * 10}</file>") == "What is a mutex?"
