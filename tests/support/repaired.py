"""What recorded streams look like after the documented repairs, worked out apart from the code that makes them.

Only frames that a repair matches change, and in these only the value of `choices`.
"""

from typing import Any

import orjson

from tests.support.recordings import Recording, chunk_of, frames_of

Chunk = dict[str, Any]


def repaired_frames(recording: Recording) -> list[tuple[str, bytes]]:
    """Each frame as it should leave, with the name of the repair that changes it; none: an empty name."""
    return repaired_body(recording.adapter, recording.body)


def repaired_body(adapter: str, body: bytes) -> list[tuple[str, bytes]]:
    """The same for a body.

    It must be compact JSON, as these providers send it.
    """
    found: list[tuple[str, bytes]] = []
    for raw in frames_of(body):
        name, after = "", chunk_of(raw)
        if adapter == "mistral" and after is not None:
            name = _content_list(after) or _missing_index(after)
        if adapter == "dashscope" and after is not None:
            name = _empty_name(after)
        if not name:
            found.append(("", raw))
            continue
        before = orjson.dumps((chunk_of(raw) or {})["choices"])
        assert 1 == raw.count(before)
        found.append((name, raw.replace(before, orjson.dumps((after or {})["choices"]))))
    return found


def _content_list(chunk: Chunk) -> str:
    name = ""
    for choice in chunk["choices"]:
        delta = choice.get("delta") or {}
        if isinstance(delta.get("content"), list):
            name = "content list"
            thought = "".join(
                inner["text"]
                for part in delta["content"]
                if part["type"] == "thinking"
                for inner in part["thinking"]
            )
            delta["content"] = "".join(part["text"] for part in delta["content"] if part["type"] == "text")
            if thought:
                delta |= {"reasoning_content": thought, "reasoning": thought}
    return name


def _missing_index(chunk: Chunk) -> str:
    # In the recordings all calls of an answer come in one frame.
    name = ""
    for choice in chunk["choices"]:
        for position, call in enumerate(choice["delta"].get("tool_calls") or ()):
            if "index" not in call:
                name = "missing index"
                call["index"] = position
    return name


def _empty_name(chunk: Chunk) -> str:
    name = ""
    for choice in chunk["choices"]:
        for call in choice["delta"].get("tool_calls") or ():
            if call.get("id") == "" or call["function"].get("name") == "":
                name = "empty id and name"
                if "id" in call:
                    del call["id"]
                if call["function"].get("name") == "":
                    del call["function"]["name"]
    return name
