"""Every provider Headgate knows: a name and its facts. An explicit table; nothing is discovered.

docs/providers.md says the same in a table, with what could not be confirmed. Where a page and a recorded exchange
disagree, the recording was followed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from providers import rate_limits
from providers.dialects import Embedder, Upstream
from providers.endpoints import Endpoint, azure
from providers.rate_limits import HeaderNames
from providers.repairs import CONTENT_LIST, EMPTY_NAME, MISSING_INDEX
from providers.upstreams import failures
from providers.upstreams.openai_chat.dialect import OpenAIChat
from providers.upstreams.openai_embeddings import OpenAIEmbeddings

Auth = Literal["bearer", "token", "api-key", "x-api-key", "x-goog-api-key", "sigv4"]
"""How a provider wants its key; one file each in the gateway's `exchange/upstream/auth`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the operator uses a provider.

    Attributes:
        base_url: without a slash at its end.
        api_version: of Azure.
        region: of Bedrock.
        project, location: of Vertex AI.
    """

    base_url: str
    api_version: str | None = None
    region: str | None = None
    project: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """What is particular about one provider.

    Attributes:
        name: as written in `providers.<x>.adapter`.
        base_url: where it lives by default; `None` when the place says it, or only the operator knows.
        dialect: with the provider's accents.
        auth: how it wants its key.
        keyless: whether it may be used without a key.
        forward_headers: client headers that mean something to it, in lower case.
        embeddings: its dialect of embeddings; `None` when it has none.
        rate_limits: the headers in which it tells its own limits.
        dialects_at: both dialects, where paths depend on the place.
        host: where it lives by default in a place.
        headers: further ones that each request carries.
    """

    name: str
    base_url: str | None
    dialect: Upstream = field(default_factory=OpenAIChat)
    auth: Auth = "bearer"
    keyless: bool = False
    forward_headers: tuple[str, ...] = ()
    embeddings: Embedder | None = field(default_factory=OpenAIEmbeddings)
    rate_limits: HeaderNames = rate_limits.STANDARD
    dialects_at: Callable[[Place], tuple[Upstream, Embedder | None]] | None = None
    host: Callable[[Place], str] | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def at(self, place: Place) -> "Adapter":
        """The adapter as one configured provider uses it."""
        if self.dialects_at is None:
            return self
        dialect, embeddings = self.dialects_at(place)
        return replace(self, dialect=dialect, embeddings=embeddings)

    def address(self, place: Place) -> str | None:
        """The base URL: the operator's, or that of the place, or the only one there is; `None` when nobody knows."""
        if place.base_url:
            return place.base_url
        return self.base_url if self.host is None else self.host(place)


def _azure_at(place: Place) -> tuple[Upstream, Embedder]:
    endpoint = azure(place.base_url, place.api_version)
    return OpenAIChat(endpoint=endpoint, newer_limit=_REASONING), OpenAIEmbeddings(endpoint=endpoint)


# OpenAI's reasoning models answer `max_tokens` with 400 unsupported_parameter (page "reasoning" of its guides, November
# 2026). Other servers of the dialect may know the older name alone, so only these names are looked at.
_REASONING: Final = re.compile(r"(?:^|/)(?:o[1-9]|gpt-[5-9])(?![a-z])")

_FAMILY: Final = (
    # Any compatible URL: nothing is assumed.
    Adapter(
        "openai",
        "https://api.openai.com/v1",
        dialect=OpenAIChat(newer_limit=_REASONING),
        rate_limits=rate_limits.OPENAI,
    ),
    Adapter(
        "azure",
        None,
        dialect=OpenAIChat(endpoint=Endpoint(deployments=True), newer_limit=_REASONING),
        auth="api-key",  # recorded 2026
        rate_limits=rate_limits.AZURE,
        dialects_at=_azure_at,
    ),
    Adapter(
        "groq",
        "https://api.groq.com/openai/v1",
        dialect=OpenAIChat(
            failures=failures.GROQ,
            # The first four: "400 if they are supplied", `n` above 1 (console.groq.com/docs/openai). The others:
            # fanenr/chatbot issue 21, skye-harris/hass_local_openai_llm issue 59. November 2026.
            refuses=frozenset({"logprobs", "top_logprobs", "logit_bias", "n", "store", "metadata"}),
        ),
        rate_limits=rate_limits.GROQ,
        embeddings=OpenAIEmbeddings(failures=failures.GROQ),
    ),
    Adapter(
        "mistral",
        "https://api.mistral.ai/v1",
        dialect=OpenAIChat(
            ask_for_usage=False,  # 422 (dnakov/anon-kode issue 53); usage comes unasked, recorded 2026
            output_limit="max_tokens",  # 422 for the other (editor-code-assistant/eca issue 231)
            renames=(("seed", "random_seed"),),
            # Unknown members are 422 `extra_forbidden`; these are OpenAI's that its schema lacks
            # (mistralai/client-python, chatcompletionrequest.py, November 2026).
            refuses=frozenset(
                {
                    "audio", "function_call", "functions", "logit_bias", "modalities", "prompt_cache_retention",
                    "safety_identifier", "store", "user", "verbosity", "web_search_options",
                }
            ),
            repairs=(CONTENT_LIST, MISSING_INDEX),
        ),
        rate_limits=rate_limits.MISTRAL,
    ),
    Adapter(
        "deepseek",
        "https://api.deepseek.com",
        # `max_completion_tokens` is taken and not kept to (earendil-works/pi issue 8018, November 2026).
        dialect=OpenAIChat(output_limit="max_tokens"),
    ),
    Adapter(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        dialect=OpenAIChat(repairs=(EMPTY_NAME,), failures=failures.DASHSCOPE),
        embeddings=OpenAIEmbeddings(failures=failures.DASHSCOPE),
    ),
    Adapter(
        "xai",
        "https://api.x.ai/v1",
        dialect=OpenAIChat(
            # Refused at any value, 0 too: the first by all models on sale (miaoxworld/NativeTavern issue 83), the
            # second as "not supported" (helidon-io/helidon issue 10601). November 2026.
            refuses=frozenset({"presence_penalty", "logit_bias"}),
        ),
        rate_limits=rate_limits.XAI,
    ),
    Adapter(
        "openrouter",
        "https://openrouter.ai/api/v1",
        # Usage always comes, asked or not (openrouter.ai/docs, November 2026); the switch does no harm.
        dialect=OpenAIChat(openrouter_members=True, failures=failures.OPENROUTER),
        forward_headers=("http-referer", "x-title", "x-openrouter-title", "x-openrouter-categories"),
        rate_limits=rate_limits.OPENROUTER,
        embeddings=OpenAIEmbeddings(openrouter_members=True, failures=failures.OPENROUTER),
    ),
    Adapter(
        "together",
        "https://api.together.xyz/v1",
        # docs.together.ai/docs/inference/chat/parameters, November 2026
        dialect=OpenAIChat(output_limit="max_tokens", failures=failures.TOGETHER),
        rate_limits=rate_limits.TOGETHER,
        embeddings=OpenAIEmbeddings(failures=failures.TOGETHER),
    ),
    Adapter(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        # docs.fireworks.ai/api-reference, November 2026
        dialect=OpenAIChat(output_limit="max_tokens", failures=failures.FIREWORKS),
        rate_limits=rate_limits.FIREWORKS,
        embeddings=OpenAIEmbeddings(failures=failures.FIREWORKS),
    ),
    Adapter(
        "cerebras",
        "https://api.cerebras.ai/v1",
        dialect=OpenAIChat(
            failures=failures.CEREBRAS,
            # `logit_bias` is checked and has no effect (pydantic/pydantic-ai pull 7653); the others were 422
            # (livekit/agents issue 1274). November 2026.
            refuses=frozenset({"logit_bias", "metadata", "store"}),
        ),
        rate_limits=rate_limits.CEREBRAS,
        embeddings=OpenAIEmbeddings(failures=failures.CEREBRAS),
    ),
    Adapter(
        "perplexity",
        "https://api.perplexity.ai",
        dialect=OpenAIChat(output_limit="max_tokens"),  # docs.perplexity.ai, November 2026
    ),
    Adapter(
        "moonshot",
        "https://api.moonshot.ai/v1",
        dialect=OpenAIChat(failures=failures.MOONSHOT),
        rate_limits=rate_limits.MOONSHOT,
        embeddings=OpenAIEmbeddings(failures=failures.MOONSHOT),
    ),
    Adapter(
        "zai",
        "https://api.z.ai/api/paas/v4",
        # docs.z.ai/guides/overview/concept-param, November 2026
        dialect=OpenAIChat(output_limit="max_tokens", failures=failures.ZAI),
        embeddings=OpenAIEmbeddings(failures=failures.ZAI),
    ),
    Adapter("huggingface", "https://router.huggingface.co/v1", rate_limits=rate_limits.HUGGINGFACE),
    Adapter(
        "ollama",
        "http://127.0.0.1:11434/v1",
        dialect=OpenAIChat(
            failures=failures.LOCAL,
            # Others are not read at all (ollama/ollama, openai/openai.go, November 2026).
            output_limit="max_tokens",
            refuses=frozenset({"n", "logit_bias"}),
        ),
        keyless=True,
        embeddings=OpenAIEmbeddings(failures=failures.LOCAL),
    ),
    Adapter("vllm", "http://127.0.0.1:8000/v1", dialect=OpenAIChat(failures=failures.LOCAL), keyless=True),
    Adapter(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        # Older servers read only this one (ggml-org/llama.cpp pull 19831, November 2026).
        dialect=OpenAIChat(output_limit="max_tokens", failures=failures.LOCAL),
        keyless=True,
        embeddings=OpenAIEmbeddings(failures=failures.LOCAL),
    ),
    Adapter(
        "lmstudio",
        "http://127.0.0.1:1234/v1",
        # lmstudio.ai/docs/developer/openai-compat, November 2026
        dialect=OpenAIChat(output_limit="max_tokens", failures=failures.LOCAL),
        keyless=True,
        embeddings=OpenAIEmbeddings(failures=failures.LOCAL),
    ),
    Adapter("sandbox", None, keyless=True, forward_headers=("x-sandbox-fail", "x-sandbox-pace-ms")),
)  # fmt: skip

# A foreign dialect is imported where it is made: a gateway loads those of its own providers alone, and starts sooner.


def _anthropic() -> Adapter:
    from providers.upstreams.anthropic.dialect import Anthropic, messages_path

    return Adapter(
        "anthropic",
        "https://api.anthropic.com",
        dialect=Anthropic(),
        auth="x-api-key",
        embeddings=None,
        rate_limits=rate_limits.ANTHROPIC,
        dialects_at=lambda place: (Anthropic(path=messages_path(place.base_url)), None),
        forward_headers=("anthropic-beta",),
        headers=(("anthropic-version", "2023-06-01"),),  # docs.claude.com/en/api/versioning, November 2026
    )


def _gemini() -> Adapter:
    from providers.upstreams.gemini.dialect import Gemini
    from providers.upstreams.gemini.embeddings import GeminiEmbeddings

    return Adapter(
        "gemini",
        "https://generativelanguage.googleapis.com",
        dialect=Gemini(),
        auth="x-goog-api-key",  # never in the address, which logs keep
        embeddings=GeminiEmbeddings(),
        dialects_at=lambda place: (Gemini.at(place.base_url), GeminiEmbeddings.at(place.base_url)),
    )


def _vertex() -> Adapter:
    from providers.upstreams.gemini.dialect import Gemini, vertex_host
    from providers.upstreams.gemini.embeddings import GeminiEmbeddings

    def at(place: Place) -> tuple[Upstream, Embedder]:
        whose = (place.base_url, place.project, place.location)
        return Gemini.at_vertex(*whose), GeminiEmbeddings.at_vertex(*whose)

    return Adapter(
        "vertex",
        None,
        dialect=Gemini(),
        auth="token",
        embeddings=GeminiEmbeddings(vertex=True),
        dialects_at=at,
        host=lambda place: vertex_host(place.location or "global"),
    )


def _bedrock() -> Adapter:
    from providers.upstreams.bedrock.dialect import BedrockConverse
    from providers.upstreams.bedrock.embeddings import BedrockEmbeddings

    return Adapter(
        "bedrock",
        None,
        dialect=BedrockConverse(),
        auth="sigv4",
        embeddings=BedrockEmbeddings(),
        host=lambda place: f"https://bedrock-runtime.{place.region}.amazonaws.com",
    )


def _cohere() -> Adapter:
    from providers.upstreams.cohere.dialect import CohereChat, CohereEmbeddings

    return Adapter(
        "cohere",
        "https://api.cohere.com",
        dialect=CohereChat(),
        embeddings=CohereEmbeddings(),
        dialects_at=lambda place: (CohereChat.at(place.base_url), CohereEmbeddings.at(place.base_url)),
    )


def _openai_responses() -> Adapter:
    from providers.upstreams.openai_responses.dialect import OpenAIResponses

    return Adapter(
        "openai-responses",
        "https://api.openai.com/v1",
        dialect=OpenAIResponses(),
        rate_limits=rate_limits.OPENAI,
    )


_FOREIGN: Final[Mapping[str, Callable[[], Adapter]]] = {
    "anthropic": _anthropic,
    "gemini": _gemini,
    "vertex": _vertex,
    "bedrock": _bedrock,
    "cohere": _cohere,
    "openai-responses": _openai_responses,
}


class _Registry(Mapping[str, Adapter]):
    """All of them by name; a foreign one is made when it is first asked for, and stays."""

    def __init__(self) -> None:
        self._made = {adapter.name: adapter for adapter in _FAMILY}
        self._names = (*self._made, *_FOREIGN)

    def __getitem__(self, name: str) -> Adapter:
        if name not in self._made:
            self._made[name] = _FOREIGN[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:  # else a look at the name alone would make it
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


REGISTRY: Final[Mapping[str, Adapter]] = _Registry()
