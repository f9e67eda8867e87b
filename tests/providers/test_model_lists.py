"""Where providers list their models, and how pages are read."""

import orjson
import pytest

from providers.model_lists import UNLISTED, ListError, Page, model_list
from providers.registry import REGISTRY


@pytest.mark.parametrize(
    ("adapter", "base_url", "expected"),
    [
        ("openai", "https://api.openai.com/v1", "/models"),
        ("groq", "https://api.groq.com/openai/v1", "/models"),
        ("anthropic", "https://api.anthropic.com", "/v1/models?limit=1000"),
        ("anthropic", "http://127.0.0.1:1/v1", "/models?limit=1000"),
        ("gemini", "https://generativelanguage.googleapis.com", "/v1beta/models?pageSize=1000"),
        ("gemini", "http://127.0.0.1:1/v1beta", "/models?pageSize=1000"),
        ("cohere", "https://api.cohere.com", "/v1/models?page_size=1000"),
    ],
)
def test_where(adapter: str, base_url: str, expected: str) -> None:
    """Appended to the base URL, whether or not that ends in a version."""
    listed = model_list(adapter, base_url)
    assert listed is not None
    assert expected == listed.path


@pytest.mark.parametrize("adapter", sorted(REGISTRY))
def test_every_adapter_has_a_list_or_is_known_to_have_none(adapter: str) -> None:
    """A new adapter gets the common list unless somebody says otherwise."""
    assert (adapter in UNLISTED) == (model_list(adapter, "http://127.0.0.1:1/v1") is None)


@pytest.mark.parametrize(
    ("adapter", "body", "expected"),
    [
        ("openai", {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}, Page(frozenset("ab"), None)),
        ("together", [{"id": "a"}, {"name": "b"}, 5], Page(frozenset("a"), None)),
        ("anthropic", {"data": [{"id": "a"}], "has_more": False, "last_id": "a"}, Page(frozenset("a"), None)),
        (
            "anthropic",
            {"data": [{"id": "a"}], "has_more": True, "last_id": "a/ä"},
            Page(frozenset("a"), "/v1/models?limit=1000&after_id=a%2F%C3%A4"),
        ),
        (
            "gemini",
            {"models": [{"name": "models/a"}], "nextPageToken": "n="},
            Page(frozenset("a"), "/v1beta/models?pageSize=1000&pageToken=n%3D"),
        ),
        ("gemini", {"models": []}, Page(frozenset(), None)),
        ("cohere", {"models": [{"name": "a"}], "next_page_token": ""}, Page(frozenset("a"), None)),
    ],
)
def test_pages(adapter: str, body: object, expected: Page) -> None:
    """Names and the path of the next page."""
    listed = model_list(adapter, "https://api.example.com")
    assert listed is not None
    assert expected == listed.read(listed.path, orjson.dumps(body))


def test_the_page_after_the_next_replaces_the_token() -> None:
    """It is not appended to the one before."""
    listed = model_list("gemini", "https://api.example.com")
    assert listed is not None
    second = listed.read(f"{listed.path}&pageToken=one", b'{"models": [], "nextPageToken": "two"}')
    assert f"{listed.path}&pageToken=two" == second.following


@pytest.mark.parametrize(
    ("adapter", "body", "expected"),
    [
        ("openai", b"<html>", "it is no JSON"),
        ("openai", b'{"data": null}', "it holds no list of models"),
        ("anthropic", b"[]", "it is no object"),
        ("gemini", b'{"models": {}}', "it holds no list of models"),
    ],
)
def test_nonsense(adapter: str, body: bytes, expected: str) -> None:
    """An answer that is no list is no empty list."""
    listed = model_list(adapter, "https://api.example.com")
    assert listed is not None
    with pytest.raises(ListError, match=expected):
        listed.read(listed.path, body)
