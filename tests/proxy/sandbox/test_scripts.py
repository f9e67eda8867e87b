"""What the sandbox says: friendly, bounded, shaped as asked, and the same each time."""

from typing import Any

import orjson
import pytest

from proxy.sandbox import scripts, text
from proxy.sandbox.fields import RequestError
from proxy.sandbox.scripts import Choice, Kind
from tests.proxy.sandbox.asking import ask, tool, user
from tests.proxy.sandbox.schema_checker import problems

WEATHER = tool("get_weather", "Looks up rain and temperature", city={"type": "string"})
NEWS = tool(
    "read_news", "Headlines of the day", topic={"type": "string"}, count={"type": "integer", "minimum": 1}
)


def answer(question: Any = "What is a lock-keeper?", **members: Any) -> Choice:
    return scripts.write(ask(question, **members)).choices[0]


def called(question: str, **members: Any) -> list[str]:
    choice = answer(question, **{"tools": [WEATHER, NEWS], **members})
    return [piece.text for piece in choice.pieces if piece.kind is Kind.CALL]


def test_it_says_what_it_is_and_what_it_was_asked() -> None:
    """40 to 80 words, the question among them, and some of it not ASCII."""
    for model in ("sandbox-small", "sandbox-large"):
        said = answer("Why is the sky blue?", model=model).joined(Kind.TEXT)
        assert "sandbox" in said
        assert "“Why is the sky blue?”" in said
        assert not said.isascii()
        assert 40 <= len(said.split()) <= 80


def test_a_long_question_is_echoed_shortened() -> None:
    """A page of text does not come back whole."""
    said = answer("word " * 5000).joined(Kind.TEXT)
    assert len(said) < 500
    assert "…" in said


def test_media_are_accepted_and_mentioned() -> None:
    """Two images, an audio clip and a file are counted in words."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    file = {"type": "file", "file": {"file_id": "file-1"}}
    said = answer([{"type": "text", "text": "And?"}, image, image, audio, file]).joined(Kind.TEXT)
    assert "2 images, 1 audio clip and 1 file" in said


def test_the_output_limit_counts_every_piece() -> None:
    """Exactly so many tokens, finish reason `length`; a limit that is not reached changes nothing."""
    cut = answer(max_completion_tokens=7)
    assert (len(cut.pieces), cut.finish) == (7, "length")
    whole = answer()
    assert whole == answer(max_tokens=len(whole.pieces))
    assert whole.joined(Kind.TEXT).startswith(cut.joined(Kind.TEXT))


def test_stop_sequences_end_the_answer_before_them() -> None:
    """The earliest of several wins, and none of it is said, even inside a word."""
    whole = answer().joined(Kind.TEXT)
    cut = answer(stop=["provider", "tand-in"])
    assert (cut.joined(Kind.TEXT), cut.finish) == (whole[: whole.index("tand-in")], "stop")


def test_choices_differ_from_each_other() -> None:
    """Four choices, four greetings, all about the same question."""
    script = scripts.write(ask(n=4))
    assert len({choice.joined(Kind.TEXT) for choice in script.choices}) == 4
    assert script.completion_tokens == sum(len(choice.pieces) for choice in script.choices)


def test_the_reasoning_model_thinks_before_it_speaks() -> None:
    """All thoughts come first, more of them for more effort, none for none; the limit covers them."""
    sizes = []
    for effort in ("none", "minimal", "low", "medium", "high", "xhigh"):
        choice = answer(model="sandbox-reasoning", reasoning_effort=effort)
        kinds = [piece.kind for piece in choice.pieces]
        assert kinds == sorted(kinds, key=lambda kind: kind is Kind.TEXT)
        sizes.append(kinds.count(Kind.REASONING))
    assert sizes == sorted(set(sizes))
    assert sizes[0] == 0
    cut = answer(model="sandbox-reasoning", max_completion_tokens=5)
    assert (cut.joined(Kind.TEXT), cut.finish, len(cut.joined(Kind.REASONING)) > 0) == ("", "length", True)


@pytest.mark.parametrize("wanted", [1, 5, 200, 3000])
def test_the_number_of_pieces_can_be_set(wanted: int) -> None:
    """Shorter or longer than the text: exactly so many, and the end is an ordinary one."""
    choice = answer(sandbox={"pieces": wanted})
    assert (len(choice.pieces), choice.finish) == (wanted, "stop")


def test_a_json_object_is_one() -> None:
    """`json_object` gives an object that holds the question."""
    said = orjson.loads(answer("Is it?", response_format={"type": "json_object"}).joined(Kind.TEXT))
    assert said["asked"] == "Is it?"


def test_a_schema_is_kept() -> None:
    """`json_schema` gives an answer that validates."""
    schema = {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
            "sum": {"type": "number"},
        },
        "required": ["steps", "sum"],
        "additionalProperties": False,
        "$defs": {"step": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    }
    wished = {"type": "json_schema", "json_schema": {"name": "sums", "strict": True, "schema": schema}}
    said = orjson.loads(answer(response_format=wished).joined(Kind.TEXT))
    assert not problems(schema, said)


@pytest.mark.parametrize("schema", [{"not": {}}, {"type": "integer", "minimum": 2, "maximum": 1}])
def test_a_schema_that_cannot_be_kept_is_refused(schema: dict[str, Any]) -> None:
    """A 400 that names the format, never an answer that might be invalid."""
    wished = {"type": "json_schema", "json_schema": {"name": "odd", "schema": schema}}
    with pytest.raises(RequestError, match="response_format 'odd'") as caught:
        answer(response_format=wished)
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    ("question", "members", "expected"),
    [
        ("What is the weather in Paris?", {}, ["get_weather"]),
        ("Will there be RAIN tomorrow?", {}, ["get_weather"]),
        ("Please call get_weather.", {}, ["get_weather"]),
        ("News, and the weather too", {}, ["get_weather", "read_news"]),
        ("News, and the weather too", {"parallel_tool_calls": False}, ["get_weather"]),
        ("Who was Ada Lovelace?", {}, []),
        ("Who was Ada Lovelace?", {"tool_choice": "required"}, ["get_weather"]),
        ("The news, please", {"tool_choice": "none"}, []),
        ("Hello", {"tool_choice": {"type": "function", "function": {"name": "read_news"}}}, ["read_news"]),
    ],
)
def test_tools_are_called_when_the_text_asks_for_them(
    question: str, members: dict[str, Any], expected: list[str]
) -> None:
    """By a word of the name, else of the description; forced by `required` or by name; several if allowed."""
    assert called(question, **members) == expected


def test_arguments_fit_the_tool_and_the_question() -> None:
    """Valid for the parameters, with the name from the question in them."""
    choice = answer("What is the weather in Paris?", tools=[WEATHER])
    assert (orjson.loads(choice.joined(Kind.ARGUMENTS)), choice.finish) == ({"city": "Paris"}, "tool_calls")


def test_a_tool_nobody_can_call_is_refused_by_name() -> None:
    """Parameters that contradict themselves are the client's mistake."""
    odd = tool("odd", "", x={"type": "integer", "minimum": 2, "maximum": 1})
    with pytest.raises(RequestError, match="function 'odd'"):
        answer("odd", tools=[odd])


def test_a_tool_result_is_answered_in_text() -> None:
    """After the results the answer is words, with every result in them, although tools are still offered."""
    calls = [
        {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in ("get_weather", "read_news")
    ]
    messages = [
        user("Weather and news"),
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_get_weather", "content": "18 °C"},
        {"role": "tool", "tool_call_id": "call_read_news", "content": "All quiet"},
    ]
    choice = answer(messages=messages, tools=[WEATHER, NEWS])
    assert choice.finish == "stop"
    assert "get_weather answered “18 °C”; read_news answered “All quiet”" in choice.joined(Kind.TEXT)


def test_the_same_request_gives_the_same_script() -> None:
    """Twice asked, twice the same."""
    assert scripts.write(ask(n=2, seed=4)) == scripts.write(ask(n=2, seed=4))


@pytest.mark.parametrize(
    "said", ["", " ", "a  b\n\n\tc", "naïve — “quoted” 🚀👩‍🚀 ok", '{"a":[1,2.5e-3]}', "x" * 50]
)
def test_pieces_joined_are_the_text(said: str) -> None:
    """Splitting loses nothing, blanks and signs beyond ASCII included."""
    assert "".join(text.split(said)) == said


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the weather in New York today?", "New York"),
        ('Say "good morning" to Ada', "good morning"),
        ("tell me something", "tell me something"),
        ("", "sandbox"),
    ],
)
def test_the_subject_of_a_question_is_found(question: str, expected: str) -> None:
    """Quoted words, else a name, else the beginning."""
    assert text.phrase(question) == expected
