"""What a request may use at most, and what it will probably use: numbers for limits, made without a tokenizer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from providers.types import Canonical
from proxy.exchange.metering import cost_microusd
from proxy.routing.policy import Attempt

BYTES_PER_TOKEN: Final = 4
"""A guess for rates; a bound takes a token a byte, which no tokenizer exceeds."""
MESSAGE_TOKENS: Final = 32
"""Around each message, and once around all; templates add a handful of tokens for roles and separators."""
TOOLS_TOKENS: Final = 700
"""The system prompt that comes with tools: up to 530 at Anthropic (page "tool-use/overview", November 2026)."""
IMAGE_TOKENS: Final = 50_000
"""At most of one image: gpt-4o-mini takes 2,833 and 5,667 a tile of up to eight (OpenAI, page "vision")."""
EXPECTED_OUTPUT_TOKENS: Final = 512

_BOUNDED_PARTS: Final = frozenset({"text", "refusal", "image_url"})
_UNBOUNDED_MEMBERS: Final = ("web_search_options", "plugins", "audio", "previous_response_id")


class Bound(NamedTuple):
    """For all that a plan may spend. `microusd` is 0 where no attempt has a price."""

    tokens: int
    microusd: int
    minute_tokens: int


def bound(request: Canonical, attempts: Sequence[Attempt], output_tokens: int) -> Bound | None:
    """The dearest attempt's; `None` when nothing bounds one of them.

    Args:
        output_tokens: the limit of each answer.
    """
    raw_bytes = len(request.raw)
    prompt_tokens = most_prompt_tokens(request)
    all_output = request.choices * output_tokens
    if "prediction" in request.members:
        all_output += raw_bytes  # what of a prediction is not taken is billed as output
    tokens = microusd = 0
    for attempt in attempts:
        input_tokens = prompt_tokens
        if attempt.context_tokens is not None:
            # A longer prompt is refused by the provider, and costs nothing.
            context = attempt.context_tokens
            input_tokens = context if prompt_tokens is None else min(prompt_tokens, context)
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
    guess = raw_bytes // BYTES_PER_TOKEN + 1 + min(all_output, EXPECTED_OUTPUT_TOKENS * request.choices)
    return Bound(tokens, microusd, guess)


def longest_answer(request: Canonical) -> int:
    """The client's own limit, tokens: the larger where it gave two, since providers differ in which they heed."""
    said = (request.members.get("max_tokens"), request.members.get("max_completion_tokens"))
    return max([request.output_limit_tokens or 0, *(each for each in said if isinstance(each, int))])


def most_prompt_tokens(request: Canonical) -> int | None:
    """Tokens of the prompt at most; `None` when it holds what cannot be measured here.

    JSON is never shorter than the UTF-8 of what it says, so the body's bytes bound its text.
    """
    members = request.members
    if any(members.get(name) for name in _UNBOUNDED_MEMBERS) or _foreign_tools(members):
        return None
    messages = members.get("messages") or ()
    tokens = len(request.raw) + MESSAGE_TOKENS * (len(messages) + 1)
    if members.get("tools") or members.get("functions"):
        tokens += TOOLS_TOKENS
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                kind = part.get("type") if isinstance(part, dict) else None
                if kind not in _BOUNDED_PARTS:
                    return None
                tokens += IMAGE_TOKENS if kind == "image_url" else 0
    return tokens


def _foreign_tools(members: Mapping[str, Any]) -> bool:
    """Tools that the provider runs itself, at prices of its own."""
    tools = members.get("tools")
    return isinstance(tools, list) and any(
        isinstance(tool, dict) and tool.get("type", "function") != "function" for tool in tools
    )
