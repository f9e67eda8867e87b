"""The bytes of the benchmark: what the fake upstream sends and the load generator expects, made once."""

from collections.abc import Mapping, Sequence

import orjson

DISTINCT_WORDS = 1000  # content chunk i carries the word of i modulo this
ANSWER = (
    "The quick brown fox jumps over the lazy dog, and the fake upstream says so in one line of plain text."
)
PROMPT_TOKENS = 19
PLAIN_TOKENS = 23
DONE = b"data: [DONE]\n\n"
END_OF_BODY = b"0\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)

_ENVELOPE = {
    "id": "chatcmpl-bench0000000000000000000001",
    "object": "chat.completion.chunk",
    "created": 1_790_000_000,
    "model": "fake-model-2026-01-01",
    "service_tier": "default",
    "system_fingerprint": "fp_bench000001",
}


def word(index: int) -> str:
    return f" w{index % DISTINCT_WORDS:03d}"


def text(chunks: int) -> bytes:
    """All words of a stream of so many content chunks."""
    return "".join(word(index) for index in range(chunks)).encode()


def usage(completion_tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def plain_body(answer: str = ANSWER) -> bytes:
    message: dict[str, object] = {"role": "assistant", "content": answer, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = {**_ENVELOPE, "object": "chat.completion", "choices": [choice], "usage": usage(PLAIN_TOKENS)}
    return orjson.dumps(whole)


def role_frame() -> bytes:
    return _frame([_choice({"role": "assistant", "content": "", "refusal": None})])


def word_frame(index: int) -> bytes:
    return _frame([_choice({"content": word(index)})])


def finish_frame() -> bytes:
    return _frame([_choice({}, finish="stop")])


def usage_frame(chunks: int) -> bytes:
    return _frame([], usage(chunks))


def foreign_opening() -> bytes:
    """How a stream of Anthropic's dialect begins."""
    message: dict[str, object] = {
        "id": "msg_bench0000000000000001",
        "type": "message",
        "role": "assistant",
        "model": "fake-model-2026-01-01",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": 1},
    }
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    return _event({"type": "message_start", "message": message}) + _event(block) + _event({"type": "ping"})


def foreign_word(index: int) -> bytes:
    delta = {"type": "text_delta", "text": word(index)}
    return _event({"type": "content_block_delta", "index": 0, "delta": delta})


def foreign_ending(chunks: int) -> bytes:
    """How it ends, usage included."""
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": chunks},
    }
    stop: dict[str, object] = {"type": "content_block_stop", "index": 0}
    return _event(stop) + _event(delta) + _event({"type": "message_stop"})


def http_chunk(data: bytes) -> bytes:
    """`data` as one chunk of a chunked HTTP body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def http_response(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(members: Mapping[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(members["type"]).encode(), orjson.dumps(members))


def _choice(delta: dict[str, object], finish: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _frame(choices: Sequence[dict[str, object]], used: dict[str, object] | None = None) -> bytes:
    chunk = {**_ENVELOPE, "choices": choices} | ({"usage": used} if used else {})
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
