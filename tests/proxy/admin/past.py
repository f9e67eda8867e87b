"""Past requests, as the exchange would have recorded them."""

from typing import Any, Final

import orjson

from providers.clients.openai_chat import OpenAIChat
from providers.finishes import Finish
from providers.types import Usage
from proxy.exchange.books.generation import Generating
from proxy.exchange.books.record import Record
from proxy.exchange.choice.choosing import Asking
from proxy.routing.catalogue.fingerprint import fingerprint
from proxy.routing.catalogue.types import Catalogue
from proxy.routing.types import UNDECIDED
from tests.proxy.admin.serving import CATALOGUE, NOW_S, Gateway, Log, choosing

MARKER: Final = "xyzzy-marker"
"""Stands in every text of the request."""


def request(**members: Any) -> bytes:
    said = [{"role": "system", "content": MARKER}, {"role": "user", "content": f"Who is {MARKER}?"}]
    return orjson.dumps({"model": "auto", "messages": said, "stop": [MARKER], "user": MARKER, **members})


def answered(
    request_id: str, customer_id: str = "acme", *, catalogue: Catalogue = CATALOGUE, **members: Any
) -> Record:
    """A request for a mode that took 1.5 s, half a second of it before the first content."""
    parsed = OpenAIChat().parse(request(**members))
    now = iter((10.25, 10.5, 11.5))
    record = Record(
        request_id, arrived_s=10.0, key_id="key-1", customer_id=customer_id, clock=lambda: next(now)
    )
    record.asked, record.stream, record.tags = parsed.model, parsed.stream, ("job:7",)
    record.client_headers = [
        (b"authorization", MARKER.encode()),
        (b"http-referer", f"https://shop.example/{MARKER}?q={MARKER}".encode()),
    ]
    record.plan = choosing(catalogue).choose(
        Asking(parsed, "chat/completions", None, request_id, customer_id=customer_id), UNDECIDED
    )
    record.begin_try(record.plan.attempts[0])
    record.first_content()
    record.finish = Finish("stop", "end_turn")
    record.end_try("ok", status=200, usage=Usage(11, 7, 3, reasoning_tokens=2))
    record.outcome, record.status, record.finished_s = "ok", 200, 11.5
    return record


def keep(
    gateway: Gateway,
    request_id: str = "req-past",
    customer_id: str = "acme",
    *,
    catalogue: Catalogue = CATALOGUE,
    **members: Any,
) -> str:
    """Keep such a request; its id."""
    log = Log()
    made = Generating(gateway.past, fingerprint(catalogue), log, wall_clock_s=lambda: NOW_S)
    made.keep(answered(request_id, customer_id, catalogue=catalogue, **members))
    assert log.faults == []
    return request_id
