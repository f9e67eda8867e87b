"""What a request would be taken for, asked by an administrator; nothing of it is kept."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer
from proxy.admin.bodies import ClassifyBody
from proxy.admin.reading import read_body
from proxy.exchange.arrival import Arrival
from proxy.exchange.books.record import Record, Try
from proxy.exchange.choice.judging import Judge
from proxy.exchange.choice.micro_call import MicroCalls, Nobody, Terms
from proxy.exchange.errors import Refused
from proxy.exchange.money.bounds import Bound
from proxy.routing.affinity import entry
from proxy.routing.catalogue.types import Catalogue
from proxy.routing.policy import mode_of
from proxy.routing.verdicts import verdict_told
from ratelimit.subjects.types import Subject

ADMINISTRATOR: Final = "-administrator"
"""No customer can be called so: what is remembered of these calls is nobody else's."""

_BOTH_OR_NEITHER: Final = "give `prompt` or `messages`, one of the two"
_NO_MICRO: Final = "no micro-classifier is configured (`routing.classifier.micro_model`)"


class ClassifyDesk:
    """Its endpoint."""

    def __init__(
        self,
        judge: Judge,
        micro: MicroCalls | None,
        catalogue: Catalogue,
        metered: Callable[[Sequence[Try]], None],
        *,
        min_confidence: float,
        clock: Callable[[], float],
    ) -> None:
        """
        Args:
            metered: told what a micro-classifier was asked, since no request's record does.
            clock: monotonic, in seconds.
        """
        self._judge = judge
        self._micro = micro
        self._catalogue = catalogue
        self._metered = metered
        self._min_confidence = min_confidence
        self._clock = clock

    async def classify(self, request: Request) -> Response:
        """The verdict, and the tier it means. A micro-classifier is asked only where the body says so."""
        body = await read_body(request, ClassifyBody)
        if (body.prompt is None) == (body.messages is None):
            raise Refused("invalid_request", _BOTH_OR_NEITHER)
        mode = mode_of(body.mode, self._catalogue)
        if mode is None:
            known = ", ".join(sorted(self._catalogue.modes))
            raise Refused(
                "invalid_request", f"no mode is called `{body.mode}`; there are {known}", param="mode"
            )
        if body.micro and self._micro is None:
            raise Refused("invalid_request", _NO_MICRO, param="micro")
        messages: list[Any] = [{"role": "user", "content": body.prompt}]
        if body.messages is not None:
            messages = [dict(message) for message in body.messages]
        tiers = self._catalogue.modes[mode]
        judgement = self._judge.of(mode, tiers, {"messages": messages, "tools": list(body.tools)})
        verdict = judgement.verdict
        if body.micro and self._micro is not None and judgement.left_open is not None:
            arrival = _administrators(self._clock())
            record = Record(
                arrival.request_id,
                arrived_s=arrival.arrived_s,
                key_id=ADMINISTRATOR,
                customer_id=ADMINISTRATOR,
                clock=self._clock,
            )
            try:
                said = await self._micro.verdict(arrival, judgement, record, _admitted, Terms())
            finally:
                self._metered(record.tries)
            verdict = said or verdict
        tier = entry(verdict, tiers, self._min_confidence).tier
        return answer(request, verdict_told(body.id, verdict, tier))


async def _admitted(_: Bound) -> None:
    """An administrator has no limits."""


def _administrators(now_s: float) -> Arrival:
    subject = Subject(
        key_id=ADMINISTRATOR,
        customer_id=ADMINISTRATOR,
        key_models=None,
        customer_models=None,
        priority="normal",
        expires_at_s=None,
        disabled=None,
    )
    return Arrival(f"classify-{secrets.token_hex(12)}", now_s, subject, (), (), Nobody())
