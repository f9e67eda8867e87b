"""What an error body says is found in each of the forms the family uses."""

from typing import Any

import orjson
import pytest

from providers.types import UpstreamError
from providers.upstreams.failures import classify
from providers.upstreams.problems import of_body


def failure(status: int, body: Any) -> UpstreamError:
    raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    return classify(status, {}, raw)


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": {"message": "wrong", "code": "c1"}}, "wrong", "c1"),
        ({"error": {"message": "wrong", "code": 7}}, "wrong", "7"),
        ({"error": {"message": "wrong", "code": None}}, "wrong", None),
        ({"error": {"message": "wrong", "code": {"deep": 1}}}, "wrong", None),
        ({"error": "wrong"}, "wrong", None),
        ({"error": "wrong", "code": "invalid-argument"}, "wrong", "invalid-argument"),
        ({"error": "Bad Request", "message": "wrong", "status": 400}, "wrong", None),
        ({"error": ["wrong", "too"]}, "wrong; too", None),
        ({"message": "wrong", "type": "t", "code": "3051"}, "wrong", "3051"),
        (
            {"object": "error", "message": "wrong", "type": "BadRequestError", "param": None, "code": 400},
            "wrong",
            "400",
        ),
        ({"code": "InvalidParameter", "message": "wrong", "request_id": "r"}, "wrong", "InvalidParameter"),
        ({"detail": "wrong"}, "wrong", None),
        (
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required", "type": "missing"}]},
            "body.messages.0: Field required",
            None,
        ),
        (
            {
                "object": "error",
                "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "no"}]},
            },
            "body.x: no",
            None,
        ),
        ({"errors": ["wrong"]}, "wrong", None),
        ({"errors": [{"code": 1, "message": "wrong"}], "success": False}, "wrong", None),
        ([{"error": {"message": "wrong", "code": 400, "status": "INVALID_ARGUMENT"}}], "wrong", "400"),
        ({"error": {"message": '{"error": {"message": "wrong", "code": 400}}', "code": 400}}, "wrong", "400"),
        (
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {"raw": '{"error":{"message":"wrong"}}', "provider_name": "P"},
                }
            },
            "wrong",
            "400",
        ),
        (
            {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "wrong"}}},
            "wrong",
            "400",
        ),
        (
            {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "<html>x"}}},
            "Provider returned error",
            "400",
        ),
        ({"error": {}}, "the provider answered 400", None),
        ({"error": None}, "the provider answered 400", None),
        ({"error": "<!DOCTYPE html><html>x</html>"}, "the provider answered 400", None),
        ({}, "the provider answered 400", None),
        ([1], "the provider answered 400", None),
        (None, "the provider answered 400", None),
        (b"<html><h1>Bad Request</h1></html>", "the provider answered 400", None),
        (b"upstream connect error", "the provider answered 400", None),
        (b'{"error": {"message": "cut', "the provider answered 400", None),
        (b"\xff\xfe", "the provider answered 400", None),
    ],
)
def test_message_and_code(body: Any, message: str, code: str | None) -> None:
    """The provider's words are found in each of the shapes the family uses; a page is not shown to anybody."""
    made = failure(400, body)
    assert (message, code) == (made.message, made.code)
    assert ("bad_request", 400, False) == (made.kind, made.status, made.again)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "no", "code": "context_length_exceeded"}),
        (429, {"message": "no", "code": "context_length_exceeded"}),
        (400, {"message": "This model's maximum context length is 8192 tokens"}),
        (400, {"message": "Prompt is too long: 9 tokens > 8 maximum"}),
        (413, {"message": "too many tokens"}),
        (422, {"message": "the input is too long"}),
        (400, {"message": "Prompt contains 40 tokens, too large for model with 32 maximum context length"}),
        # xAI, Moonshot, DashScope, SGLang, vLLM
        (
            400,
            {
                "message": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."
            },
        ),
        (
            400,
            {
                "message": "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)"
            },
        ),
        (
            400,
            {
                "message": "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 204800]"
            },
        ),
        (
            400,
            {"message": "The input (5000 tokens) is longer than the model's context length (4096 tokens)."},
        ),
        (400, {"message": "max_tokens must be at least 1, got -186."}),
        # llama.cpp, LM Studio
        (500, {"message": "Context size has been exceeded.", "type": "server_error", "code": 500}),
        (500, {"message": "no", "type": "exceed_context_size_error", "n_ctx": 256}),
        (400, {"message": "request (4390 tokens) exceeds the available context size (4096 tokens)"}),
        (
            400,
            {"message": "the model is loaded with context length of only 2048 tokens, which is not enough."},
        ),
        (400, {"message": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"}),
        # Together, Gemini, Z.ai, OpenRouter
        (422, {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097."}),
        (
            429,
            {
                "message": "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576)."
            },
        ),
        (400, {"code": "1261", "message": "Prompt exceeds max length"}),
        (
            400,
            {
                "message": "Provider returned error",
                "metadata": {"raw": '{"error":{"code":"context_length_exceeded"}}'},
            },
        ),
    ],
)
def test_context_overflow(status: int, error: dict[str, Any]) -> None:
    """A prompt that is too long is told from other mistakes, under any status, so that a larger model may take it."""
    made = failure(status, {"error": error})
    assert ("bad_request", True, False) == (made.kind, made.context_overflow, made.again)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "temperature must be below 2"}),
        (400, {"message": "max_tokens is too large: 9. This model supports at most 8 completion tokens"}),
        (
            400,
            {
                "message": "Invalid 'messages[0].content': string too long. Expected a string with maximum length 9"
            },
        ),
        (429, {"message": "too many tokens per minute"}),
        (429, {"message": "Limit 30000, Requested 61337. The input or output tokens must be reduced"}),
        (500, {"message": "context window service is down"}),
        (401, {"message": "This model's maximum context length is 8192 tokens"}),
    ],
)
def test_no_context_overflow(status: int, error: dict[str, Any]) -> None:
    """Other mistakes, rates and failures are not taken for a prompt that is too long."""
    assert not failure(status, {"error": error}).context_overflow


@pytest.mark.parametrize("depth", [3, 50])
def test_bodies_inside_bodies(depth: int) -> None:
    """JSON in a string in JSON is read a few times, not for ever."""
    body: dict[str, Any] = {"error": {"message": "wrong", "code": "innermost"}}
    for _ in range(depth):
        raw = orjson.dumps(body).decode() if depth < 10 else body
        body = {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}}
    problem = of_body(body)
    assert ("innermost" in problem.words) == (depth == 3)
    assert ("wrong" if depth == 3 else "Provider returned error") == problem.message


def test_words_in_order() -> None:
    """The most telling word comes first: code before type before status, the provider's before those it passes on."""
    problem = of_body(
        {
            "error": {
                "status": "INVALID_ARGUMENT",
                "type": "T",
                "code": "C",
                "metadata": {"error_type": "passed_on", "raw": {"error": {"code": "raw"}}},
                "details": [{"reason": "API_KEY_INVALID"}],
            }
        }
    )
    assert ("c", "t", "invalid_argument", "passed_on", "api_key_invalid", "raw") == problem.words
