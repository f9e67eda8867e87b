"""What models a provider has now: where its list lies and how it is read. Values in, values out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson


class ListError(Exception):
    """An answer is no list of models; the message says what is wrong with it."""


class Page(NamedTuple):
    """A part of a list. `following` is the path of the next one, `None` when there is none."""

    models: frozenset[str]
    following: str | None


@dataclass(frozen=True, slots=True)
class ModelList:
    """Where a provider's list begins, appended to its base URL, and how a page of it is read: of the path and body."""

    path: str
    read: Callable[[str, bytes], Page]


# Azure names deployments, which only its control plane lists; so does Bedrock with models and profiles, and Vertex with
# those of a project. Perplexity documents no list (docs.perplexity.ai, November 2026). The sandbox is ours.
UNLISTED: Final = frozenset({"azure", "bedrock", "vertex", "perplexity", "sandbox"})


def model_list(adapter: str, base_url: str) -> ModelList | None:
    """The list of a provider by its adapter's name; `None` where there is none that its key may read."""
    if adapter in UNLISTED:
        return None
    if adapter == "anthropic":
        prefix = "" if base_url.endswith("/v1") else "/v1"
        return ModelList(f"{prefix}/models?limit=1000", _anthropic)
    if adapter == "gemini":
        prefix = "" if base_url.endswith(("/v1beta", "/v1")) else "/v1beta"
        return ModelList(f"{prefix}/models?pageSize=1000", _gemini)
    if adapter == "cohere":
        prefix = "" if base_url.endswith(("/v1", "/v2")) else "/v1"
        return ModelList(f"{prefix}/models?page_size=1000", _cohere)
    return ModelList("/models", _openai)


def _openai(_: str, body: bytes) -> Page:
    """`data`, or the list alone as Together has it."""
    answer = _json(body)
    entries = answer.get("data") if isinstance(answer, Mapping) else answer
    return Page(_names(entries, "id"), None)


def _anthropic(path: str, body: bytes) -> Page:
    """Paged by the last id (docs.claude.com/en/api/models-list, November 2026)."""
    answer = _members(body)
    models = _names(answer.get("data"), "id")
    last = answer.get("last_id")
    following = None
    if answer.get("has_more") is True and isinstance(last, str):
        following = f"{path.partition('&')[0]}&after_id={quote(last, safe='')}"
    return Page(models, following)


def _gemini(path: str, body: bytes) -> Page:
    """Names begin with `models/` (ai.google.dev/api/models, November 2026)."""
    answer = _members(body)
    models = frozenset(name.removeprefix("models/") for name in _names(answer.get("models"), "name"))
    return Page(models, _next(path, answer.get("nextPageToken"), "pageToken"))


def _cohere(path: str, body: bytes) -> Page:
    """docs.cohere.com/reference/list-models, November 2026."""
    answer = _members(body)
    return Page(
        _names(answer.get("models"), "name"), _next(path, answer.get("next_page_token"), "page_token")
    )


def _next(path: str, token: Any, key: str) -> str | None:
    if not isinstance(token, str) or not token:
        return None
    return f"{path.partition('&')[0]}&{key}={quote(token, safe='')}"


def _names(entries: Any, key: str) -> frozenset[str]:
    if not isinstance(entries, list):
        raise ListError("it holds no list of models")
    names = (entry.get(key) if isinstance(entry, Mapping) else None for entry in entries)
    return frozenset(name for name in names if isinstance(name, str))


def _members(body: bytes) -> Mapping[str, Any]:
    answer = _json(body)
    if not isinstance(answer, Mapping):
        raise ListError("it is no object")
    return answer


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ListError("it is no JSON") from error
