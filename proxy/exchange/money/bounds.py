"""What a request may use at most: numbers for limits, made without a tokenizer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from providers.types import Canonical
from proxy.exchange.books.metering import cost_microusd
from proxy.exchange.money.guesses import Guesses
from proxy.routing.catalogue.types import Model
from proxy.routing.policy import Attempt
from proxy.routing.types import IMAGE_TOKENS

MESSAGE_TOKENS: Final = 32
"""Around each message, and once around all; templates add a handful of tokens for roles and separators."""
TOOLS_TOKENS: Final = 700
"""The system prompt that comes with tools: up to 530 at Anthropic (page "tool-use/overview", November 2026)."""
LEAST_OUTPUT_TOKENS: Final = 16
"""An answer is not shortened to less: nobody is served by it."""

_BOUNDED_PARTS: Final = frozenset({"text", "refusal", "image_url"})
_UNBOUNDED_MEMBERS: Final = frozenset({"web_search_options", "plugins", "audio", "previous_response_id"})
_PICTURE: Final = b"data:image"  # and a slash, which JSON may write in two ways
_LIMITS: Final = ("max_tokens", "max_completion_tokens")


class Bound(NamedTuple):
    """For all that a plan may spend. `microusd` is 0 where no attempt has a price."""

    tokens: int
    microusd: int
    minute_tokens: int


class Prompt(NamedTuple):
    """What a prompt adds up to, without a tokenizer.

    Attributes:
        bytes: of the body, without pictures that stand in it.
        most_tokens: without its images; `None` when it holds what cannot be measured here.
        images: how many.
    """

    bytes: int
    most_tokens: int | None
    images: int


def bound(
    request: Canonical,
    prompt: Prompt,
    attempts: Sequence[Attempt],
    output_tokens: int,
    models: Mapping[str, Model],
    guesses: Guesses,
) -> Bound | None:
    """The dearest attempt's; `None` when nothing bounds one of them.

    Args:
        output_tokens: the limit of each answer.
        models: of the catalogue, by public id.
    """
    predicted = predicted_tokens(request)
    tokens = microusd = 0
    for attempt in attempts:
        model = models[attempt.model]
        all_output = request.choices * answer_tokens(output_tokens, model) + predicted
        input_tokens = _most_input(prompt, model)
        if input_tokens is None:
            return None
        tokens = max(tokens, input_tokens + all_output)
        if attempt.backend.price is not None:
            for written in (0, input_tokens):
                cost = cost_microusd(
                    attempt.backend.price,
                    input_tokens=input_tokens,
                    output_tokens=all_output,
                    cache_read_tokens=0,
                    cache_write_tokens=written,
                )
                microusd = max(microusd, cost)
    return Bound(
        tokens, microusd, expected_tokens(request, prompt, attempts[0], output_tokens, models, guesses)
    )


def expected_tokens(
    request: Canonical,
    prompt: Prompt,
    attempt: Attempt,
    output_tokens: int,
    models: Mapping[str, Model],
    guesses: Guesses,
) -> int:
    """What an attempt will probably use, for rates: it is right in the long run, and settlement corrects it."""
    backend_id = attempt.backend.id
    model = models[attempt.model]
    output = min(answer_tokens(output_tokens, model), guesses.output_tokens(backend_id))
    images = prompt.images * (model.max_image_tokens or 0)
    return guesses.prompt_tokens(backend_id, prompt.bytes) + images + request.choices * output


def answer_tokens(limit_tokens: int, model: Model) -> int:
    """A model writes no more than it can, whatever it was asked for."""
    return limit_tokens if model.max_output_tokens is None else min(limit_tokens, model.max_output_tokens)


def longest_answer(request: Canonical) -> int:
    """The client's own limit, tokens: the larger where it gave two, since providers differ in which they heed."""
    longest = request.output_limit_tokens or 0
    for name in _LIMITS:
        said = request.members.get(name)
        if isinstance(said, int) and said > longest:
            longest = said
    return longest


def predicted_tokens(request: Canonical) -> int:
    """At most: what of a prediction is not taken is billed as output."""
    return len(request.raw) if "prediction" in request.members else 0


def prompt_bytes(request: Canonical) -> int:
    """`measure(request).bytes`; nothing is looked at where the body holds no picture."""
    return measure(request).bytes if _PICTURE in request.raw else len(request.raw)


def measure(request: Canonical) -> Prompt:
    """Measure a prompt, once per request.

    JSON is never shorter than the UTF-8 of what it says, and no tokenizer makes more tokens than bytes, so the
    body's bytes bound its text.
    """
    members = request.members
    raw_bytes = len(request.raw)
    messages = members.get("messages") or ()
    images = picture_bytes = 0
    unbounded = () if _UNBOUNDED_MEMBERS.isdisjoint(members) else _UNBOUNDED_MEMBERS
    measurable = not (any(map(members.get, unbounded)) or _foreign_tools(members))
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                kind = part.get("type") if isinstance(part, dict) else None
                if kind == "image_url":
                    url = _url(part.get("image_url"))
                    images += 1
                    if url.startswith("data:image/"):
                        picture_bytes += len(url)
                    elif url.startswith("data:"):
                        measurable = False  # a document or a film, which some providers take here
                elif kind not in _BOUNDED_PARTS:
                    measurable = False
    text_bytes = max(0, raw_bytes - picture_bytes)
    if not measurable:
        return Prompt(text_bytes, None, images)
    tokens = text_bytes + MESSAGE_TOKENS * (len(messages) + 1)
    if members.get("tools") or members.get("functions"):
        tokens += TOOLS_TOKENS
    return Prompt(text_bytes, tokens, images)


def _most_input(prompt: Prompt, model: Model) -> int | None:
    tokens = prompt.most_tokens
    if tokens is not None and prompt.images:
        tokens += prompt.images * (model.max_image_tokens or IMAGE_TOKENS)
    if model.context_tokens is None:
        return tokens
    # A longer prompt is refused by the provider, and costs nothing.
    return model.context_tokens if tokens is None else min(tokens, model.context_tokens)


def _url(image: object) -> str:
    url = image.get("url") if isinstance(image, dict) else image
    return url if isinstance(url, str) else ""


def _foreign_tools(members: Mapping[str, Any]) -> bool:
    """Tools that the provider runs itself, at prices of its own."""
    tools = members.get("tools")
    return isinstance(tools, list) and any(
        isinstance(tool, dict) and tool.get("type", "function") != "function" for tool in tools
    )
