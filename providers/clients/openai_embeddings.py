"""OpenAI's embeddings, as clients speak them: requests in, answers out."""

from typing import Final

import orjson

from providers.clients.bodies import load, model_of
from providers.types import Canonical, Completion, RequestError, Usage
from providers.upstreams.openai_chat.dialect import edit


class OpenAIEmbeddings:
    """The dialect. Without state; shared by all requests."""

    __slots__ = ()

    operation: Final = "embeddings"

    def parse(self, body: bytes) -> Canonical:
        """Read a request. What is in `input` beyond being there is for the provider to judge.

        Raises:
            RequestError: it is no JSON object, names a member twice at the top level, or lacks what all need.
        """
        members, layout = load(body)
        model = model_of(members)
        given = members.get("input")
        if not isinstance(given, str | list) or not given:
            raise RequestError(
                "`input` must be a text, a list of texts, a list of token ids or a list of such lists, and not empty",
                param="input",
            )
        return Canonical(
            raw=body,
            layout=layout,
            members=members,
            model=model,
            stream=False,
            usage_wanted=False,
            choices=1,
            output_limit_tokens=None,
        )

    def closer(self) -> "OpenAIEmbeddings":
        """Makes the bytes of an answer."""
        return self

    def plain(self, completion: Completion, usage: bytes, extra: bytes) -> bytes:
        """The provider's answer with usage and block; vectors stay as they came."""
        return edit(completion.raw, completion.members, {"usage": usage, "headgate": extra})

    def usage_json(self, usage: Usage, *, cost_usd: float | None, upstream_cost_usd: float | None) -> bytes:
        """The `usage` object of an answer: the provider's own, with what it cost here."""
        details = usage.reported.get("cost_details")
        return orjson.dumps(
            {
                "prompt_tokens": usage.input_tokens,
                "total_tokens": usage.input_tokens,
                **{name: value for name, value in usage.reported.items() if value is not None},
                "cost": cost_usd,
                "cost_details": {
                    **(details if isinstance(details, dict) else {}),
                    "upstream_inference_cost": upstream_cost_usd,
                },
                **({"estimated": True} if usage.estimated else {}),
            }
        )
