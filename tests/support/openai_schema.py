"""Whether an object has everything that OpenAI's published schema requires.

The types of the `openai` package are made from that schema; they leave out that members which may be null are still
required, which is said here. What the types do not know is not looked at, except for annotations of a delta.
"""

from collections.abc import Mapping
from typing import Any, Final

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_message import Annotation

_ANSWER: Final = frozenset({"id", "object", "created", "model", "choices"})
_CHOICE: Final = frozenset({"index", "message", "finish_reason", "logprobs"})
_MESSAGE: Final = frozenset({"role", "content", "refusal"})
_PIECE: Final = frozenset({"index", "delta", "finish_reason"})
_CALL: Final = frozenset({"id", "type", "function"})


def check_answer(answer: Mapping[str, Any]) -> None:
    """A whole answer is complete, and of the right types."""
    ChatCompletion.model_validate(answer, strict=True)
    assert set() == _ANSWER - answer.keys()
    assert answer["choices"]
    for choice in answer["choices"]:
        assert set() == _CHOICE - choice.keys()
        assert set() == _MESSAGE - choice["message"].keys()


def check_chunk(chunk: Mapping[str, Any]) -> None:
    """A chunk of a stream is complete, and of the right types."""
    ChatCompletionChunk.model_validate(chunk, strict=True)
    assert set() == _ANSWER - chunk.keys()
    for choice in chunk["choices"]:
        assert set() == _PIECE - choice.keys()
        for annotation in choice["delta"].get("annotations") or ():
            Annotation.model_validate(annotation, strict=True)
        for call in choice["delta"].get("tool_calls") or ():
            # The piece that opens a call has all of it; the others have the index and arguments.
            assert "index" in call
            assert "id" not in call or set() == _CALL - call.keys()
