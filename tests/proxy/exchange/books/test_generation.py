"""What is kept of a request: read as it was written, whatever became of it, and never in its way."""

from typing import Any

from providers.types import Usage
from proxy.exchange.books.generation import Generating, block_of, members_of, read, written
from proxy.exchange.books.record import Record
from proxy.routing.catalogue.types import Backend, Price
from proxy.routing.policy import NAMED, Attempt, Plan
from proxy.routing.proof import chosen_of
from proxy.routing.replay import InputsWriter
from tests.proxy.admin.past import answered

ATTEMPT = Attempt(Backend("p/m", "p", "m", Price(1_000_000, 2_000_000)), "m", None, ("named",))


class Kept:
    keeps = True

    def __init__(self) -> None:
        self.blobs: list[tuple[str, str, bytes]] = []

    def put(self, customer_id: str, generation_id: str, blob: bytes) -> None:
        self.blobs.append((customer_id, generation_id, blob))


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def error(self, event: str, **_: object) -> None:
        self.events.append(event)


def empty(**members: Any) -> Record:
    made = Record("req-1", arrived_s=1.0, key_id="k", customer_id="acme", clock=lambda: 2.0)
    made.asked, made.finished_s = "m", 3.5
    for name, value in members.items():
        setattr(made, name, value)
    return made


def test_read_as_written() -> None:
    """All members, with what the choice was made of."""
    record = answered("req-1")
    assert record.plan is not None
    found = read(written(record, "c0", InputsWriter(), 100.0))
    assert found is not None
    assert ("req-1", "acme", "key-1", "auto", "c0") == (
        found.request_id,
        found.customer_id,
        found.key_id,
        found.asked,
        found.catalogue,
    )
    assert (98_500, 1500, 500) == (found.arrived_ms, found.latency_ms, found.ttft_ms)
    assert record.plan.verdict == found.verdict
    assert chosen_of(record.plan) == found.chosen
    assert found.inputs is not None
    assert "auto" == found.inputs["facts"]["asked"]
    assert record.tries[0].public() == block_of(found)["attempts"][0]


def test_a_departure_before_any_content() -> None:
    """It was cancelled, has no answer's times, and its tokens are our estimate."""
    record = empty(plan=Plan(None, NAMED, (ATTEMPT,)), stream=True, outcome="client_gone", status=499)
    record.begin_try(ATTEMPT)
    record.end_try("client_gone", status=0, usage=Usage(5, 0, estimated=True))
    found = read(written(record, "c0", InputsWriter(), 100.0))
    assert found is not None
    said, block = members_of(found), block_of(found)
    assert (True, None, None, "m", 5e-06) == tuple(
        said[name] for name in ("cancelled", "generation_time", "finish_reason", "model", "total_cost")
    )
    assert (True, "client_gone", None) == (block["estimated"], block["outcome"], block["ttft_ms"])
    # The policy failed, and it ran in the catalogue's order.
    assert found.inputs is None


def test_a_question_of_our_own_that_led_nowhere() -> None:
    """A micro-classifier was asked, and the request refused: it is listed, and answers for nobody."""
    record, asked = empty(outcome="budget_exceeded", status=402), empty()
    asked.begin_try(ATTEMPT)
    asked.end_try("ok", status=200, usage=Usage(5, 1))
    record.took(asked, "micro")
    found = read(written(record, "c0", InputsWriter(), 100.0))
    assert found is not None
    said, block = members_of(found), block_of(found)
    assert (None, [], 7e-06) == (said["model"], said["provider_responses"], said["total_cost"])
    assert (None, None, ["micro"]) == (
        block["tier"],
        block["decision"],
        [each["kind"] for each in block["attempts"]],
    )


def test_another_versions_record() -> None:
    """It is none."""
    assert read(b'[0,"req-1"]') is None


def test_what_is_kept() -> None:
    """A request that something was sent for; one that cannot be written is said once, and fails nothing."""
    kept, log = Kept(), Log()
    generating = Generating(kept, "c0", log, wall_clock_s=lambda: 100.0)
    generating.keep(empty())
    assert [] == kept.blobs
    record = answered("req-1")
    generating.keep(record)
    assert [("acme", "req-1")] == [each[:2] for each in kept.blobs]
    broken = answered("req-2")
    broken.tags = (object(),)  # type: ignore[assignment] # what no JSON can say
    generating.keep(broken)
    generating.keep(broken)
    assert (1, 1) == (len(kept.blobs), len(log.events))
    kept.keeps = False
    generating.keep(record)
    assert 1 == len(kept.blobs)


def test_origins() -> None:
    """Scheme and host, whatever a client sends."""
    for text, origin in (
        (b"https://shop.example:8080/a?b=c", "https://shop.example"),
        (b"https://user:word@shop.example/", "https://shop.example"),
        (b"shop.example", ""),
        (b"https://[bad", ""),
        (b"\xff", ""),
    ):
        record = answered("req-1")
        record.client_headers = [(b"host", b"x"), (b"referer", text)]
        found = read(written(record, "c0", InputsWriter(), 100.0))
        assert found is not None
        assert origin == found.origin
