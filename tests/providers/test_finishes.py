"""Why answers ended, in the words of each client's dialect."""

from typing import Any

import pytest

from providers.finishes import NOT_SAID, Finish, finish_of


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (None, NOT_SAID),
        ({}, NOT_SAID),
        ({"data": [{"embedding": []}]}, NOT_SAID),
        ({"choices": []}, NOT_SAID),
        ({"choices": [{"finish_reason": None}]}, NOT_SAID),
        ({"choices": [{"finish_reason": "stop"}]}, Finish("stop")),
        ({"choices": [{"index": 1}, {"finish_reason": "length"}]}, Finish("length")),
        (
            {"choices": [{"finish_reason": "stop", "native_finish_reason": "end_turn"}]},
            Finish("stop", "end_turn"),
        ),
        ({"type": "message", "stop_reason": "end_turn"}, Finish("end_turn")),
        ({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, Finish("max_tokens")),
    ],
)
def test_finishes(members: dict[str, Any] | None, expected: Finish) -> None:
    """The first choice that has one; nothing is made up where none is said."""
    assert expected == finish_of(members)
