"""The standard suite of langchain-tests for chat models, through the gateway.

Runs in an environment of its own, started by `tests/clients/test_langchain.py`, which says what must come out. Two
upstreams: one by other hands that answers by its fixtures (`aimock/langchain.json`), and the sandbox, which counts
reasoning and cached tokens.
"""

import io
import wave
from typing import Any, Literal

import httpx
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from tests.clients.cases import KEY, PIXEL, URL

Detail = Literal[
    "audio_input", "audio_output", "reasoning_output", "cache_read_input", "cache_creation_input"
]


@pytest.fixture(autouse=True)
def _own_media(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite fetches a picture, a page and a sound from the internet; here they are made on the spot."""

    def get(url: str, **_: Any) -> httpx.Response:
        media = {"png": PIXEL, "pdf": b"%PDF-1.4\n%%EOF\n", "wav": _silence()}
        return httpx.Response(200, content=media[url.rsplit(".", 1)[1]])

    monkeypatch.setattr(httpx, "get", get)


def _silence() -> bytes:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(80))
    return sound.getvalue()


def connect(model: str, **more: Any) -> dict[str, Any]:
    """Arguments of `ChatOpenAI`; nothing is retried on the client's side."""
    return {
        "model": model,
        "base_url": f"{URL}/v1",
        "api_key": KEY,
        "stream_usage": True,
        "max_retries": 0,
        **more,
    }


class OverHeadgate(ChatModelIntegrationTests):  # type: ignore[misc] # known in its own environment only
    """What both upstreams can do."""

    @property
    def chat_model_class(self) -> Any:
        return ChatOpenAI

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True


class TestAimock(OverHeadgate):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return connect("aimock-one")

    @property
    def model_override_value(self) -> str:
        return "aimock-two"


class TestSandbox(OverHeadgate):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return connect("sandbox-small", extra_body={"sandbox": {"pace_ms": 1, "first_ms": 1}})

    @property
    def model_override_value(self) -> str:
        return "sandbox-large"

    @property
    def supported_usage_metadata_details(
        self,
    ) -> dict[Literal["invoke", "stream"], list[Detail]]:
        details: list[Detail] = ["reasoning_output", "cache_read_input"]
        return {"invoke": details, "stream": details}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        answer = self._ask("sandbox-reasoning", "Why is the sky blue?", stream=stream)
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_token_details"]["reasoning"] > 0
        return answer

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        prompt = "Every lock has two gates. " * 400
        self._ask("sandbox-small", prompt, stream=stream)
        answer = self._ask("sandbox-small", prompt, stream=stream)
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["input_token_details"]["cache_read"] >= 1024
        return answer

    def _ask(self, model: str, prompt: str, *, stream: bool) -> AIMessage:
        chat = ChatOpenAI(**{**self.chat_model_params, "model": model})
        if not stream:
            return chat.invoke(prompt)
        whole: AIMessageChunk | None = None
        for chunk in chat.stream(prompt):
            assert isinstance(chunk, AIMessageChunk)
            whole = chunk if whole is None else whole + chunk
        assert whole is not None
        return whole
