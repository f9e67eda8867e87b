"""Circles are found in calls and results of tools, and nowhere else."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.looping import looping

ASK: dict[str, Any] = {"role": "user", "content": "Fix the failing test."}


def call(name: str, arguments: Any) -> dict[str, Any]:
    written = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": written}}],
    }


def result(text: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c", "content": text}


def steps(*pairs: tuple[dict[str, Any], dict[str, Any]]) -> list[dict[str, Any]]:
    return [ASK, *(message for pair in pairs for message in pair)]


def test_the_same_call_three_times_repeats() -> None:
    """Spacing and order of the arguments do not hide it; other calls may lie between."""
    same = ['{"path": "a", "line": 1}', '{"line":1,"path":"a"}', '{"path":"a","line":1}']
    found = steps(
        (call("read", same[0]), result("ok")),
        (call("list", {}), result("ok")),
        (call("read", same[1]), result("ok")),
        (call("read", same[2]), result("ok")),
    )
    assert "repeating" == looping(found)
    assert looping(found[:-2]) is None


def test_equal_calls_of_other_arguments_do_not() -> None:
    """Reading ten files is work."""
    assert looping(steps(*((call("read", {"path": str(n)}), result("ok")) for n in range(10)))) is None


def test_what_the_user_has_answered_is_over() -> None:
    """Circles before the last ask count no more."""
    circle = steps(*((call("read", {"a": 1}), result("Error: no")) for _ in range(4)))
    assert "repeating" == looping(circle)
    assert looping([*circle, {"role": "assistant", "content": "Stuck."}, ASK]) is None
    parts = {"role": "user", "content": [{"type": "text", "text": "Try again"}]}
    assert looping([*circle, parts]) is None


@pytest.mark.parametrize(
    "text",
    [
        "Error: ENOENT, no such file",
        "  error: cannot find module",
        "Traceback (most recent call last):\n  File ...",
        "ValueError: invalid literal",
        '{"error": {"message": "no"}}',
        '{"error":"not found"}',
        '{"isError": true, "content": []}',
        '{"success": false}',
        "<tool_use_error>String not found</tool_use_error>",
        "npm ERR! ...\nexit code: 1",
        [{"type": "text", "text": "fatal: not a git repository"}],
    ],
)
def test_failures_one_after_the_other(text: Any) -> None:
    """Three in a row are a circle, whatever was called; one success ends it."""
    failing = steps(*((call("run", {"n": n}), result(text)) for n in range(3)))
    assert "failing" == looping(failing)
    assert looping([*failing, call("run", {"n": 4}), result("done")]) is None
    assert looping(failing[:-2]) is None


@pytest.mark.parametrize(
    "text",
    [
        "3 passed, 0 failed",
        '{"error": null, "data": 1}',
        '{"error": ""}',
        "exit code: 0",
        "The word error stands in this text.",
        "",
        None,
        [],
        "def errors(): ...",
    ],
)
def test_what_is_no_failure(text: Any) -> None:
    """Texts that speak of errors have not failed."""
    assert looping(steps(*((call("run", {"n": n}), result(text)) for n in range(3)))) is None


def test_anthropics_shape() -> None:
    """`tool_use` and `tool_result` parts, errors marked as such."""

    def use(number: int) -> dict[str, Any]:
        return {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {"n": number}}],
        }

    def answer(*, failed: bool) -> dict[str, Any]:
        part = {"type": "tool_result", "tool_use_id": "t", "content": "whatever", "is_error": failed}
        return {"role": "user", "content": [part]}

    assert "failing" == looping(steps(*((use(n), answer(failed=True)) for n in range(3))))
    assert "repeating" == looping(steps(*((use(1), answer(failed=False)) for _ in range(3))))
    assert looping(steps(*((use(n), answer(failed=False)) for n in range(3)))) is None


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["tool", "user", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "tool_calls", "function", "arguments", "type", "text", "input"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["role", "content", "tool_calls"]), _ANY, max_size=3)
        | st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "tool"])},
            optional={"content": _ANY, "tool_calls": _ANY},
        ),
        max_size=8,
    )
)
def test_nothing_raises(messages: list[dict[str, Any]]) -> None:
    """Clients send all kinds of things."""
    assert looping(messages) in (None, "repeating", "failing")
