"""Recordings of dialects that no client of ours speaks, and the adapter each is read with."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from tests.support.recordings import Recording, load

# Provider and endpoint of a recording, to the adapter; Anthropic's models are also sold by clouds, in its own dialect.
ADAPTERS: Final[Mapping[tuple[str, str], str]] = {
    ("anthropic", "messages"): "anthropic",
    ("azure", "messages"): "anthropic",
    ("vertex", "rawPredict"): "anthropic",
    ("vertex", "streamRawPredict"): "anthropic",
    ("gemini", "generateContent"): "gemini",
    ("gemini", "streamGenerateContent"): "gemini",
    ("vertex", "generateContent"): "gemini",
    ("vertex", "streamGenerateContent"): "gemini",
    ("bedrock", "converse"): "bedrock",
    ("bedrock", "converse-stream"): "bedrock",
    ("cohere", "v2.chat"): "cohere",
    ("openai", "responses"): "openai-responses",
    ("azure", "responses"): "openai-responses",
    ("xai", "responses"): "openai-responses",
    ("deepseek", "responses"): "openai-responses",
    ("openrouter", "responses"): "openai-responses",
    ("lmstudio", "responses"): "openai-responses",
}


@cache
def foreign_streams() -> tuple[Recording, ...]:
    """Every streamed answer; none when there is no set."""
    return load(
        lambda entry: (
            (entry["provider"], entry["endpoint"]) in ADAPTERS and entry["stream"] and entry["status"] == 200
        )
    )


@cache
def foreign_answers() -> tuple[Recording, ...]:
    """Every plain answer; none when there is no set."""
    return load(
        lambda entry: (
            (entry["provider"], entry["endpoint"]) in ADAPTERS
            and not entry["stream"]
            and entry["status"] == 200
        )
    )


@cache
def foreign_errors() -> tuple[Recording, ...]:
    """Every error answer; none when there is no set."""
    return load(lambda entry: (entry["provider"], entry["endpoint"]) in ADAPTERS and entry["status"] >= 400)
