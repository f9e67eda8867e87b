"""OpenAI's chat completions, as an upstream: requests out; answers, streams and errors in.

Source: platform.openai.com/docs/api-reference/chat, seen November 2026, and recorded exchanges of two dozen providers
that speak it with accents. A provider of the family is a value in the registry; this file names none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import orjson

from providers import events
from providers.endpoints import DEFAULT, Endpoint
from providers.framing import sse
from providers.members import splice
from providers.passthrough import Inspector, Passthrough
from providers.repairs import CallNumbers, Repair
from providers.types import Canonical, Completion, Frame, Unparsable, UpstreamError, UpstreamRequest
from providers.upstreams.failures import Rule, classify, from_body
from providers.upstreams.openai_chat.chunks import (
    BROKEN,
    FINISH_REASONS,
    choices_of,
    content_of,
    edit,
    finishes_plainly,
    index_of,
    object_of,
    parse,
    with_choices,
    with_known_finish,
)
from providers.upstreams.openai_chat.events import Decoder, answer_events
from providers.upstreams.openai_chat.members import HARMLESS, matters, renamed
from providers.upstreams.openai_chat.usage import read_usage

__all__ = ["FINISH_REASONS", "Decoder", "Mending", "OpenAIChat", "edit", "index_of", "read_usage"]

OutputLimit = Literal["max_tokens", "max_completion_tokens"]

# Members that are addressed to the gateway. OpenRouter reads the same words, so they stay for it unless a tier was
# asked for: then the gateway has chosen already. (`usage`, an object in a request, is OpenRouter's own switch.)
_GATEWAY_MEMBERS: Final = frozenset({"headgate", "models", "provider", "session_id"})
_OPENROUTER_MEMBERS: Final = frozenset({"models", "provider", "session_id"})

_OTHER_LIMIT: Final[Mapping[OutputLimit, str]] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}

_FINISH: Final = re.compile(rb'"finish_reason"\s*:\s*(?!null)\S')
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The dialect, with the accents of one provider as fields.

    Attributes:
        ask_for_usage: send `stream_options.include_usage`. Where false, the provider refuses `stream_options` and
            reports usage in streams unasked, or not at all.
        openrouter_members: `models`, `provider`, `session_id` and `usage` mean something to this provider.
        endpoint: how its paths are made.
        output_limit: the one name under which it takes the limit of an answer; `None`: either, as the client sent it.
        newer_limit: names of models that take the limit as `max_completion_tokens` alone.
        renames: pairs of OpenAI's name of a member and the provider's.
        refuses: members it answers with an error, or takes without doing what they say.
        repairs: of its answers.
        failures: what its errors mean where their status misleads.
    """

    speaks: ClassVar[str] = "openai_chat"

    ask_for_usage: bool = True
    openrouter_members: bool = False
    endpoint: Endpoint = DEFAULT
    output_limit: OutputLimit | None = None
    newer_limit: re.Pattern[str] | None = None
    renames: tuple[tuple[str, str], ...] = ()
    refuses: frozenset[str] = frozenset()
    repairs: tuple[Repair, ...] = ()
    failures: tuple[Rule, ...] = ()

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """The provider's request: the client's own bytes, with only the members replaced that must be."""
        members = request.members
        put = {"model": orjson.dumps(model)}
        drop = _GATEWAY_MEMBERS
        if self.openrouter_members and request.named:
            drop = drop - _OPENROUTER_MEMBERS
        elif isinstance(members.get("usage"), dict):
            drop = drop | {"usage"}
        if not self.ask_for_usage:
            drop = drop | {"stream_options"}
        elif request.stream and not request.usage_wanted:
            options = members.get("stream_options") or {}
            put["stream_options"] = orjson.dumps({**options, "include_usage": True})
        if self.output_limit is not None:
            drop = renamed(request, _OTHER_LIMIT[self.output_limit], self.output_limit, put, drop)
        elif self.newer_limit is not None and "max_tokens" in members and self.newer_limit.search(model):
            drop = renamed(request, "max_tokens", "max_completion_tokens", put, drop)
        if request.output_limit_tokens and not (
            members.get("max_tokens") or members.get("max_completion_tokens")
        ):
            put[self._limit_name(model)] = b"%d" % request.output_limit_tokens
        for other, own in self.renames:
            drop = renamed(request, other, own, put, drop)
        if self.refuses and not self.refuses.isdisjoint(members):
            drop = drop | (self.refuses & members.keys()) - set(self.lacks(request))
        path = self.endpoint.path_for("chat/completions", model)
        return UpstreamRequest(path, splice(request.raw, request.layout, put, drop))

    def _limit_name(self, model: str) -> str:
        """Under which name a limit is added that the client did not set: the old one is known everywhere else."""
        if self.output_limit is not None:
            return self.output_limit
        newer = self.newer_limit is not None and self.newer_limit.search(model)
        return "max_completion_tokens" if newer else "max_tokens"

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:  # noqa: ARG002 - all its models are alike
        """Members that this request needs and the provider does not have; they are sent all the same."""
        refused = self._refused(request)
        return tuple(name for name in refused if name not in HARMLESS) if refused else ()

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """Members that say something but are left out, because the answer is the same without them."""
        refused = self._refused(request)
        return tuple(name for name in refused if name in HARMLESS) if refused else ()

    def _refused(self, request: Canonical) -> Sequence[str]:
        members = request.members
        if not self.refuses or self.refuses.isdisjoint(members):
            return ()
        return [name for name in members if name in self.refuses and matters(name, members[name])]

    def decode(self, body: bytes) -> Completion:
        """A plain answer.

        Raises:
            UpstreamError: an error under status 200, or nothing this dialect knows.
        """
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise UpstreamError("protocol", "the provider's answer is not JSON") from None
        if isinstance(members, dict) and members.get("error"):
            raise from_body(members["error"], status=200, rules=self.failures)
        if not isinstance(members, dict) or not isinstance(members.get("choices"), list):
            raise UpstreamError("protocol", "the provider's answer has no choices")
        if self.repairs or not finishes_plainly(members["choices"]):
            body, members = self._amended(body, members)
        usage = read_usage(members)
        return Completion(body, members, usage, _guessed_tokens(members) if usage is None else 0)

    def read(self, body: bytes) -> Sequence[events.Event]:
        """A plain answer as events."""
        try:
            return answer_events(self.decode(body))
        except UpstreamError as error:
            return (events.Broken(error),)

    def _amended(self, body: bytes, members: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
        if any(choice.get("finish_reason") in BROKEN for choice in choices_of(members)):
            raise UpstreamError("overloaded", "the provider ended the answer with an error")
        try:
            body, members = self.mended(body, members, "message", CallNumbers())
            return with_known_finish(body, members)
        except Unparsable as problem:
            raise UpstreamError("protocol", str(problem)) from None

    def reader(self, *, many_choices: bool) -> Passthrough:
        """Frames of a stream for a client of the same dialect."""
        return Passthrough(self._inspector(), many_choices=many_choices)

    def decoder(self) -> Decoder:
        """Events of a stream for a client of another dialect."""
        return Decoder(self._inspector())

    def _inspector(self) -> Inspector:
        return Mending(self) if self.repairs else self

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_epoch_s: float
    ) -> UpstreamError:
        """An answer whose status is not 200, in one form."""
        return classify(status, headers, body, now_epoch_s=now_epoch_s, rules=self.failures)

    def first_mark(self, run: bytes, start: int) -> int:
        """See `passthrough.Inspector`. Finds and counts at C speed; a search only where they say it is worth it."""
        first = run.find(b'"error"', start)
        done = run.find(b"[DONE]", start)
        if done >= 0 and (first < 0 or done < first):
            first = done
        if run.count(b'"finish_reason"', start) != run.count(b'"finish_reason":null', start):
            finish = _FINISH.search(run, start)
            if finish is not None and (first < 0 or finish.start() < first):
                first = finish.start()
        if run.count(b'"usage"', start) != run.count(b'"usage":null', start):
            usage = _USAGE.search(run, start)
            if usage is not None and (first < 0 or usage.start() < first):
                first = usage.start()
        return first

    def inspect(self, raw: bytes, numbers: CallNumbers | None = None) -> Frame:
        """See `passthrough.Inspector`.

        Args:
            numbers: of the answer, for a frame that is to be repaired.
        """
        data = sse.payload(raw)
        if data is None or not (data := data.strip()):
            return Frame(raw)
        if data == b"[DONE]":
            return Frame(raw, marked=True, done=True)
        members = parse(data)
        if members.get("error"):
            error = from_body(members["error"], status=200, rules=self.failures)
            return Frame(raw, marked=True, error=error, usage=read_usage(members), members=members)
        if numbers is not None:
            raw, members = self.mended(raw, members, "delta", numbers)
        indexes: list[int] = []
        finished: list[int] = []
        text_bytes, has_content = 0, False
        broken: UpstreamError | None = None
        for choice in choices_of(members):
            indexes.append(index_of(choice))
            if reason := choice.get("finish_reason"):
                finished.append(indexes[-1])
                if reason in BROKEN:
                    broken = UpstreamError("overloaded", "the provider ended the answer with an error")
            delta = choice.get("delta") or choice.get("message")
            chars, content = content_of(delta) if isinstance(delta, dict) else (0, False)
            text_bytes += chars
            has_content = has_content or content
        if finished:
            raw, members = with_known_finish(raw, members)
        usage = read_usage(members) if b'"usage"' in data else None
        return Frame(
            raw,
            marked=bool(indexes) or usage is not None,
            content=has_content,
            text_bytes=text_bytes,
            choices=tuple(indexes),
            finished=tuple(finished),
            usage=usage,
            error=broken,
            members=members,
        )

    def mended(
        self, raw: bytes, members: dict[str, Any], place: Literal["delta", "message"], numbers: CallNumbers
    ) -> tuple[bytes, dict[str, Any]]:
        """Frame or plain body after the repairs that match; the same objects when none does.

        Args:
            place: where the pieces stand.

        Raises:
            Unparsable: it cannot be written again.
        """
        choices = members.get("choices")
        if not self.repairs or not isinstance(choices, list):
            return raw, members
        mended = [self._mended_choice(choice, place, numbers) for choice in choices]
        if all(new is old for new, old in zip(mended, choices, strict=True)):
            return raw, members
        return with_choices(raw, members, mended)

    def _mended_choice(self, choice: Any, place: str, numbers: CallNumbers) -> Any:
        before = choice.get(place) if isinstance(choice, dict) else None
        if not isinstance(before, dict):
            return choice
        piece: Mapping[str, Any] = before
        for repair in self.repairs:
            if repair.plain or place == "delta":
                piece = repair.mend(piece, index_of(choice), numbers)
        return choice if piece is before else {**choice, place: piece}


class Mending:
    """The dialect of a provider whose frames need repairs, for one stream."""

    __slots__ = ("_dialect", "_numbers")

    def __init__(self, dialect: OpenAIChat) -> None:
        self._dialect = dialect
        self._numbers = CallNumbers()

    def first_mark(self, run: bytes, start: int) -> int:
        """See `passthrough.Inspector`. A frame that a repair may match is one, too."""
        first = self._dialect.first_mark(run, start)
        for repair in self._dialect.repairs:
            found = repair.find(run, start)
            if found >= 0 and (first < 0 or found < first):
                first = found
        return first

    def inspect(self, raw: bytes) -> Frame:
        """See `passthrough.Inspector`."""
        return self._dialect.inspect(raw, self._numbers)


def _guessed_tokens(members: Mapping[str, Any]) -> int:
    """For a plain answer whose provider reported no usage: four bytes of text make a token."""
    messages = (object_of(choice, "message") for choice in choices_of(members))
    return sum(content_of(message)[0] for message in messages) // 4 + 1
