"""OpenAI's chat completions, as clients speak it: requests in; frames, plain answers and errors out."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from providers import events
from providers.clients.bodies import load, model_of, optional, whole
from providers.clients.openai_chat_rendering import Renderer, assemble
from providers.types import Canonical, Completion, Frame, RequestError, UpstreamError, Usage
from providers.upstreams.openai_chat.dialect import edit, index_of

DONE: Final = b"data: [DONE]\n\n"
_NONE: Final = frozenset[str]()
_USAGE: Final = frozenset({"usage"})


class OpenAIChat:
    """The dialect. Without state; shared by all requests."""

    __slots__ = ()

    speaks: Final = "openai_chat"
    operation: Final = "chat/completions"

    def parse(self, body: bytes) -> Canonical:
        """Read a request.

        Raises:
            RequestError: it is no JSON object, names a member twice at the top level, or lacks what all need.
        """
        members, layout = load(body)
        model = model_of(members)
        messages = members.get("messages")
        if not isinstance(messages, list) or not messages:
            raise RequestError("`messages` must be a list with at least one message", param="messages")
        for position, message in enumerate(messages):
            if not isinstance(message, dict):
                raise RequestError(f"`messages[{position}]` must be an object", param=f"messages[{position}]")
        options = optional(members, "stream_options", dict, "an object") or {}
        if options:
            _writable(options, "stream_options")
        return Canonical(
            raw=body,
            layout=layout,
            members=members,
            model=model,
            stream=bool(optional(members, "stream", bool, "true or false")),
            usage_wanted=bool(options.get("include_usage")),
            choices=whole(members, "n", least=1) or 1,
            output_limit_tokens=whole(members, "max_completion_tokens", least=0)
            or whole(members, "max_tokens", least=0),
        )

    def closer(self) -> "Closer":
        """Makes the bytes that end an answer."""
        return _CLOSER

    def renderer(self, *, answer_id: str, model: str, created_s: int) -> Renderer:
        """Makes frames of events, for upstreams of another dialect."""
        return Renderer(answer_id=answer_id, model=model, created_s=created_s)

    def assemble(
        self, said: Sequence[events.Event], *, answer_id: str, model: str, created_s: int
    ) -> Completion:
        """Makes a plain answer of events, for upstreams of another dialect."""
        return assemble(said, answer_id=answer_id, model=model, created_s=created_s)

    def usage_json(self, usage: Usage, *, cost_usd: float | None, upstream_cost_usd: float | None) -> bytes:
        """The `usage` object of an answer: the provider's own, with what it lacks and what the answer cost here.

        Where a provider counts otherwise (xAI leaves reasoning out), its own figures stay; the cost is right.
        """
        reported = usage.reported
        made: dict[str, Any] = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        said = {**made, **reported}
        for name, value in made.items():
            if said[name] is None:
                said[name] = value
        details = reported.get("cost_details")
        said["cost"] = cost_usd
        said["cost_details"] = {
            **(details if isinstance(details, dict) else {}),
            "upstream_inference_cost": upstream_cost_usd,
        }
        if usage.estimated:
            said["estimated"] = True
        return orjson.dumps(said)


def _writable(value: Any, name: str) -> None:
    """Refuse what could be read but not written again: nesting beyond 254 levels."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise RequestError(f"`{name}` is nested too deeply", param=name) from None


class Closer:
    """Writes what closes an answer. Frozen; shared by all requests.

    `usage` and `extra` are JSON: of the usage object, and of the `headgate` block.
    """

    __slots__ = ()

    def without_repeats(self, frame: Frame, repeated: Collection[int]) -> Frame | None:
        """A frame that repeats finish reasons, without them; `None` when nothing else is in it."""
        assert frame.members is not None
        choices = []
        for choice in frame.members["choices"]:
            if not isinstance(choice, dict) or index_of(choice) not in repeated:
                choices.append(choice)
            elif frame.content:
                choices.append({**choice, "finish_reason": None})
        if not choices:
            return None
        return replace(
            frame,
            raw=edit(
                frame.raw, frame.members, {"choices": orjson.dumps(choices)}, _USAGE if frame.usage else _NONE
            ),
            members={**frame.members, "choices": choices},
            finished=tuple(index for index in frame.finished if index not in repeated),
        )

    def finish(self, frame: Frame, usage: bytes | None, extra: bytes | None) -> bytes:
        """The last finish frame: with usage and block, or, when a usage chunk follows, with neither."""
        put = {name: value for name, value in (("usage", usage), ("headgate", extra)) if value is not None}
        assert frame.members is not None
        reported_here = isinstance(frame.members.get("usage"), dict)
        if not put and not reported_here:
            return frame.raw
        return edit(frame.raw, frame.members, put, _USAGE if usage is None and reported_here else _NONE)

    def usage(self, base: Frame, usage: bytes, extra: bytes) -> bytes:
        """The usage chunk. `base` is the provider's own one, or any frame of the answer that has its ids."""
        assert base.members is not None
        return edit(base.raw, base.members, {"choices": b"[]", "usage": usage, "headgate": extra})

    def error(
        self, error: UpstreamError, status: int, usage: bytes, extra: bytes, base: Frame | None
    ) -> bytes:
        """The one frame that ends a broken stream, in OpenRouter's shape. `base` gives ids, where one was seen."""
        known = base.members if base is not None and base.members is not None else {}
        chunk = {
            "id": known.get("id", ""),
            "object": "chat.completion.chunk",
            "created": known.get("created", 0),
            "model": known.get("model", ""),
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            "error": {
                "code": status,
                "message": error.message,
                "type": error.kind,
                "param": None,
                "source": "provider",
                "metadata": {"error_type": error.kind, "provider_code": error.code},
            },
            "usage": orjson.Fragment(usage),
            "headgate": orjson.Fragment(extra),
        }
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def done(self, frame: Frame | None) -> bytes:
        """The end mark: the provider's own, or ours where it sent none."""
        return DONE if frame is None else frame.raw

    def plain(self, completion: Completion, usage: bytes, extra: bytes) -> bytes:
        """A plain answer with usage and block."""
        return edit(completion.raw, completion.members, {"usage": usage, "headgate": extra})


_CLOSER: Final = Closer()
