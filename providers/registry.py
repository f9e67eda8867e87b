"""Every provider Headgate knows: a name and its facts. An explicit table; nothing is discovered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from providers.dialects import Upstream
from providers.upstreams.openai_chat import OpenAIChat

Auth = Literal["bearer"]
"""How a provider wants its key; one file each in the gateway's `exchange/upstream/auth`."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """What is particular about one provider.

    Attributes:
        name: as written in `providers.<x>.adapter`.
        base_url: where it lives by default; `None` when only the operator can know.
        dialect: with the provider's accents.
        auth: how it wants its key.
        keyless: whether it may be used without a key.
        forward_headers: client headers that mean something to it, in lower case.
    """

    name: str
    base_url: str | None
    dialect: Upstream = field(default_factory=OpenAIChat)
    auth: Auth = "bearer"
    keyless: bool = False
    forward_headers: tuple[str, ...] = ()


REGISTRY: Final[Mapping[str, Adapter]] = MappingProxyType(
    {
        adapter.name: adapter
        for adapter in (
            Adapter("openai", "https://api.openai.com/v1"),
            Adapter("groq", "https://api.groq.com/openai/v1"),
            Adapter(
                "openrouter",
                "https://openrouter.ai/api/v1",
                # Usage always comes, asked or not (openrouter.ai/docs, November 2026); the switch does no harm.
                dialect=OpenAIChat(openrouter_members=True),
                forward_headers=("http-referer", "x-title", "x-openrouter-title", "x-openrouter-categories"),
            ),
            Adapter("ollama", "http://127.0.0.1:11434/v1", keyless=True),
            Adapter("vllm", "http://127.0.0.1:8000/v1", keyless=True),
            Adapter("sandbox", None, keyless=True),
        )
    }
)

# Accepted in a configuration and checked there, but without a dialect yet.
PLANNED: Final = frozenset(
    {
        "anthropic", "azure", "bedrock", "cerebras", "cohere", "dashscope", "deepseek", "fireworks", "gemini",
        "huggingface", "llamacpp", "lmstudio", "mistral", "moonshot", "openai-responses", "perplexity",
        "together", "vertex", "xai", "zai",
    }
)  # fmt: skip
