"""The table of providers: where each lives, what it wants, and that recorded requests would be sent as recorded."""

from typing import Any, Final

import orjson
import pytest

from providers.clients.openai_chat import OpenAIChat as Client
from providers.endpoints import DEFAULT, Endpoint, azure
from providers.registry import REGISTRY, Adapter, Place
from providers.types import Canonical
from providers.upstreams.openai_chat.dialect import OpenAIChat
from tests.support.recordings import DIRECTORY, Recording, chat_answers, chat_streams, parameters

CLIENT: Final = Client()
AZURE: Final = "https://name.openai.azure.com"


def request(members: dict[str, Any]) -> Canonical:
    return CLIENT.parse(orjson.dumps({"model": "public", "messages": [{}], **members}))


def dialect(name: str) -> OpenAIChat:
    found = REGISTRY[name].dialect
    assert isinstance(found, OpenAIChat)
    return found


def test_names() -> None:
    """Every adapter an operator may write is here."""
    family = {
        "openai", "azure", "groq", "mistral", "deepseek", "dashscope", "xai", "openrouter", "together", "fireworks",
        "cerebras", "perplexity", "moonshot", "zai", "huggingface", "ollama", "vllm", "llamacpp", "lmstudio", "sandbox",
    }  # fmt: skip
    assert family == {name for name, adapter in REGISTRY.items() if isinstance(adapter.dialect, OpenAIChat)}
    rest = {"anthropic", "gemini", "vertex", "bedrock", "cohere", "openai-responses"}
    assert family | rest == set(REGISTRY)


@pytest.mark.parametrize("adapter", REGISTRY.values(), ids=lambda adapter: adapter.name)
def test_entries(adapter: Adapter) -> None:
    """Each is found under its name, its address can be appended to, and its names for members do not collide."""
    assert adapter is REGISTRY[adapter.name]
    if adapter.base_url is not None:
        assert not adapter.base_url.endswith("/")
        assert adapter.base_url.startswith("http://127.0.0.1:" if adapter.keyless else "https://")
    assert all(header == header.lower() for header in adapter.forward_headers)
    if isinstance(adapter.dialect, OpenAIChat):
        renamed = {name for pair in adapter.dialect.renames for name in pair}
        assert not renamed & adapter.dialect.refuses
        assert (
            not {"model", "messages", "stream", "max_tokens", "max_completion_tokens"}
            & adapter.dialect.refuses
        )
        names = [repair.name for repair in adapter.dialect.repairs]
        assert len(set(names)) == len(names)


def test_keys() -> None:
    """Servers of one's own need no key; Azure wants it in a header of its own."""
    keyless = {name for name, adapter in REGISTRY.items() if adapter.keyless}
    assert {"ollama", "vllm", "llamacpp", "lmstudio", "sandbox"} == keyless
    assert {"azure"} == {name for name, adapter in REGISTRY.items() if adapter.auth == "api-key"}
    nowhere = {
        name for name, adapter in REGISTRY.items() if adapter.base_url is None and adapter.host is None
    }
    assert {"azure", "sandbox"} == nowhere


@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [
        ("bedrock", Place("", region="eu-west-1"), "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("bedrock", Place("http://here", region="eu-west-1"), "http://here"),
        ("vertex", Place("", location="europe-west4"), "https://europe-west4-aiplatform.googleapis.com"),
        ("vertex", Place("", location="global"), "https://aiplatform.googleapis.com"),
        ("openai", Place(""), "https://api.openai.com/v1"),
        ("azure", Place(""), None),
    ],
)
def test_addresses(name: str, place: Place, expected: str | None) -> None:
    """The operator's address wins; without one the place says it, where a provider has several."""
    assert expected == REGISTRY[name].address(place)


# Paths


@pytest.mark.parametrize(
    ("base_url", "api_version", "expected"),
    [
        (AZURE, None, "/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21"),
        (
            AZURE,
            "2025-04-01-preview",
            "/openai/deployments/gpt-5/chat/completions?api-version=2025-04-01-preview",
        ),
        (AZURE, "a&b=c", "/openai/deployments/gpt-5/chat/completions?api-version=a%26b%3Dc"),
        ("http://127.0.0.1:9/x", None, "/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21"),
        (AZURE + "/openai/v1", None, "/chat/completions"),
        (AZURE + "/openai/v1", "preview", "/chat/completions?api-version=preview"),
        (AZURE + "/models", None, "/chat/completions?api-version=2024-05-01-preview"),
        (AZURE + "/models", "2025-01-01", "/chat/completions?api-version=2025-01-01"),
    ],
)
def test_azure(base_url: str, api_version: str | None, expected: str) -> None:
    """A deployment has a path and a dated version; the newer surfaces take the model from the body."""
    placed = REGISTRY["azure"].at(Place(base_url, api_version=api_version))
    assert expected == placed.dialect.encode(request({}), "gpt-5").path
    assert ("azure", "api-key") == (placed.name, placed.auth)


def test_other_operations() -> None:
    """Embeddings and completions follow the same scheme."""
    assert "/embeddings" == DEFAULT.path_for("embeddings", "m")
    assert "/completions" == DEFAULT.path_for("completions", "m")
    placed = azure(AZURE, None)
    assert "/openai/deployments/a%2Fb/embeddings?api-version=2024-10-21" == placed.path_for(
        "embeddings", "a/b"
    )
    assert Endpoint(api_version="v") == azure(AZURE + "/openai/v1", "v")


@pytest.mark.parametrize("name", [name for name, adapter in REGISTRY.items() if not adapter.dialects_at])
def test_others_have_one_path(name: str) -> None:
    """Where a provider lives changes nothing but its address."""
    adapter = REGISTRY[name]
    assert adapter is adapter.at(Place("https://elsewhere.example/v9", api_version=None))
    if isinstance(adapter.dialect, OpenAIChat):
        assert "/chat/completions" == adapter.dialect.encode(request({}), "m").path


# Accents


def test_names_of_the_output_limit() -> None:
    """Providers that would refuse or overlook one of the two names get the other."""
    by_name = {
        name: dialect(name).output_limit
        for name in REGISTRY
        if isinstance(REGISTRY[name].dialect, OpenAIChat)
    }
    only = {
        "mistral", "deepseek", "together", "fireworks", "perplexity", "zai", "ollama", "llamacpp", "lmstudio",
    }  # fmt: skip
    assert dict.fromkeys(only, "max_tokens") == {name: limit for name, limit in by_name.items() if limit}


def test_mistral() -> None:
    """A request as OpenAI's clients make it becomes one that Mistral's closed schema takes."""
    asked = request(
        {
            "max_completion_tokens": 9, "seed": 7, "user": "u", "store": True, "logit_bias": {}, "stream": True,
            "stream_options": {"include_usage": True}, "metadata": {"a": "b"}, "n": 2,
        }
    )  # fmt: skip
    assert {
        "model": "up", "messages": [{}], "stream": True, "metadata": {"a": "b"}, "n": 2, "max_tokens": 9,
        "random_seed": 7,
    } == orjson.loads(dialect("mistral").encode(asked, "up").body)  # fmt: skip
    assert ((), ("user", "store")) == (dialect("mistral").lacks(asked), dialect("mistral").drops(asked))
    assert ("logit_bias",) == dialect("mistral").lacks(request({"logit_bias": {"1": 2}}))


@pytest.mark.parametrize(
    ("name", "members", "lacks", "drops"),
    [
        ("groq", {"logprobs": True, "top_logprobs": 2, "n": 2}, ("logprobs", "top_logprobs", "n"), ()),
        ("groq", {"n": 1, "logprobs": False, "logit_bias": {}, "store": True}, (), ("store",)),
        ("xai", {"presence_penalty": 0, "frequency_penalty": 0.5}, (), ()),
        ("xai", {"presence_penalty": 0.1, "logit_bias": {"5": 1}}, ("presence_penalty", "logit_bias"), ()),
        ("cerebras", {"metadata": {}, "logit_bias": {"5": 1}}, ("logit_bias",), ()),
        ("ollama", {"n": 2, "user": "u"}, ("n",), ()),
        ("openai", {"n": 2, "user": "u", "logit_bias": {"5": 1}}, (), ()),
        ("openrouter", {"n": 2, "logit_bias": {"5": 1}}, (), ()),
    ],
)
def test_refused(name: str, members: dict[str, Any], lacks: tuple[str, ...], drops: tuple[str, ...]) -> None:
    """What a provider does not have is known before it is asked."""
    asked = request(members)
    assert (lacks, drops) == (dialect(name).lacks(asked), dialect(name).drops(asked))


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("openai", "gpt-5-mini", {"max_completion_tokens": 9}),
        ("openai", "openai/o3", {"max_completion_tokens": 9}),
        ("azure", "gpt-5.1", {"max_completion_tokens": 9}),
        ("openai", "gpt-4o", {"max_tokens": 9}),
        ("openai", "openhermes-2", {"max_tokens": 9}),
        ("openai", "o1ympus", {"max_tokens": 9}),
        ("deepseek", "gpt-5", {"max_tokens": 9}),
    ],
)
def test_limits_by_model(name: str, model: str, expected: dict[str, int]) -> None:
    """OpenAI's reasoning models get the limit under the only name they take; the others as it was sent."""
    body = orjson.loads(dialect(name).encode(request({"max_tokens": 9}), model).body)
    assert expected == {key: value for key, value in body.items() if key.startswith("max_")}


# Recorded requests


def recorded() -> list[Recording]:
    known = (*chat_streams(), *chat_answers())
    return [each for each in known if each.adapter != "openai" or each.provider == "openai"]


@pytest.mark.parametrize("recording", parameters(recorded()))
def test_recorded_requests(recording: Recording) -> None:
    """What a provider was recorded to take goes out as recorded: no member refused, none lost but where renamed."""
    if "messages" not in recording.request:
        return
    adapter = recording.adapter
    asked = request(dict(recording.request))
    own = dialect(adapter)
    sent = orjson.loads(own.encode(asked, recording.request.get("model", "up")).body)
    assert ((), ()) == (own.lacks(asked), own.drops(asked))
    expected = {"model": "up", **recording.request}
    if own.ask_for_usage and recording.stream:
        expected["stream_options"] = {**expected.get("stream_options", {}), "include_usage": True}
    for name in own.refuses & expected.keys():  # at a value that asks for nothing
        del expected[name]
    if own.output_limit is not None and (limit := expected.pop("max_completion_tokens", None)) is not None:
        expected[own.output_limit] = limit
    if adapter != "openrouter":
        expected.pop("provider", None)
        expected.pop("usage", None)
    assert expected == sent


@pytest.mark.parametrize("recording", parameters(recorded()))
def test_recorded_addresses(recording: Recording) -> None:
    """Requests go to the address to which a recorded client of this provider sent its own."""
    name = recording.adapter
    entry = orjson.loads((DIRECTORY / recording.provider / f"{recording.id}.json").read_bytes())["request"]
    host, path, query = entry["base_url"], entry["path"], entry["query"] or {}
    base_url = REGISTRY[name].base_url or host + ("/models" if path.startswith("/models/") else "")
    model = path.split("/")[3] if path.startswith("/openai/deployments/") else "m"
    version = query.get("api-version")
    placed = REGISTRY[name].at(Place(base_url, api_version=version))
    made = base_url + placed.dialect.encode(request({}), model).path
    # Local servers were recorded under another name of this machine, DashScope in its mainland region.
    made = made.replace("127.0.0.1", "localhost").replace("dashscope-intl.", "dashscope.")
    address, _, made_query = made.partition("?")
    assert host + path == address
    if version is not None:
        assert f"api-version={version}" == made_query
