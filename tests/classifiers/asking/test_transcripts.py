"""Conversations pasted into one message."""

import pytest

from classifiers.asking.transcripts import last_turn

PAST = (
    "User: tell me about tides\nAssistant: Tides are long waves.\nUser: and moons?\nAssistant: They pull.\n"
)


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        (f"{PAST}User: What is a mutex?", "What is a mutex?"),
        (f"{PAST}\nWhat is a mutex?", "What is a mutex?"),
        (f"What is a mutex?\n\n{PAST}", "What is a mutex?"),
        (f"What is a mutex?\n\nConversation so far:\n{PAST}", "What is a mutex?"),
        (f"{PAST}User: What is a mutex?\nAssistant:", "What is a mutex?"),
        ("**Human:** hi\n**AI:** hello\n**Human:** What is a mutex?", "What is a mutex?"),
        (f"{PAST}What is a mutex?", "What is a mutex?"),
        ("### User\nhi\n### Assistant\nhello\n### User\nWhat is a mutex?", "What is a mutex?"),
        ("[user]\nhi\n[assistant]\nhello\n[user]\nWhat is a mutex?", "What is a mutex?"),
        (
            (
                "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n"
                "<|im_start|>user\nWhat is a mutex?<|im_end|>"
            ),
            "What is a mutex?",
        ),
        ("用户：你好\n助手：你好\n用户：什么是互斥锁？", "什么是互斥锁？"),
    ],
)
def test_the_ask_is_the_users_last_turn(text: str, ask: str) -> None:
    """Labels in any of the known languages; the ask may stand before, inside or after."""
    assert last_turn(text) == ask


@pytest.mark.parametrize(
    "text", ["Q: What is a mutex?\nA:", "Note: this\nUser: that", "plain words: one, two: three: four"]
)
def test_a_question_in_form_is_no_transcript(text: str) -> None:
    """Two labels are not a conversation."""
    assert last_turn(text) == text
