"""Every provider Headgate knows: a name and its facts. An explicit table; nothing is discovered."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Adapter:
    """What is particular about one provider.

    Attributes:
        name: as written in `providers.<x>.adapter`.
        base_url: where it lives by default; `None` when only the operator can know.
        keyless: whether it may be used without a key.
    """

    name: str
    base_url: str | None
    keyless: bool = False


REGISTRY: Final[Mapping[str, Adapter]] = MappingProxyType(
    {
        adapter.name: adapter
        for adapter in (
            Adapter("openai", "https://api.openai.com/v1"),
            Adapter("groq", "https://api.groq.com/openai/v1"),
            Adapter("openrouter", "https://openrouter.ai/api/v1"),
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
