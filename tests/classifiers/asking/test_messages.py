"""From a conversation to the ask and its facts."""

from typing import Any

import pytest

from classifiers.asking.messages import asked, looked_at
from classifiers.types import Ask


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_the_last_user_message_is_asked() -> None:
    """System prompt, tools and history are facts, in characters and numbers; they are not in the text."""
    ask = looked_at(
        [
            {"role": "system", "content": "s" * 600},
            user("an old question"),
            {"role": "assistant", "content": "an old answer"},
            user("What is a mutex?"),
        ],
        tools=32,
    )
    assert ask.text == "What is a mutex?"
    assert (ask.facts.system_chars, ask.facts.history_chars, ask.facts.turns, ask.facts.tools) == (
        600,
        28,
        2,
        32,
    )


@pytest.mark.parametrize(
    "after",
    [
        [{"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "a listing"}],
        [user([{"type": "tool_result", "content": "a listing"}])],
        [
            user(
                [
                    {"type": "tool_result", "content": "x"},
                    {"type": "text", "text": "<system-reminder>go on</system-reminder>"},
                ]
            )
        ],
    ],
)
def test_results_of_tools_are_not_asked(after: list[dict[str, Any]]) -> None:
    """While an agent works, the ask is the one that set it to work; the steps since then are counted."""
    ask = looked_at([user("What is a mutex?"), *after])
    assert ask.text == "What is a mutex?"
    assert ask.facts.tool_steps == 1


def test_parts_that_are_not_text_are_attachments() -> None:
    """Texts of one message belong together; images and files are named among the facts."""
    ask = looked_at(
        [
            user(
                [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:"}},
                ]
            )
        ]
    )
    assert ask.text == "What is this?"
    assert ask.facts.attachments == ("image_url",)


@pytest.mark.parametrize(
    "messages", [[], [{"role": "system", "content": "hi"}], [user(None)], [user([1, "x", {"type": 3}])], [{}]]
)
def test_no_ask_is_an_empty_text(messages: list[dict[str, Any]]) -> None:
    """Unknown shapes are not looked at and never fail."""
    assert looked_at(messages).text == ""


def test_a_bare_prompt() -> None:
    """A prompt is a conversation of one message."""
    assert isinstance(asked("What is a mutex?"), Ask)
    assert asked("What is a mutex?").text == "What is a mutex?"


def test_half_a_surrogate_pair_is_looked_at_as_a_question_mark() -> None:
    """A broken text, as a terminal may hand over, never fails."""
    assert asked("What is \ud800 a mutex").text == "What is ? a mutex"
