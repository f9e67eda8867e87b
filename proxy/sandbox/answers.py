"""The bytes of an answer: one JSON object, or server-sent events in the order they leave."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import zip_longest
from math import log
from typing import Any

import orjson

from proxy.sandbox.fields import RequestError
from proxy.sandbox.models import MODELS, REASONING_MODEL
from proxy.sandbox.request import Request
from proxy.sandbox.scripts import Choice, Kind, Piece, Script
from proxy.sandbox.usage import Usage

DONE = b"data: [DONE]\n\n"
_FINGERPRINT = "fp_headgate_sandbox_1"
_MODELS_MADE = 1_767_225_600  # 2026-01-01T00:00:00Z
# One more than can be asked for, since the token itself may be among them.
# fmt: off
_ALTERNATIVES = (
    " the", " a", " and", " to", ",", ".", " of", " in", " it", " so", " but", " we", " on", " at",
    " is", " as", " for", " you", " not", " by",
)
# fmt: on


def plain(request: Request, script: Script, usage: Usage, created_s: int) -> bytes:
    """The whole answer as one object."""
    body = _envelope(request, "chat.completion", created_s)
    body["choices"] = [
        {
            "index": choice.index,
            "message": _message(request, choice),
            "logprobs": _logprobs(request, choice.pieces),
            "finish_reason": choice.finish,
        }
        for choice in script.choices
    ]
    body["usage"] = _usage(usage)
    return orjson.dumps(body)


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a stream, to be sent once, grouped as they leave.

    pieces: one of each choice at a time. finish: of every choice. rest: usage, where asked for, and `[DONE]`.
    """

    opening: bytes
    pieces: Iterator[bytes]
    finish: bytes
    rest: bytes

    def beats(self) -> Iterator[bytes]:
        """All of it: the opening, the pieces, the end."""
        yield self.opening
        yield from self.pieces
        yield self.finish + self.rest


def frames(request: Request, script: Script, usage: Usage, created_s: int) -> Frames:
    """The answer as a stream."""
    envelope = _envelope(request, "chat.completion.chunk", created_s)
    tail: Mapping[str, Any] = {"usage": None} if request.include_usage else {}

    def frame(
        choice: Choice,
        delta: Mapping[str, Any],
        logprobs: Mapping[str, Any] | None = None,
        finish: str | None = None,
    ) -> bytes:
        entry = {"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return _event({**envelope, "choices": [entry], **tail})

    used = _event({**envelope, "choices": [], "usage": _usage(usage)}) if request.include_usage else b""
    return Frames(
        opening=b"".join(frame(choice, _opening(request, choice)) for choice in script.choices),
        pieces=(
            b"".join(
                frame(choice, _delta(request, choice.index, piece), _logprobs(request, (piece,)))
                for choice, piece in zip(script.choices, pieces, strict=True)
                if piece is not None
            )
            for pieces in zip_longest(*(choice.pieces for choice in script.choices))
        ),
        finish=b"".join(frame(choice, {}, finish=choice.finish) for choice in script.choices),
        rest=used + DONE,
    )


def refusal(refused: RequestError) -> bytes:
    return orjson.dumps(
        {
            "error": {
                "message": refused.message,
                "type": "invalid_request_error",
                "param": refused.param,
                "code": refused.code,
            }
        }
    )


def model_entry(name: str) -> bytes:
    return orjson.dumps(_model(name))


def model_list() -> bytes:
    return orjson.dumps({"object": "list", "data": [_model(name) for name in MODELS]})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _MODELS_MADE, "owned_by": "headgate"}


def _envelope(request: Request, kind: str, created_s: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request.digest}",
        "object": kind,
        "created": created_s,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _message(request: Request, choice: Choice) -> dict[str, Any]:
    calls: list[dict[str, Any]] = []
    for piece in choice.pieces:
        if piece.kind is Kind.CALL:
            calls.append(_call_head(request, choice.index, piece))
        elif piece.kind is Kind.ARGUMENTS:
            calls[piece.call]["function"]["arguments"] += piece.text
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls else choice.joined(Kind.TEXT),
        "refusal": None,
        "annotations": [],
    }
    if request.model == REASONING_MODEL:
        message["reasoning_content"] = message["reasoning"] = choice.joined(Kind.REASONING)
    if calls:
        message["tool_calls"] = calls
    return message


def _call_head(request: Request, choice_index: int, piece: Piece) -> dict[str, Any]:
    seed = f"{request.digest}/{choice_index}/{piece.call}".encode()
    return {
        "id": f"call_{blake2b(seed, digest_size=12).hexdigest()}",
        "type": "function",
        "function": {"name": piece.text, "arguments": ""},
    }


def _opening(request: Request, choice: Choice) -> Mapping[str, Any]:
    if request.model == REASONING_MODEL:
        return {"role": "assistant", "content": None, "reasoning_content": "", "refusal": None}
    calling = bool(choice.pieces) and choice.pieces[0].kind is Kind.CALL
    return {"role": "assistant", "content": None if calling else "", "refusal": None}


def _delta(request: Request, choice_index: int, piece: Piece) -> Mapping[str, Any]:
    if piece.kind is Kind.TEXT:
        return {"content": piece.text}
    if piece.kind is Kind.REASONING:
        return {"reasoning_content": piece.text, "reasoning": piece.text}
    if piece.kind is Kind.CALL:
        return {"tool_calls": [{"index": piece.call, **_call_head(request, choice_index, piece)}]}
    return {"tool_calls": [{"index": piece.call, "function": {"arguments": piece.text}}]}


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": usage.audio_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _logprobs(request: Request, pieces: Sequence[Piece]) -> dict[str, Any] | None:
    texts = [piece.text for piece in pieces if piece.kind is Kind.TEXT]
    if not request.logprobs or not (texts or len(pieces) != 1):
        return None
    return {"content": [_logprob(token, request.top_logprobs) for token in texts], "refusal": None}


def _logprob(token: str, top: int) -> dict[str, Any]:
    """The token with a likelihood of its own, and `top` likeliest ones, it being the first."""
    spread = blake2b(token.encode(), digest_size=2).digest()
    probability = 0.55 + 0.44 * int.from_bytes(spread, "big") / 65_535
    entry = _token(token, probability)
    others = [word for word in _ALTERNATIVES if word != token]
    listed = [entry]
    for rank, word in enumerate(others[: max(0, top - 1)]):
        # Each takes half of what is left, so that all together stay below one.
        listed.append(_token(word, (1 - probability) * 0.5 ** (rank + 1)))
    return {**entry, "top_logprobs": listed[:top]}


def _token(token: str, probability: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(log(probability), 6), "bytes": list(token.encode())}
