"""Loads configurations written in the tests."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from proxy.settings.load import Loaded, load
from proxy.settings.problems import ConfigError

DEFAULT_MODELS = b"""
models:
  - id: gpt-5-mini
    backends: [{provider: openai, model: gpt-5-mini}, {provider: openrouter, model: openai/gpt-5-mini}]
    price: {input: 0.25, output: 2.00}
  - id: llama-3
    backends: [{provider: groq, model: llama-3}]
    price: {input: 0.1, output: 0.2}
  - id: sandbox-small
    backends: [{provider: sandbox, model: small}]
    price: {input: 0, output: 0}
tiers:
  frugal: {models: [sandbox-small, llama-3, gpt-5-mini]}
  balanced: {models: [gpt-5-mini]}
  premium: {models: [gpt-5-mini]}
"""

Load = Callable[..., Loaded]
Refused = Callable[..., list[str]]


@pytest.fixture(name="load_text")
def _load_text(tmp_path: Path) -> Load:
    """load_text(yaml, environ, flags): what a file with this text loads as."""

    def load_text(
        text: str, environ: Mapping[str, str] | None = None, flags: Mapping[str, str | int] | None = None
    ) -> Loaded:
        path = tmp_path / "headgate.yaml"
        path.write_text(text, "utf-8")
        return load(path, environ=environ or {}, flags=flags or {}, default_models=DEFAULT_MODELS)

    return load_text


@pytest.fixture(name="refused")
def _refused(load_text: Load) -> Refused:
    """refused(yaml, environ, flags): the problems for which a file with this text is refused, in order."""

    def refused(
        text: str, environ: Mapping[str, str] | None = None, flags: Mapping[str, str | int] | None = None
    ) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, environ, flags)
        return [str(problem) for problem in caught.value.problems]

    return refused
