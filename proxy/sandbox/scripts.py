"""What is said, piece by piece: a request in, a script out. Nothing here knows JSON frames, time or HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import blake2b
from typing import Any

import orjson

from proxy.sandbox import schemas, text, tools
from proxy.sandbox.fields import RequestError
from proxy.sandbox.merging import SchemaError
from proxy.sandbox.models import REASONING_MODEL
from proxy.sandbox.request import Format, Request, Tool


class Kind(Enum):
    REASONING = auto()
    TEXT = auto()
    CALL = auto()  # the beginning of a tool call; its text is the function's name
    ARGUMENTS = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """One token's worth. `call` counts the tool calls of a choice from 0."""

    kind: Kind
    text: str
    call: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: its pieces in order, and why it ends (`stop`, `length` or `tool_calls`)."""

    index: int
    pieces: tuple[Piece, ...]
    finish: str

    def joined(self, kind: Kind) -> str:
        return "".join(piece.text for piece in self.pieces if piece.kind is kind)


@dataclass(frozen=True, slots=True)
class Script:
    choices: tuple[Choice, ...]

    @property
    def completion_tokens(self) -> int:
        return sum(len(choice.pieces) for choice in self.choices)

    @property
    def reasoning_tokens(self) -> int:
        return sum(piece.kind is Kind.REASONING for choice in self.choices for piece in choice.pieces)


def write(request: Request) -> Script:
    """The script for `request`; the same request always gives the same one.

    Raises:
        RequestError: a schema nothing can satisfy.
    """
    called = tools.wanted(request)
    finish = "tool_calls" if called else "stop"
    # Which greeting the first choice begins with; each further choice takes the next.
    first_variant = blake2b(request.asked.encode(), digest_size=1).digest()[0]
    fixed = tuple(_calls(request, called)) if called else _formatted_pieces(request)
    choices: list[Choice] = []
    for index in range(request.choices):
        spoken = _prose_pieces(request, first_variant + index) if fixed is None else fixed
        choices.append(_limited(request, index, (*_thoughts(request), *spoken), finish))
    return Script(tuple(choices))


def _limited(request: Request, index: int, pieces: tuple[Piece, ...], finish: str) -> Choice:
    if request.limit_tokens is not None and len(pieces) > request.limit_tokens:
        return Choice(index=index, pieces=pieces[: request.limit_tokens], finish="length")
    return Choice(index=index, pieces=pieces, finish=finish)


def _thoughts(request: Request) -> Iterator[Piece]:
    if request.model == REASONING_MODEL:
        for part in text.split(text.reasoning(request.asked, request.effort)):
            yield Piece(Kind.REASONING, part)


def _prose_pieces(request: Request, variant: int) -> tuple[Piece, ...]:
    parts = text.split(_prose(request, variant))
    if request.manner.pieces is not None:
        parts = text.stretch(parts, request.manner.pieces)
    return _stopped(request, parts)


def _formatted_pieces(request: Request) -> tuple[Piece, ...] | None:
    if request.format is None:
        return None
    return _stopped(request, text.split(_formatted(request, request.format)))


def _stopped(request: Request, parts: tuple[str, ...]) -> tuple[Piece, ...]:
    """The pieces before the first stop sequence."""
    whole = "".join(parts)
    ends = [position for word in request.stop if (position := whole.find(word)) >= 0]
    if ends:
        parts = text.split(whole[: min(ends)])
    return tuple(Piece(Kind.TEXT, part) for part in parts)


def _prose(request: Request, variant: int) -> str:
    results = _tool_results(request)
    if results:
        return text.report(results)
    last = next((message for message in reversed(request.messages) if message.role == "user"), None)
    media = [media.noun for media in last.media] if last is not None else []
    return text.introduction(
        asked=request.asked, media=media, variant=variant, long=request.model == "sandbox-large"
    )


def _tool_results(request: Request) -> list[tuple[str, str]]:
    """(function, result) of the tool messages the request ends with."""
    names = {call: name for message in request.messages for call, name in message.calls.items()}
    results: list[tuple[str, str]] = []
    for message in reversed(request.messages):
        if message.answers is None:
            break
        results.append((names[message.answers], message.text))
    return results[::-1]


def _formatted(request: Request, wished: Format) -> str:
    if wished.schema is None:
        value: Any = {
            "answer": "This is the Headgate sandbox — a JSON object, as you asked.",
            "asked": text.shorten(request.asked, 90),
            "model": request.model,
        }
        return orjson.dumps(value).decode()
    keyword = schemas.unchecked(wished.schema)
    if keyword is not None:
        raise _bad_schema(
            f"response_format '{wished.name}'", f"'{keyword}' is not permitted", "response_format"
        )
    try:
        value = schemas.fill(wished.schema, text.phrase(request.asked))
    except SchemaError as error:
        raise _bad_schema(f"response_format '{wished.name}'", str(error), "response_format") from error
    return orjson.dumps(value).decode()


def _calls(request: Request, called: tuple[Tool, ...]) -> Iterator[Piece]:
    for number, tool in enumerate(called):
        yield Piece(Kind.CALL, tool.name, number)
        try:
            value = schemas.fill(tool.parameters, text.phrase(request.asked))
        except SchemaError as error:
            raise _bad_schema(f"function '{tool.name}'", str(error), "tools") from error
        for part in text.split(orjson.dumps(value).decode()):
            yield Piece(Kind.ARGUMENTS, part, number)


def _bad_schema(owner: str, why: str, param: str) -> RequestError:
    return RequestError(f"Invalid schema for {owner}: {why}.", param=param, code="invalid_json_schema")
