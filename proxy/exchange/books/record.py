"""What happened to one request, gathered while it happens; said in the `headgate` block, headers, log and metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from providers.finishes import NOT_SAID, Finish
from providers.types import UpstreamError, Usage
from proxy.exchange.books.metering import cost_microusd
from proxy.routing.catalogue.types import Price
from proxy.routing.explain import reasons_of
from proxy.routing.plans import Plan
from proxy.routing.policy import Attempt

_MICRO: Final = 1_000_000

Kind = Literal["answer", "stage", "hedge", "micro"]


@dataclass(slots=True)
class Try:
    """One attempt.

    `outcome` is empty while it runs; `cost_microusd` is `None` when its price is unknown; `dropped` names members
    of the request that this backend does not take and that do not change the answer; `tokens` are those that
    it is billed for, `usage` says of which kinds; `None` when it is billed nothing; `kind` is what it was for;
    `sent_s` is when it was sent, 0 before; `provider_key_id` is opaque, empty where there is none;
    `slowed`: the client kept the provider waiting.
    """

    attempt: Attempt
    began_s: float
    outcome: str = ""
    status: int = 0
    elapsed_s: float = 0.0
    cost_microusd: int | None = 0
    dropped: tuple[str, ...] = ()
    tokens: int = 0
    kind: Kind = "answer"
    usage: Usage | None = None
    provider_key_id: str = ""
    sent_s: float = 0.0
    slowed: bool = False

    def public(self) -> dict[str, Any]:
        """As it stands in `attempts`."""
        return {
            "backend": self.attempt.backend.id,
            "kind": self.kind,
            "outcome": self.outcome,
            "status": self.status,
            "ms": round(self.elapsed_s * 1000),
            "cost_usd": usd(self.cost_microusd),
        }


class Record:
    """One request, from its arrival to its settlement.

    Attributes:
        request_id: made here; also the generation id.
        key_id, customer_id: who asked.
        client_request_id: the client's own name for it, if it sent one.
        asked: the model or tier named in the request.
        tags: of the customer, the key and the request itself.
        tries: attempts so far, the running one last.
        answering: the attempt at an answer that runs or ran last; `None` before the first.
        tokens, cost_microusd: all that was billed so far; `None`: a price is unknown.
        usage: of the answer seen; reported or estimated.
        finish: why the answer seen ended, as far as it says so.
        first_content_s: when the first content came, 0 before.
        client_headers: names in lower case.
        finished: an answer or an error has been given; nothing more is added.
    """

    __slots__ = (
        "_clock", "answering", "arrived_s", "asked", "client_headers", "client_request_id", "cost_microusd",
        "customer_id", "finish", "finished_s", "first_content_s", "key_id", "outcome", "plan", "request_id", "status",
        "stream", "tags", "tokens", "tries", "usage",
    )  # fmt: skip

    def __init__(
        self, request_id: str, *, arrived_s: float, key_id: str, customer_id: str, clock: Callable[[], float]
    ) -> None:
        self.request_id = request_id
        self.key_id = key_id
        self.customer_id = customer_id
        self.client_request_id: str | None = None
        self.arrived_s = arrived_s
        self._clock = clock
        self.asked = ""
        self.stream = False
        self.tags: tuple[str, ...] = ()
        self.plan: Plan | None = None
        self.tries: list[Try] = []
        self.answering: Attempt | None = None
        self.tokens = 0
        self.cost_microusd: int | None = 0
        self.usage: Usage | None = None
        self.finish: Finish = NOT_SAID
        self.client_headers: Sequence[tuple[bytes, bytes]] = ()
        self.first_content_s = 0.0
        self.finished_s = 0.0
        self.status = 0
        self.outcome = ""

    def begin_try(
        self, attempt: Attempt, dropped: tuple[str, ...] = (), *, provider_key_id: str = ""
    ) -> None:
        """A request is about to be sent to a backend."""
        self.answering = attempt
        self.tries.append(Try(attempt, self._clock(), dropped=dropped, provider_key_id=provider_key_id))

    def send_try(self) -> None:
        """The running attempt has its place and is sent now."""
        self.tries[-1].sent_s = self._clock()

    def restart_try(self) -> None:
        """The running attempt met a dead connection and starts over: nobody's failure."""
        self.tries[-1].began_s = self._clock()

    def first_content(self) -> None:
        """The first content has come."""
        self.first_content_s = self._clock()

    def end_try(self, outcome: str, *, status: int, usage: Usage | None = None) -> None:
        """The running attempt is over.

        Args:
            outcome: `ok`, `client_gone`, `cancelled`, `lost` or the kind of a failure.
            status: the provider's, 0 when there was none.
            usage: what it is billed for; `None` for nothing.
        """
        current = self.tries[-1]
        if current.outcome:
            return
        current.outcome = outcome
        current.status = status
        current.elapsed_s = self._clock() - current.began_s
        if usage is not None:
            self.usage = current.usage = usage
            current.tokens = usage.input_tokens + usage.output_tokens
            current.cost_microusd = _cost(current.attempt.backend.price, usage)
            self._billed(current)

    def fail_try(self, error: UpstreamError, usage: Usage | None = None) -> None:
        """The running attempt has failed; `usage` is what it is billed for all the same."""
        self.end_try(error.kind, status=error.status, usage=usage)

    def took(self, other: "Record", kind: Kind) -> None:
        """What another record's attempts were for this request: they are billed and listed with its own."""
        for each in other.tries:
            each.kind = kind
            self._billed(each)
        self.tries += other.tries

    def _billed(self, ended: Try) -> None:
        self.tokens += ended.tokens
        if self.cost_microusd is not None:
            cost = ended.cost_microusd
            self.cost_microusd = None if cost is None else self.cost_microusd + cost

    @property
    def running(self) -> bool:
        """Whether an attempt is under way."""
        return bool(self.tries) and not self.tries[-1].outcome

    @property
    def current(self) -> Attempt:
        """The attempt that runs or ran last."""
        return self.tries[-1].attempt

    def attempts(self) -> list[dict[str, Any]]:
        """As shown to clients."""
        return [each.public() for each in self.tries]

    def block(self) -> bytes:
        """The `headgate` member of an answer, as JSON."""
        now = self._clock()
        plan = self.plan
        assert plan is not None
        verdict = plan.verdict
        return orjson.dumps(
            {
                "request_id": self.request_id,
                "tier": plan.tier,
                "model": self.current.model,
                "provider": self.current.backend.provider,
                "decision": {
                    "source": verdict.source,
                    "complexity": verdict.complexity,
                    "task_type": verdict.task_type,
                    "confidence": verdict.confidence,
                    "rule": verdict.rule,
                    "domain": verdict.domain,
                    "raised": plan.raised,
                },
                **self._routing(plan),
                "attempts": self.attempts(),
                "cost_usd": usd(self.cost_microusd),
                "latency_ms": round((now - self.arrived_s) * 1000),
                "ttft_ms": self.ttft_ms,
                "overhead_ms": self.overhead_ms(now),
            }
        )

    def _routing(self, plan: Plan) -> dict[str, Any]:
        """Why the answer comes from where it comes from; nothing to say where a model was named and answers."""
        if plan.tier is None and not plan.ignored:
            return {}
        return {
            "routing": {
                "strategy": plan.strategy,
                "because": plan.because,
                "lowered_from": plan.lowered_from,
                "ignored_models": plan.ignored,
                "reasons": reasons_of(plan, self.current),
            }
        }

    @property
    def ttft_ms(self) -> int | None:
        """From arrival to the first content; `None` before."""
        return round((self.first_content_s - self.arrived_s) * 1000) if self.first_content_s else None

    def overhead_ms(self, now_s: float) -> float:
        """What the gateway itself took: all time since arrival that no attempt ran."""
        own_s = now_s - self.arrived_s
        for each in self.tries:
            own_s -= each.elapsed_s if each.outcome else now_s - each.began_s
        return round(max(0.0, own_s) * 1000, 1)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer says of its way, for the attempt that runs or ran last."""
        plan = self.plan
        said = [(b"x-headgate-attempts", b"%d" % len(self.tries))]
        if (answering := self.answering) is not None:
            said += [
                (b"x-headgate-model", answering.model.encode()),
                (b"x-headgate-provider", answering.backend.provider.encode()),
            ]
            if dropped := self.tries[-1].dropped:
                said.append((b"x-headgate-dropped-params", ", ".join(dropped).encode()))
        if plan is not None and plan.tier is not None:
            said.append((b"x-headgate-tier", plan.tier.encode()))
        if plan is not None and plan.lowered_from is not None:
            said.append((b"x-headgate-tier-lowered", plan.lowered_from.encode()))
        return said

    def log_fields(self) -> dict[str, Any]:
        """One structured log line, made anew; never a prompt, an answer or a key."""
        now = self.finished_s or self._clock()
        fields: dict[str, Any] = {
            "headgate.request_id": self.request_id,
            "headgate.key_id": self.key_id,
            "headgate.customer_id": self.customer_id,
            "gen_ai.request.model": self.asked,
            "headgate.stream": self.stream,
            "headgate.outcome": self.outcome,
            "http.response.status_code": self.status,
            "headgate.attempts": self.attempts(),
            "headgate.ttft_ms": self.ttft_ms,
            "headgate.total_ms": round((now - self.arrived_s) * 1000),
            "headgate.overhead_ms": self.overhead_ms(now),
        }
        if (answering := self.answering) is not None:
            fields["headgate.model"] = answering.model
            fields["headgate.backend"] = answering.backend.id
        if self.tries:
            fields["headgate.provider_key"] = self.tries[-1].provider_key_id
            fields["headgate.cost_usd"] = usd(self.cost_microusd)
        if self.plan is not None:
            fields["headgate.tier"] = self.plan.tier
            fields["headgate.decision.source"] = self.plan.verdict.source
            fields["headgate.decision.complexity"] = self.plan.verdict.complexity
            fields["headgate.decision.rule"] = self.plan.verdict.rule
            fields["headgate.decision.because"] = self.plan.because
        if self.client_request_id is not None:
            fields["headgate.client_request_id"] = self.client_request_id
        if self.usage is not None:
            fields["gen_ai.usage.input_tokens"] = self.usage.input_tokens
            fields["gen_ai.usage.output_tokens"] = self.usage.output_tokens
            fields["headgate.usage.cache_read_tokens"] = self.usage.cache_read_tokens
            fields["headgate.usage.estimated"] = self.usage.estimated
        return fields


def usd(microusd: int | None) -> float | None:
    """Micro-dollars as dollars, for JSON."""
    return None if microusd is None else microusd / _MICRO


def _cost(price: Price | None, usage: Usage) -> int | None:
    if price is None:
        return None
    return cost_microusd(
        price,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
