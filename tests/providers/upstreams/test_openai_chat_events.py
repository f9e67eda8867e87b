"""Streams of OpenAI's dialect as events, and chunks of any shape at all."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import Translation, open_reader
from providers.events import Broken
from providers.passthrough import Passthrough
from providers.repairs import CONTENT_LIST, EMPTY_NAME, MISSING_INDEX
from providers.types import UpstreamError
from providers.upstreams.openai_chat.dialect import OpenAIChat, read_usage
from tests.support.recordings import Recording, chat_streams, chunk_of, parameters
from tests.support.repaired import repaired_frames

DIALECT = OpenAIChat()
REPAIRING = OpenAIChat(repairs=(CONTENT_LIST, MISSING_INDEX, EMPTY_NAME))
CLIENT = Client()


# Anything at all

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["index", "delta", "message", "finish_reason", "native_finish_reason", "content", "reasoning", "reasoning_content",
     "refusal", "tool_calls", "function", "arguments", "name", "id", "audio", "usage", "prompt_tokens", "cost",
     "prompt_tokens_details", "cached_tokens", "choices", "error", "code", "type", "x_groq", "cost_details",
     "total_tokens", "thinking", "text", "is_byok"]
)  # fmt: skip
shaped = st.recursive(
    junk, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
chunks = st.dictionaries(names, shaped, max_size=4) | st.fixed_dictionaries(
    {"choices": st.lists(st.dictionaries(names, shaped, max_size=4), max_size=2)},
    optional={"usage": shaped, "error": shaped},
)


@given(chunks)
def test_any_chunk_can_be_read(chunk: dict[str, Any]) -> None:
    """A chunk of any shape is read or refused; no other exception escapes, on either way through."""
    raw = b"data: " + orjson.dumps(chunk) + b"\n\n"
    for dialect, many in ((DIALECT, False), (DIALECT, True), (REPAIRING, False), (REPAIRING, True)):
        found = dialect.reader(many_choices=many).feed(raw)
        assert 1 == len(found)
        if found[0].usage is not None:
            CLIENT.usage_json(found[0].usage, cost_usd=None, upstream_cost_usd=None)
        dialect.decoder().feed(raw)


@given(chunks | junk)
def test_any_answer_can_be_read(answer: Any) -> None:
    """A plain answer of any shape is read or refused; no other exception escapes."""
    for dialect in (DIALECT, REPAIRING):
        with contextlib.suppress(UpstreamError):
            made = dialect.decode(orjson.dumps(answer))
            CLIENT.closer().plain(made, b"{}", b"{}")


# Events


def merged(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client makes of a stream: everything said, joined by choice."""
    said: dict[str, Any] = {"usage": None, "choices": {}}
    for chunk in chunks:
        if (usage := read_usage(chunk)) is not None:
            said["usage"] = usage
        for choice in chunk.get("choices") or ():
            mine = said["choices"].setdefault(
                choice.get("index", 0),
                {"text": "", "reasoning": "", "refusal": "", "parts": [], "calls": {}, "finish": set()},
            )
            delta = choice.get("delta") or {}
            content = delta.get("content")
            if isinstance(content, list):
                mine["parts"] += content
            else:
                mine["text"] += content or ""
            mine["reasoning"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
            mine["refusal"] += delta.get("refusal") or ""
            for position, call in enumerate(delta.get("tool_calls") or ()):
                known = mine["calls"].setdefault(
                    call.get("index", position), {"id": "", "name": "", "arguments": ""}
                )
                known["id"] = known["id"] or call.get("id") or ""
                known["name"] += call["function"].get("name") or ""
                known["arguments"] += call["function"].get("arguments") or ""
            if choice.get("finish_reason"):
                mine["finish"].add(choice["finish_reason"])
    return said


@pytest.mark.parametrize("recording", parameters(chat_streams()))
def test_decoded_and_rendered_again(recording: Recording) -> None:
    """Decoded to events and rendered for an OpenAI client, a stream says the same as its own frames do."""
    read: list[dict[str, Any]] = []
    broken = False
    for _, raw in repaired_frames(recording):
        chunk = chunk_of(raw)
        if chunk is not None and chunk.get("error"):
            broken = True
            break
        if chunk is not None:
            read.append(chunk)
    renderer = CLIENT.renderer(answer_id="req-1", model="m", created_s=1)
    translation = Translation(recording.dialect.decoder(), renderer)
    made = [*translation.feed(recording.body), *translation.close()]
    if broken:
        assert any(each.error is not None for each in made)
        return
    assert [] == [each.error for each in made if each.error is not None]
    rendered = [chunk for each in made if (chunk := chunk_of(each.raw)) is not None]
    again, direct = merged(rendered), merged(read)
    assert direct["choices"] == again["choices"]
    usages = [each.usage for each in made if each.usage is not None]
    assert direct["usage"] == (usages[-1] if usages else None)


@pytest.mark.parametrize("recording", parameters(chat_streams()))
def test_decoder_does_not_depend_on_cuts(recording: Recording) -> None:
    """Events are the same whole and in pieces of seven bytes."""

    def events(size: int) -> list[Any]:
        decoder = recording.dialect.decoder()
        found: list[Any] = []
        for start in range(0, len(recording.body), size):
            found += decoder.feed(recording.body[start : start + size])
            if found and isinstance(found[-1], Broken):
                return [*found[:-1], (found[-1].error.kind, found[-1].error.message)]
        return [*found, *decoder.close()]

    assert events(len(recording.body)) == events(7)


SAID = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
MODERATED = b'data: {"choices":[{"index":0,"delta":{},"content_filter_results":{}}]}\n\n'
LATE_USAGE = b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}\n\n'
OTHER = b'data: {"choices":[{"index":1,"delta":{"content":"y"}}]}\n\n'


@pytest.mark.parametrize(
    ("stream", "whole"),
    [
        (SAID + STOP, True),
        (STOP, True),
        (SAID + STOP + MODERATED, True),
        (SAID + STOP + LATE_USAGE, True),
        (SAID + STOP.rstrip(), True),
        (SAID, False),
        (b"", False),
        (b": comment\n\n", False),
        (SAID + STOP[:-9], False),
        (SAID + STOP + OTHER, False),
        (SAID + b"data: [DONE]\n\n", False),
    ],
)
def test_decoder_knows_a_cut_stream(stream: bytes, whole: bool) -> None:  # noqa: FBT001 - a column
    """A stream is whole when each choice seen has finished; a choice that finished stays finished."""
    decoder = DIALECT.decoder()
    decoder.feed(stream)
    broken = [event.error.kind for event in decoder.close() if isinstance(event, Broken)]
    assert ([] if whole else ["protocol"]) == broken


def test_readers() -> None:
    """The same dialect on both sides passes through; another one is translated."""

    class Foreign(Client):
        speaks = "other"  # type: ignore[misc]  # a dialect of the test's own

    def reader(client: Client) -> object:
        return open_reader(DIALECT, client, many_choices=False, answer_id="r", model="m", created_s=1)

    assert isinstance(reader(CLIENT), Passthrough)
    assert isinstance(reader(Foreign()), Translation)
