"""`reasoning_details`, OpenRouter's shape for reasoning that must come back: pieces of a stream as whole blocks."""

from collections.abc import Mapping
from typing import Any


def merged(details: Any) -> tuple[Mapping[str, Any], ...]:
    """`reasoning_details` as whole blocks: pieces that a client gathered from a stream are joined.

    Pieces belong together when type, index and id agree and follow one another; texts and summaries are joined, of
    other members the last that says something counts.
    """
    blocks: list[dict[str, Any]] = []
    for entry in details if isinstance(details, list) else ():
        if not isinstance(entry, dict):
            continue
        piece = _once(entry)
        last = blocks[-1] if blocks else None
        if (
            last is None
            or piece.get("index") is None
            or any(last.get(name) != piece.get(name) for name in ("type", "index"))
            or (piece.get("id") is not None and last.get("id") not in (None, piece["id"]))
        ):
            blocks.append(dict(piece))
            continue
        for name, value in piece.items():
            if name in ("text", "summary", "data") and isinstance(value, str):
                last[name] = (last.get(name) or "") + value
            elif value is not None:
                last[name] = value
    return tuple(blocks)


def _once(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry without repetitions: the stream helper of the `openai` package joins `format` and `id` of all pieces."""
    form = entry.get("format")
    if not isinstance(form, str) or not form:
        return entry
    period = (form + form).find(form, 1)
    times = len(form) // period
    if times == 1:
        return entry
    whole = {**entry, "format": form[:period]}
    block_id = entry.get("id")
    if isinstance(block_id, str) and block_id[: len(block_id) // times] * times == block_id:
        whole["id"] = block_id[: len(block_id) // times]
    return whole
