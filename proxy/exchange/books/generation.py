"""What is kept of a request that is over: as it is written, and as its customer reads it. No text, no key.

It is written after the answer has left, and at once: what is kept waiting would hold the whole request in memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import orjson

from proxy.exchange.books.ledger_row import time_text
from proxy.exchange.books.record import Record, usd
from proxy.routing.explain import verdict_json
from proxy.routing.proof import Chosen, chosen_from_json, chosen_of
from proxy.routing.replay import InputsWriter
from proxy.routing.types import Verdict

_FORM: Final = 1
"""Of the array that a record is; another order gets another number."""
_ORIGIN_MAX_CHARS: Final = 200
_ORIGINS: Final = (b"http-referer", b"referer")
_API_TYPES: Final[Mapping[str, str]] = {"chat/completions": "completions"}


class Tokens(NamedTuple):
    """Of the answer seen, in the words of `Usage`."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    provider_cost_usd: float | None
    estimated: bool


class Tried(NamedTuple):
    """One attempt, in the words of `Try`."""

    backend: str
    provider: str
    model: str
    kind: str
    outcome: str
    status: int
    ms: int
    cost_microusd: int | None

    def public(self) -> dict[str, Any]:
        """As it stands in `attempts`."""
        return {
            "backend": self.backend,
            "kind": self.kind,
            "outcome": self.outcome,
            "status": self.status,
            "ms": self.ms,
            "cost_usd": usd(self.cost_microusd),
        }


class Generation(NamedTuple):
    """A past request.

    Attributes:
        arrived_ms: since the epoch.
        latency_ms: from arrival to the end; `ttft_ms` to the first content, `None` where none came.
        cost_microusd: all that was billed for it; `None`: a price is unknown.
        finish: the finish reason the client saw, and the provider's own where it was another.
        origin: scheme and host of the site that the client says it is.
        chosen: what the plan came to; `None`: it got none.
        catalogue: fingerprint of the one it was planned with.
        inputs: what it was made of, as `InputsWriter` writes it; `None` where nothing was weighed.
    """

    request_id: str
    customer_id: str
    key_id: str
    client_request_id: str | None
    asked: str
    operation: str
    streamed: bool
    arrived_ms: int
    latency_ms: int
    ttft_ms: int | None
    overhead_ms: float
    outcome: str
    status: int
    tokens: Tokens | None
    cost_microusd: int | None
    finish: tuple[str | None, str | None]
    origin: str
    tags: tuple[str, ...]
    tries: tuple[Tried, ...]
    verdict: Verdict | None
    chosen: Chosen | None
    catalogue: str
    inputs: dict[str, Any] | None


class Keeps(Protocol):
    """The store's records; see `ratelimit.memory.generations`."""

    @property
    def keeps(self) -> bool: ...
    def put(self, customer_id: str, generation_id: str, blob: bytes) -> None: ...


class Log(Protocol):
    """A structured logger."""

    def error(self, event: str, **fields: object) -> object: ...


class Generating:
    """Keeps records of requests. One per configuration."""

    def __init__(self, store: Keeps, catalogue: str, log: Log, *, wall_clock_s: Callable[[], float]) -> None:
        """`catalogue`: its fingerprint."""
        self._store = store
        self._catalogue = catalogue
        self._log = log
        self._wall_clock_s = wall_clock_s
        self._inputs = InputsWriter()
        self._logged: set[str] = set()

    def keep(self, record: Record) -> None:
        """Keep a request that is over, unless nothing was ever sent for it. Never waits, and never fails."""
        if not record.tries or not self._store.keeps:
            return
        try:
            blob = written(record, self._catalogue, self._inputs, self._wall_clock_s())
        except Exception as fault:  # noqa: BLE001 - cleaning up: a record that cannot be written fails no request
            kind = type(fault).__name__
            if kind not in self._logged:
                self._logged.add(kind)
                self._log.error("a request is not recorded; nor are others like it", exc_info=fault)
            return
        self._store.put(record.customer_id, record.request_id, blob)


def written(record: Record, catalogue: str, inputs: InputsWriter, now_s: float) -> bytes:
    """A request as it is kept.

    Args:
        now_s: seconds since the epoch, when it finished.
    """
    plan, usage = record.plan, record.usage
    seconds = record.finished_s - record.arrived_s
    text = orjson.dumps(
        (
            _FORM,
            record.request_id,
            record.customer_id,
            record.key_id,
            record.client_request_id,
            record.asked,
            "chat/completions" if plan is None or plan.grounds is None else plan.grounds.facts.operation,
            record.stream,
            round((now_s - seconds) * 1000),
            round(seconds * 1000),
            record.ttft_ms,
            record.overhead_ms(record.finished_s),
            record.outcome,
            record.status,
            None
            if usage is None
            else (
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
                usage.provider_cost_usd,
                usage.estimated,
            ),
            record.cost_microusd,
            tuple(record.finish),
            _origin(record.client_headers),
            record.tags,
            [
                (
                    each.attempt.backend.id,
                    each.attempt.backend.provider,
                    each.attempt.model,
                    each.kind,
                    each.outcome,
                    each.status,
                    round(each.elapsed_s * 1000),
                    each.cost_microusd,
                )
                for each in record.tries
            ],
            None if plan is None else plan.verdict,
            None if plan is None else tuple(chosen_of(plan)),
            catalogue,
            None if plan is None else inputs.of(plan),
        )
    )
    # Copied: orjson reserves 4 kB for each, which would count where many wait for the store.
    return memoryview(text).tobytes()


def read(blob: bytes) -> Generation | None:
    """What `written` wrote; `None` for another version's."""
    form, *rest = orjson.loads(blob)
    if form != _FORM:
        return None
    found = Generation(*rest)
    inputs = found.inputs
    if inputs is not None:
        inputs["verdict"] = {name: each for name, each in rest[-4].items() if each is not None}
    return found._replace(
        tokens=None if found.tokens is None else Tokens(*found.tokens),
        finish=tuple(found.finish),  # type: ignore[arg-type] # JSON made lists of all tuples
        tags=tuple(found.tags),
        tries=tuple(Tried(*each) for each in found.tries),
        verdict=None if found.verdict is None else Verdict(**rest[-4]),
        chosen=None if found.chosen is None else chosen_from_json(rest[-3]),
    )


def members_of(generation: Generation) -> dict[str, Any]:
    """In OpenRouter's words, as its API page "Get request & usage metadata for a generation" has them.

    What is not known here is `null`, and what cannot be is said so: no key of the caller's own was used.
    """
    answering = next((each for each in reversed(generation.tries) if each.kind != "micro"), None)
    tokens = generation.tokens
    inputs, outputs = (None, None) if tokens is None else (tokens.input_tokens, tokens.output_tokens)
    cost_usd = usd(generation.cost_microusd)
    reason, native = generation.finish
    return {
        "id": generation.request_id,
        "request_id": generation.request_id,
        "upstream_id": None,
        "model": None if answering is None else answering.model,
        "provider_name": None if answering is None else answering.provider,
        "api_type": _API_TYPES.get(generation.operation, generation.operation),
        "created_at": time_text(generation.arrived_ms),
        "streamed": generation.streamed,
        "cancelled": generation.outcome in ("client_gone", "cancelled"),
        "finish_reason": reason,
        "native_finish_reason": native or reason,
        "latency": generation.latency_ms,
        "generation_time": _generation_ms(generation),
        "moderation_latency": None,
        "tokens_prompt": inputs,
        "tokens_completion": outputs,
        "native_tokens_prompt": inputs,
        "native_tokens_completion": outputs,
        "native_tokens_reasoning": None if tokens is None else tokens.reasoning_tokens,
        "native_tokens_cached": None if tokens is None else tokens.cache_read_tokens,
        "total_cost": cost_usd,
        "usage": cost_usd,
        "upstream_inference_cost": None if tokens is None else tokens.provider_cost_usd,
        "cache_discount": None,
        "is_byok": False,
        "origin": generation.origin,
        "router": None if generation.chosen is None or generation.chosen.tier is None else generation.asked,
        "session_id": None,
        "preset_id": None,
        "provider_responses": [
            {
                "provider_name": each.provider,
                "model_permaslug": each.model,
                "status": each.status,
                "latency": each.ms,
                "is_byok": False,
            }
            for each in generation.tries
            if each.kind != "micro"
        ],
    }


def block_of(generation: Generation) -> dict[str, Any]:
    """The `headgate` block of its answer, and how it ended."""
    chosen, answering = generation.chosen, generation.tries[-1]
    decision = None if generation.verdict is None else verdict_json(generation.verdict)
    if decision is not None and chosen is not None:
        decision["raised"] = chosen.raised
    return {
        "request_id": generation.request_id,
        "client_request_id": generation.client_request_id,
        "key": generation.key_id,
        "asked": generation.asked,
        "tier": None if chosen is None else chosen.tier,
        "model": answering.model,
        "provider": answering.provider,
        "decision": decision,
        "routing": None
        if chosen is None
        else {
            "strategy": chosen.strategy,
            "because": chosen.because,
            "lowered_from": chosen.lowered_from,
            "ignored_models": list(chosen.ignored),
            "planned": [backend for backend, _ in chosen.attempts],
        },
        "outcome": generation.outcome,
        "status": generation.status,
        "attempts": [each.public() for each in generation.tries],
        "estimated": generation.tokens is not None and generation.tokens.estimated,
        "tags": list(generation.tags),
        "cost_usd": usd(generation.cost_microusd),
        "latency_ms": generation.latency_ms,
        "ttft_ms": generation.ttft_ms,
        "overhead_ms": generation.overhead_ms,
    }


def _generation_ms(generation: Generation) -> int | None:
    """How long the answer was being given: a stream from its first content on, else as long as the attempt took."""
    if generation.ttft_ms is None:
        return None
    if generation.streamed:
        return generation.latency_ms - generation.ttft_ms
    return generation.tries[-1].ms


def _origin(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Scheme and host alone: what follows may hold what is nobody's business."""
    for name, value in headers:
        if name in _ORIGINS:
            try:
                parts = urlsplit(value.decode("latin-1"))
            except ValueError:
                return ""
            if parts.scheme and parts.hostname:
                return f"{parts.scheme}://{parts.hostname}"[:_ORIGIN_MAX_CHARS]
    return ""
