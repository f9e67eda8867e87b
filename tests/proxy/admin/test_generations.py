"""`GET /admin/v1/generations/{id}`: past requests, their choice made again; and customers erased."""

from dataclasses import replace

from proxy.routing.catalogue.types import Backend, Model
from ratelimit.store import keys as spelled
from ratelimit.subjects.types import NewCustomer
from tests.proxy.admin.booking import book, lose, record
from tests.proxy.admin.past import MARKER, keep
from tests.proxy.admin.serving import BACKEND, CATALOGUE, Caller, Gateway

PATH = "/admin/v1/generations"
CUSTOMERS = "/admin/v1/customers"
OTHER = Backend("azure/mini", "openai", "mini", None)


async def test_a_past_request_is_replayed(served: Gateway, call: Caller) -> None:
    """What was chosen, tried and used; and the inputs that were kept give the plan that was made."""
    path = f"{PATH}/{keep(served)}"
    told = (await call("GET", path)).json
    assert (True, [], False) == (told["replayed"], told["differences"], told["catalogue_changed"])
    assert ("acme", "key-1", "auto", "ok", 200) == tuple(
        told[name] for name in ("customer", "key", "asked", "outcome", "status")
    )
    assert ("balanced", "cheapest", "default") == (told["tier"], told["strategy"], told["verdict"]["source"])
    (candidate,) = told["candidates"]
    assert (BACKEND.id, True) == (candidate["backend"], candidate["kept"])
    assert "price unknown" in candidate["reasons"]
    assert [{"backend": BACKEND.id, "model": "gpt-5-mini"}] == told["planned"]
    assert [(BACKEND.id, "ok", 1250)] == [
        (each["backend"], each["outcome"], each["ms"]) for each in told["attempts"]
    ]
    assert (0.99, 0, "closed") == tuple(
        told["health"][BACKEND.id][name] for name in ("availability", "attempts_7d", "circuit")
    )
    generation = told["generation"]
    assert ("stop", "end_turn", 11, 7, 3, 2) == tuple(
        generation[name]
        for name in (
            "finish_reason",
            "native_finish_reason",
            "tokens_prompt",
            "tokens_completion",
            "native_tokens_cached",
            "native_tokens_reasoning",
        )
    )
    assert "https://shop.example" == generation["origin"]
    assert told == (await call("GET", f"{path}?customer=acme")).json


async def test_no_text_and_no_key_is_kept(served: Gateway, call: Caller) -> None:
    """Not in what the store is given, and so nowhere."""
    told = await call("GET", f"{PATH}/{keep(served, headgate={'tags': ['a']}, session_id=MARKER)}")
    blob = await served.past.get("acme", "req-past")
    assert blob is not None
    assert MARKER.encode() not in blob
    assert MARKER.encode() not in told.raw


async def test_what_is_not_there(served: Gateway, call: Caller) -> None:
    """Nor is another customer's."""
    keep(served)
    for path in (f"{PATH}/req-0", f"{PATH}/req-past?customer=else"):
        assert (404, "not_found", None) == (await call("GET", path)).error
    assert (400, "invalid_request", "owner") == (await call("GET", f"{PATH}/req-past?owner=acme")).error


async def test_the_catalogue_has_changed(served: Gateway, call: Caller) -> None:
    """The difference is named, and that the catalogue is another one; where it makes none, that is said too."""
    mini = CATALOGUE.models["gpt-5-mini"]
    keep(
        served,
        "req-other",
        catalogue=replace(CATALOGUE, models={"gpt-5-mini": replace(mini, backends=(OTHER,))}),
    )
    told = (await call("GET", f"{PATH}/req-other")).json
    assert (False, True) == (told["replayed"], told["catalogue_changed"])
    assert [f"attempts: number 1 was {OTHER.id} as gpt-5-mini, would be {BACKEND.id} as gpt-5-mini"] == told[
        "differences"
    ]
    assert [OTHER.id] == [each["backend"] for each in told["planned"]]
    further = {**CATALOGUE.models, "unused": Model("unused", (OTHER,))}
    keep(served, "req-same", catalogue=replace(CATALOGUE, models=further))
    told = (await call("GET", f"{PATH}/req-same")).json
    assert (True, True, []) == (told["replayed"], told["catalogue_changed"], told["differences"])


async def test_a_model_that_is_no_more(served: Gateway, call: Caller) -> None:
    """There is nothing to compare with, which is said."""
    catalogue = replace(CATALOGUE, models={"old": Model("old", (BACKEND,))}, tiers={})
    keep(served, "req-old", catalogue=catalogue, model="old")
    told = (await call("GET", f"{PATH}/req-old")).json
    assert not told["replayed"]
    (difference,) = told["differences"]
    assert difference.startswith("nothing would be tried: ")
    assert [] == told["candidates"]


async def test_erasing_a_customer(served: Gateway, call: Caller) -> None:
    """Its keys, what was counted, what is held or lost and its records go; others' stay; in a day its id goes too."""
    for name in ("acme", "bolt"):
        await call("POST", CUSTOMERS, {"id": name})
        await call("POST", "/admin/v1/keys", {"customer": name})
        await book(served.store, record(name))
        await lose(served.store, f"r-{name}", customer_id=name)
        await served.store.call("SET", spelled.remembered(name, "conversation", "d"), "x", "PX", 60_000)
        keep(served, f"req-{name}", name)
    erased = (await call("POST", f"{CUSTOMERS}/acme/erase")).json
    assert ("acme", True) == (erased["id"], erased["erased"])
    assert erased["keys"] >= 5
    names = {each.decode() for each in await names_in(served)}
    assert not [name for name in names if "{acme}" in name]
    assert [name for name in names if "{bolt}" in name]
    assert 404 == (await call("GET", f"{CUSTOMERS}/acme")).status
    assert [] == (await call("GET", "/admin/v1/keys?customer=bolt")).json["data"][1:]
    assert 404 == (await call("GET", f"{PATH}/req-acme")).status
    assert 200 == (await call("GET", f"{PATH}/req-bolt")).status
    # Until then it may be repeated: what was under way leaves something yet.
    assert {"id": "acme", "erased": True, "keys": 0, "records": 0, "under_way": 0} == (
        await call("POST", f"{CUSTOMERS}/acme/erase")
    ).json
    assert (404, "not_found", None) == (await call("POST", f"{CUSTOMERS}/nobody/erase")).error
    day_s, now_s = 86_400, 1_767_225_600
    assert [] == await served.directory.known.deleted_before(now_s - 400 * day_s)
    assert ["acme"] == await served.directory.known.deleted_before(now_s - 400 * day_s + day_s + 1)


async def names_in(served: Gateway) -> list[bytes]:
    reply = await served.store.call("KEYS", "*")
    assert isinstance(reply, list)
    return reply


async def test_a_customer_of_the_file_is_not_erased(served: Gateway, call: Caller) -> None:
    """The file would make it again: it has to go from there first."""
    await served.directory.sync_configured([NewCustomer("filed", "Filed")], [], default_limits={})
    assert (409, "managed_by_file", None) == (await call("POST", f"{CUSTOMERS}/filed/erase")).error
    assert 200 == (await call("GET", f"{CUSTOMERS}/filed")).status
