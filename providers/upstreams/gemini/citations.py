"""Sources of an answer as OpenAI's annotations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from providers.upstreams.openai_chat.chunks import object_of


class Citations:
    """The sources of one candidate, each told once: streams repeat them.

    Google counts in bytes, OpenAI in characters.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: set[tuple[str, int, int]] = set()

    def read(self, name: str, cited: Mapping[str, Any], text: Sequence[str]) -> list[dict[str, Any]]:
        """Annotations that are new, numbered: OpenAI's own package gathers the lists of a stream by `index`.

        Args:
            name: of the member that `cited` is.
            text: the answer so far.
        """
        listed = _grounding(cited) if name == "groundingMetadata" else _recited(cited)
        said = b""
        made: list[dict[str, Any]] = []
        for url, title, start_byte, end_byte in listed:
            if (url, start_byte, end_byte) in self._told:
                continue
            self._told.add((url, start_byte, end_byte))
            said = said or "".join(text).encode()
            citation = {
                "url": url,
                "title": title or url,
                "start_index": _chars(said, start_byte),
                "end_index": _chars(said, end_byte),
            }
            made.append({"type": "url_citation", "url_citation": citation, "index": len(self._told) - 1})
        return made


def _grounding(cited: Mapping[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    """Each source at each place that it supports; a source that supports none, without a place."""
    chunks = cited.get("groundingChunks")
    sources = [_source(chunk) for chunk in chunks] if isinstance(chunks, list) else []
    placed: set[int] = set()
    for support in _objects(cited.get("groundingSupports")):
        segment = object_of(support, "segment")
        numbers = support.get("groundingChunkIndices")
        for number in numbers if isinstance(numbers, list) else ():
            if isinstance(number, int) and 0 <= number < len(sources) and sources[number][0]:
                placed.add(number)
                yield (*sources[number], _place(segment, "startIndex"), _place(segment, "endIndex"))
    for number, (url, title) in enumerate(sources):
        if url and number not in placed:
            yield url, title, 0, 0


def _recited(cited: Mapping[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    for source in _objects(cited.get("citationSources") or cited.get("citations")):
        url = _string(source, "uri")
        if url:
            yield url, _string(source, "title"), _place(source, "startIndex"), _place(source, "endIndex")


def _source(chunk: Any) -> tuple[str, str]:
    """URL and title: of a page, a place on a map, or a document in the operator's own store."""
    if isinstance(chunk, dict):
        for name in ("web", "maps", "retrievedContext"):
            source = object_of(chunk, name)
            if url := _string(source, "uri"):
                return url, _string(source, "title")
    return "", ""


def _chars(said: bytes, at_byte: int) -> int:
    return len(said[:at_byte].decode(errors="ignore"))


def _place(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    return max(value, 0) if isinstance(value, int) else 0


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _string(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
