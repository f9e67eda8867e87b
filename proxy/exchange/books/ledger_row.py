"""What the ledger keeps of a request, as it is written and as it is read again. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from proxy.exchange.books.record import Record, usd
from proxy.exchange.errors import Refused
from proxy.routing.plans import Plan
from ratelimit.limits.types import Row
from ratelimit.subjects.records import is_tag
from ratelimit.subjects.types import TAGS_MAX

_FORM: Final = 1
"""Of the array that a row is; another order gets another number."""
_NO_ERROR: Final = ("ok", "client_gone")
_TAGS_MAX: Final = (
    f"headgate.tags: must be a list of at most {TAGS_MAX} words, each 1 to 64 letters, digits or '_.:/=-'"
)


class Group(NamedTuple):
    """Whose figures these are. `tags`: `None` on a day that had too many different ones."""

    key: str
    model: str
    backend: str
    tags: tuple[str, ...] | None


class Figures(NamedTuple):
    """What is summed up for each group and day.

    Attributes:
        errors: requests that got no whole answer, but for those whose client left.
        input_tokens, output_tokens: whole; the cached parts of the prompt and the reasoning are within.
        estimated: requests whose tokens are our estimate.
        unpriced: requests whose cost is not known; nothing of them is in `cost_microusd`.
    """

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_microusd: int = 0
    estimated: int = 0
    unpriced: int = 0

    def plus(self, other: "Figures") -> "Figures":
        return Figures(*map(int.__add__, self, other))


def tags_of(subject_tags: tuple[str, ...], members: Mapping[str, Any]) -> tuple[str, ...]:
    """The subject's tags, then those of the request's `headgate.tags`; no repeats.

    Raises:
        Refused: these are no tags.
    """
    block = members.get("headgate")
    tags = block.get("tags") if isinstance(block, dict) else None
    if tags is None:
        return subject_tags
    sound = isinstance(tags, list) and len(tags) <= TAGS_MAX
    if not sound or not all(isinstance(tag, str) and is_tag(tag) for tag in tags):
        raise Refused("invalid_request", _TAGS_MAX, param="headgate.tags")
    return tuple(dict.fromkeys((*subject_tags, *tags)))


def about_of(asked: str, plan: Plan | None) -> bytes:
    """What is kept with the money held for a request: all that is known of it should its gateway die.

    Args:
        asked: the name in the request.
        plan: `None` while a micro-classifier is asked what it is.
    """
    return orjson.dumps((asked, None if plan is None else plan.attempts[0].backend.id))


def about_members(about: bytes) -> dict[str, str | None]:
    """What `about_of` has said, as administrators see it; both are `None` for what was held without it.

    `backend` is the first of the plan: which ones were asked, only the gateway that died knew.
    """
    asked, backend = orjson.loads(about) if about else (None, None)
    return {"asked": asked, "backend": backend}


def row_of(record: Record, now_s: float) -> Row:
    """The row of a request that is over.

    Args:
        now_s: seconds since the epoch, when it finished.
    """
    answering = record.answering
    model, backend = ("", "") if answering is None else (answering.model, answering.backend.id)
    cost = record.cost_microusd
    figures = _figures(record, cost)
    text = orjson.dumps(
        (
            _FORM,
            record.request_id,
            record.key_id,
            record.asked,
            record.plan.tier if record.plan is not None else None,
            model,
            backend,
            figures[2:7],
            cost,
            figures.estimated,
            record.outcome,
            record.status,
            record.tags,
            round((now_s - (record.finished_s - record.arrived_s)) * 1000),
            [
                (each.attempt.backend.id, each.outcome, each.status, each.tokens, each.cost_microusd)
                for each in record.tries
            ],
        )
    )
    group = orjson.dumps((record.key_id, model, backend, record.tags))
    # Copied: orjson reserves 4 kB for each, which would count where many wait for the store.
    return Row(memoryview(text).tobytes(), memoryview(group).tobytes(), figures)


def _figures(record: Record, cost_microusd: int | None) -> Figures:
    inputs = outputs = reads = writes = reasoning = 0
    estimated = False
    for each in record.tries:
        usage = each.usage
        if usage is not None:
            inputs += usage.input_tokens
            outputs += usage.output_tokens
            reads += usage.cache_read_tokens
            writes += usage.cache_write_tokens
            reasoning += usage.reasoning_tokens
            estimated = estimated or usage.estimated
    return Figures(
        1,
        int(record.outcome not in _NO_ERROR),
        inputs,
        outputs,
        reads,
        writes,
        reasoning,
        cost_microusd or 0,
        int(estimated),
        int(cost_microusd is None),
    )


def group_of(text: bytes) -> Group:
    """What `Row.group` says."""
    key, model, backend, tags = orjson.loads(text)
    return Group(key, model, backend, None if tags is None else tuple(tags))


def members_of(text: bytes, customer_id: str, row_id: str, settled_ms: int) -> dict[str, Any]:
    """A row as administrators see it."""
    (
        _, request_id, key_id, asked, tier, model, backend, kinds, cost, estimated, outcome, status, tags, arrived_ms,
        attempts,
    ) = orjson.loads(text)  # fmt: skip
    inputs, outputs, reads, writes, reasoning = kinds
    return {
        "id": row_id,
        "request_id": request_id,
        "customer": customer_id,
        "key": key_id,
        "asked": asked,
        "tier": tier,
        "model": model or None,
        "backend": backend or None,
        "outcome": outcome,
        "status": status,
        "input_tokens": inputs,
        "output_tokens": outputs,
        "cache_read_tokens": reads,
        "cache_write_tokens": writes,
        "reasoning_tokens": reasoning,
        "cost_usd": usd(cost),
        "estimated": bool(estimated),
        "tags": tags,
        "arrived_at": time_text(arrived_ms),
        "settled_at": time_text(settled_ms),
        "attempts": [
            {"backend": name, "outcome": ended, "status": said, "tokens": tokens, "cost_usd": usd(microusd)}
            for name, ended, said, tokens, microusd in attempts
        ],
    }


def time_text(at_ms: int) -> str:
    """ISO 8601 in UTC, whole milliseconds: `2025-01-31T12:00:00.250Z`."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
