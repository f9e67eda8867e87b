"""Is an answer right? Values in, the name of what is wrong out; None when nothing is."""

import re
from typing import Any

import orjson

from tests.bench import wire

# The words of one chunk; a gateway may join chunks, but may not lose, repeat or reorder words.
_WORDS = re.compile(rb'"content":\s*"((?: w\d{3})+)"')
_ERROR = re.compile(rb'"error":\s*\{')
_FIRST_WORD = b'"content":" w'
# Frames that are looked at as JSON: the finish frame, usage, `[DONE]`, and whatever a gateway adds between.
_TAIL_FRAMES = 6


def has_word(data: bytes) -> bool:
    return _FIRST_WORD in data


def plain(status: int, body: bytes) -> str | None:
    """What is wrong with a plain answer: status, JSON, text, finish reason or usage."""
    if status != 200:
        return f"status_{status}"
    try:
        answer = orjson.loads(body)
        choice = answer["choices"][0]
        used = answer["usage"]["completion_tokens"]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return "not_an_answer"
    if choice["message"]["content"] != wire.ANSWER:
        return "wrong_text"
    if choice["finish_reason"] != "stop":
        return "no_finish_reason"
    return None if used == wire.PLAIN_TOKENS else "wrong_usage"


def stream(status: int, body: bytes, chunks: int) -> str | None:
    """What is wrong with a stream that ended properly: all words in order, finish, usage, `[DONE]`."""
    if status != 200:
        return f"status_{status}"
    if _ERROR.search(body):
        return "error_frame"
    if b"".join(_WORDS.findall(body)) != wire.text(chunks):
        return "wrong_words"
    *frames, rest = body.replace(b"\r\n", b"\n").split(b"\n\n")
    if rest or not frames or frames[-1] != b"data: [DONE]":
        return "no_done"
    return _tail([frame for frame in frames[-1 - _TAIL_FRAMES : -1] if frame.startswith(b"data: ")], chunks)


def _tail(frames: list[bytes], chunks: int) -> str | None:
    try:
        parsed: list[dict[str, Any]] = [orjson.loads(frame.removeprefix(b"data: ")) for frame in frames]
    except orjson.JSONDecodeError:
        return "not_json"
    finished = [
        choice["finish_reason"] for chunk in parsed for choice in chunk["choices"] if choice["finish_reason"]
    ]
    if finished != ["stop"]:
        return "no_finish_reason" if not finished else "finished_twice"
    used = [chunk["usage"]["completion_tokens"] for chunk in parsed if chunk.get("usage")]
    if not used:
        return "no_usage"
    return None if used == [chunks] else "wrong_usage"
