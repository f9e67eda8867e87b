"""OpenAI's embeddings as clients speak them: what is refused, what is said of usage, and that vectors stay as sent."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.clients.openai_embeddings import OpenAIEmbeddings
from providers.types import Completion, RequestError, Usage
from providers.upstreams import openai_embeddings

CLIENT = OpenAIEmbeddings()
UPSTREAM = openai_embeddings.OpenAIEmbeddings()
INPUT = "`input` must be a text, a list of texts, a list of token ids or a list of such lists, and not empty"


@pytest.mark.parametrize("given_input", ["a", ["a", "b"], [1, 2], [[1], [2, 3]], [""], [{"text": "a"}]])
def test_a_request(given_input: Any) -> None:
    """Any kind of input, as the provider will judge it; never a stream, one answer, no limit of its own."""
    body = orjson.dumps({"model": "m", "input": given_input, "dimensions": 8, "stream": True})
    request = CLIENT.parse(body)
    assert (body, "m", given_input) == (request.raw, request.model, request.members["input"])
    assert (False, False, 1, None, True) == (
        request.stream,
        request.usage_wanted,
        request.choices,
        request.output_limit_tokens,
        request.named,
    )
    assert ["model", "input", "dimensions", "stream"] == [member.name for member in request.layout]


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (b"", None, "the body is empty; a JSON object was expected"),
        (b"[1]", None, "the body must be a JSON object"),
        (b'{"model": "m", "input": "a"', None, "the body is not valid JSON (line 1, column 28)"),
        (b'{"input": "a"}', "model", "`model` must name a model or a tier"),
        (b'{"model": "m"}', "input", INPUT),
        (b'{"model": "m", "input": null}', "input", INPUT),
        (b'{"model": "m", "input": ""}', "input", INPUT),
        (b'{"model": "m", "input": []}', "input", INPUT),
        (b'{"model": "m", "input": {}}', "input", INPUT),
        (b'{"model": "m", "input": {"a": 1}}', "input", INPUT),
        (b'{"model": "m", "input": 7}', "input", INPUT),
        (b'{"model": "m", "input": true}', "input", INPUT),
        (
            b'{"model": "m", "input": "a", "input": "b"}',
            "input",
            'the body names "input" twice at its top level; which one is meant?',
        ),
    ],
)
def test_what_is_wrong(body: bytes, param: str | None, message: str) -> None:
    """Named, with its member."""
    with pytest.raises(RequestError) as wrong:
        CLIENT.parse(body)
    assert (message, param, "invalid_request") == (wrong.value.message, wrong.value.param, wrong.value.code)


def usage_of(usage: Usage, cost_usd: float | None = 0.5, upstream_cost_usd: float | None = None) -> Any:
    return orjson.loads(CLIENT.usage_json(usage, cost_usd=cost_usd, upstream_cost_usd=upstream_cost_usd))


def test_reported_usage() -> None:
    """The provider's own members, nulls left out, and what it cost."""
    reported = {"prompt_tokens": 7, "total_tokens": 7, "service_tier": None, "num_pages": 2}
    assert {
        "prompt_tokens": 7,
        "total_tokens": 7,
        "num_pages": 2,
        "cost": 0.5,
        "cost_details": {"upstream_inference_cost": None},
    } == usage_of(Usage(7, 0, reported=reported))


def test_estimated_usage() -> None:
    """An estimate says so; vectors cost no tokens."""
    assert {
        "prompt_tokens": 12,
        "total_tokens": 12,
        "cost": None,
        "cost_details": {"upstream_inference_cost": None},
        "estimated": True,
    } == usage_of(Usage(12, 0, estimated=True), cost_usd=None)


def test_a_providers_own_cost() -> None:
    """Ours decides; the provider's figure and its details stand beside it, as for chat."""
    reported = {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.1, "cost_details": {"discount": 0.2}}
    said = usage_of(Usage(7, 0, reported=reported), upstream_cost_usd=0.1)
    assert (0.5, {"discount": 0.2, "upstream_inference_cost": 0.1}) == (said["cost"], said["cost_details"])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'{"data":[{"embedding":[0.10,-1e-7],"index":0}],"usage":{"prompt_tokens":2},"model":"m"}',
            b'{"data":[{"embedding":[0.10,-1e-7],"index":0}],"usage":USAGE,"model":"m","headgate":BLOCK}',
        ),
        (
            b'{\n  "usage" : null ,\n  "data" : [ { "embedding" : "AAAA" } ]\n}\n',
            b'{\n  "usage" : USAGE ,\n  "data" : [ { "embedding" : "AAAA" } ],"headgate":BLOCK\n}\n',
        ),
        (
            b'{"data":[{"embedding":[1.0],"usage":{"prompt_tokens":9},"headgate":1}]}',
            (
                b'{"data":[{"embedding":[1.0],"usage":{"prompt_tokens":9},"headgate":1}],'
                b'"usage":USAGE,"headgate":BLOCK}'
            ),
        ),
        (
            b'{"headgate":{"from":"another gateway"},"data":[{"embedding":[1.0]}],"usage":{"prompt_tokens":9}}',
            b'{"headgate":BLOCK,"data":[{"embedding":[1.0]}],"usage":USAGE}',
        ),
        (
            b' {"data":[{"embedding":[1.0],"x":"}"}]} ',
            b' {"data":[{"embedding":[1.0],"x":"}"}],"usage":USAGE,"headgate":BLOCK} ',
        ),
    ],
)
def test_only_usage_and_block_are_edited(raw: bytes, expected: bytes) -> None:
    """At the top level; every other byte leaves as it came: numbers keep their digits, blanks stay."""
    usage, block = b'{"ours":1}', b'{"request_id":"r"}'
    answer = CLIENT.closer().plain(UPSTREAM.decode(raw), usage, block)
    assert expected.replace(b"USAGE", usage).replace(b"BLOCK", block) == answer
    orjson.loads(answer)


@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5) | st.text(), min_size=1),
    st.dictionaries(st.sampled_from(["id", "model", "object", "usage", "headgate", "x"]), st.text()),
    st.sampled_from([0, orjson.OPT_INDENT_2]),
)
def test_vectors_are_never_touched(vectors: list[Any], more: dict[str, str], option: int) -> None:
    """Whatever stands beside them: their bytes are in the answer, and nothing but the two members differs."""
    data = [{"embedding": vector, "index": number} for number, vector in enumerate(vectors)]
    members = {**more, "data": data}
    raw = orjson.dumps(members, option=option)
    answer = CLIENT.closer().plain(Completion(raw, members, None), b'{"ours":1}', b"{}")
    assert {**members, "usage": {"ours": 1}, "headgate": {}} == orjson.loads(answer)
    start = raw.index(b'"data"')
    end = raw.rindex(b"]") + 1
    assert raw[start:end] in answer
