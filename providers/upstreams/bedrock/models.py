"""What the models behind Converse take beyond what it says of all, by their names. Data and one function; no requests.

Sources, November 2026: docs.aws.amazon.com/bedrock/latest/userguide, pages "structured-output", "prompt-caching" and
"claude-messages-adaptive-thinking", docs.aws.amazon.com/nova/latest/nova2-userguide, page "extended-thinking"; for
what no page says, calls reported in public: langchain-ai/langchain-aws pull 1188 and 1266, anomalyco/opencode pull
48195, LibreChat-AI/agents pull 253, BerriAI/litellm pull 34347.
"""

import re
from typing import Final, Literal, NamedTuple

from providers.upstreams.anthropic import models as claude_models
from providers.upstreams.anthropic.models import Traits as Claude

Place = Literal["system", "messages", "tools"]

_EVERYWHERE: Final[frozenset[Place]] = frozenset(("system", "messages", "tools"))
_BESIDE_TOOLS: Final[frozenset[Place]] = frozenset(("system", "messages"))
_NOWHERE: Final[frozenset[Place]] = frozenset()

# `us.anthropic.claude-…`, `arn:aws:bedrock:…:inference-profile/eu.amazon.nova-…`, `openai.gpt-oss-120b-1:0`
_VENDOR: Final = re.compile(
    r"(?:^|\.)(ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai"
    r"|qwen|writer|xai|zai)\."
)
_UNCACHED_CLAUDE: Final = re.compile(
    r"claude-(?:instant|v[0-9]|2|3-(?:haiku|sonnet|opus)|3-5-sonnet-20240620)"
)
_CLOSED: Final = frozenset({"ai21", "amazon", "cohere", "meta", "writer"})


class Traits(NamedTuple):
    """What one model takes.

    Attributes:
        claude: what this Claude takes; `None` for other models.
        reasoning: how reasoning is asked for: as Claude is, as Nova 2 is, by `reasoning_effort`, by
            `reasoning.effort`, or not at all.
        schemas: how an answer is held to a schema: by `outputConfig`, by a tool it must call, or not at all.
        strict_tools: takes `strict` in a tool.
        cache: where it takes a cache point.
        long_cache: takes a cache point of an hour.
        top_k: where it takes `top_k`; empty where it does not.
        one_call: can be held to one call at a time.
        replays: takes reasoning of earlier answers back.
    """

    claude: Claude | None = None
    reasoning: Literal["claude", "nova", "flat", "nested", "no"] = "no"
    schemas: Literal["native", "tool", "no"] = "native"
    strict_tools: bool = True
    cache: frozenset[Place] = _NOWHERE
    long_cache: bool = False
    top_k: tuple[str, ...] = ()
    one_call: bool = False
    replays: bool = False


ANY: Final = Traits(
    claude_models.ANY,
    "claude",
    cache=_EVERYWHERE,
    long_cache=True,
    top_k=("top_k",),
    one_call=True,
    replays=True,
)
"""Nothing that some model takes is missing: for a request whose model is not known yet."""

UNNAMED: Final = Traits(cache=_EVERYWHERE, long_cache=True, top_k=("top_k",), replays=True)
"""An ARN that does not tell its model, such as that of an application inference profile: the provider judges."""


def traits(model: str) -> Traits:
    """What a model takes; `model` is an id, an inference profile or an ARN."""
    name = model.rpartition("/")[2]
    match = _VENDOR.search(name)
    vendor = match[1] if match is not None else ""
    if "claude" in name:
        return _claude(name)
    if vendor == "amazon":
        nova = ".nova-" in name
        return Traits(
            reasoning="nova" if ".nova-2" in name else "no",
            schemas="tool" if nova else "no",
            strict_tools=False,
            cache=_BESIDE_TOOLS if nova else _NOWHERE,
            top_k=("inferenceConfig", "topK") if nova else (),
            replays=nova,
        )
    if vendor == "openai":
        return Traits(reasoning="flat" if ".gpt-oss" in name else "nested", replays=True)
    if vendor in ("moonshot", "moonshotai"):
        return Traits(reasoning="flat")
    if vendor in _CLOSED:
        return Traits(schemas="no", strict_tools=False, top_k=("k",) if vendor == "cohere" else ())
    if vendor:
        return Traits(top_k=("top_k",) if vendor in ("mistral", "qwen") else ())
    return UNNAMED


def _claude(name: str) -> Traits:
    claude = claude_models.traits(name)
    return Traits(
        claude=claude,
        reasoning="no" if claude.thinks == "no" else "claude",
        schemas="native" if claude.schemas else "tool",
        strict_tools=claude.schemas,
        cache=_NOWHERE if _UNCACHED_CLAUDE.search(name) else _EVERYWHERE,
        long_cache=claude.schemas,  # both came with 4.5
        top_k=("top_k",),
        one_call=True,
        replays=True,
    )
