"""`POST /admin/v1/classify`: what the command says, from the gateway that would be asked."""

from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from proxy.cli.main import main
from tests.proxy.admin.serving import Caller

PATH = "/admin/v1/classify"
HARD = "Prove that there are infinitely many primes."


@pytest.mark.parametrize("text", ["What does HTTP stand for?", HARD, "??", "Hello!"])
async def test_it_says_what_the_command_says(call: Caller, text: str) -> None:
    """The same fields with the same values."""
    answer = await call("POST", PATH, {"prompt": text})
    assert 200 == answer.status
    printed = CliRunner().invoke(main, ["classify", text, "--json"])
    assert orjson.loads(printed.stdout) == answer.json


async def test_a_conversation_with_tools(call: Caller) -> None:
    """The last real ask counts; the id is the caller's, and an alias is its mode."""
    messages = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": HARD},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "done", "tool_call_id": "c"},
    ]
    body = {"id": "mine", "messages": messages, "tools": [{}] * 32, "mode": "auto"}
    found = (await call("POST", PATH, body)).json
    assert ("mine", "complex", "premium") == (found["id"], found["complexity"], found["tier"])


async def test_another_mode(call: Caller) -> None:
    """The verdict is the same; the tier is the mode's."""
    found = (await call("POST", PATH, {"prompt": HARD, "mode": "frugal"})).json
    assert ("complex", "frugal") == (found["complexity"], found["tier"])


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, None, "`prompt` or `messages`"),
        ({"prompt": "a", "messages": []}, None, "`prompt` or `messages`"),
        ({"prompt": "a", "mode": "quick"}, "mode", "balanced, frugal, premium"),
        ({"prompt": "a", "micro": True}, "micro", "micro_model"),
        ({"prompt": 7}, "prompt", "prompt"),
        ({"messages": ["a"]}, "messages[0]", "messages[0]"),
        ({"text": "a"}, "text", "text"),
    ],
)
async def test_what_cannot_be_meant(
    call: Caller, body: dict[str, Any], param: str | None, words: str
) -> None:
    """Refused, and where it is wrong is said."""
    answer = await call("POST", PATH, body)
    assert (400, "invalid_request", param) == answer.error
    assert words in answer.message


async def test_only_for_administrators(call: Caller) -> None:
    """As everything here."""
    assert 401 == (await Caller(call.app, admin_key=None)("POST", PATH, {"prompt": "a"})).status
