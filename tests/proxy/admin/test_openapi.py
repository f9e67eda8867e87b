"""The API's description: a valid document that says what is served, no more and no less."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from starlette.routing import Route

from proxy.admin.health import HealthDesk
from proxy.admin.models import ModelDesk
from proxy.admin.openapi import document
from proxy.admin.operations import OPERATIONS
from proxy.admin.routes import Desks, admin_routes
from proxy.admin.shown import ErrorAnswer, ReloadAnswer, StoreAccepted
from proxy.admin.shown_books import LedgerPage, LostList, Reconciled, ReleasedList, UsageList
from proxy.admin.shown_health import HealthReport
from proxy.admin.shown_limits import CustomerLimits
from proxy.admin.shown_past import ErasedCustomer, GenerationTold
from proxy.admin.shown_routing import Classified, ModelList, RouteExplained
from proxy.admin.shown_subjects import (
    ChangedCustomer,
    ChangedKey,
    CustomerList,
    CustomerRecord,
    KeyList,
    KeyRecord,
    KeyWithText,
)
from proxy.cli.main import main
from proxy.exchange.errors import GATEWAY
from tests.proxy.admin.booking import book, lose, record
from tests.proxy.admin.past import keep
from tests.proxy.admin.serving import (
    CATALOGUE,
    Caller,
    Gateway,
    books_of,
    classifying,
    desks,
    nothing_new,
)

CUSTOMERS, KEYS = "/admin/v1/customers", "/admin/v1/keys"
KEY = {"customer": "acme", "models": {"a": {"in_flight": 1}}, "expires_at": "2099-12-31T00:00:00Z"}


def operations() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, by_method in document()["paths"].items():
        for method, operation in by_method.items():
            yield path, method.upper(), operation


def models() -> list[type[BaseModel]]:
    found: set[type[BaseModel]] = {ErrorAnswer}
    for operation in OPERATIONS:
        found.update(model for model in (operation.body, operation.answer) if model is not None)
    return sorted(found, key=lambda model: model.__name__)


def test_it_is_valid() -> None:
    """By the specification's own schema, references and parameters included."""
    assert [] == list(OpenAPIV31SpecValidator(document()).iter_errors())


def test_every_route_is_in_it_and_nothing_else(served: Gateway) -> None:
    """Path by path and method by method; HEAD, served wherever GET is, goes without saying."""
    routes: list[Route] = admin_routes(
        served.directory,
        served.store,
        books_of(served.store),
        Desks(
            classifying(),
            *desks(served.store, served.directory, served.past),
            HealthDesk(served.health, served.board),
            ModelDesk(CATALOGUE),
        ),
        reload=nothing_new,
        default_limits={},
    )
    mounted = {
        (route.path, method) for route in routes for method in (route.methods or ()) if method != "HEAD"
    }
    assert mounted == {(path, method) for path, method, _ in operations()}
    assert (
        len(mounted) == len(OPERATIONS) == len({operation["operationId"] for *_, operation in operations()})
    )


@pytest.mark.parametrize("model", models())
def test_examples_are_what_they_are_of(model: type[BaseModel]) -> None:
    """Each example could be sent, or answered."""
    schema = model.model_json_schema()
    for example in schema.get("examples", []):
        model.model_validate(example)
    assert schema.get("examples") or model.__name__ == "OpenApiDocument"


def test_nothing_is_sent_by_default() -> None:
    """A client that fills in defaults changes nothing it was not told to change."""
    defaults = {
        f"{name}.{member}": schema["default"]
        for name, model in document()["components"]["schemas"].items()
        for member, schema in model["properties"].items()
        if "default" in schema
    }
    assert {"Rotation.overlap_s": 86_400} == defaults


def test_refusals_have_the_statuses_of_the_error_table() -> None:
    """Each response that is an error names codes of its status, and each operation those of a wrong key."""
    for _, _, operation in operations():
        responses = operation["responses"]
        assert {"401", "500", "503"} <= set(responses)
        for status, response in responses.items():
            if int(status) >= 400:
                codes = response["description"].replace("`", "").split(" or ")
                assert {int(status)} == {GATEWAY[code][0] for code in codes}
        assert ("requestBody" in operation) == ("415" in responses)


async def test_answers_are_as_described(served: Gateway, call: Caller) -> None:
    """Real answers hold exactly the members that are described, with the statuses that are."""
    said = {"id": "acme", "limits": {"in_flight": 1}, "models": ["a"], "metadata": {"a": 1}, "tags": ["t"]}
    made = await call("POST", CUSTOMERS, said)
    key = await call("POST", KEYS, KEY)
    one = f"{KEYS}/{key.json['id']}"
    await book(served.store, record())
    await lose(served.store, "r1", "r2")
    release = {"customer": "acme", "ids": ["r1"]}
    answers: list[tuple[str, type[BaseModel] | None, Any]] = [
        ("create_customer", CustomerRecord, made),
        ("list_customers", CustomerList, await call("GET", CUSTOMERS)),
        ("get_customer", CustomerRecord, await call("GET", f"{CUSTOMERS}/acme")),
        ("update_customer", ChangedCustomer, await call("PATCH", f"{CUSTOMERS}/acme", {"name": "A"})),
        ("create_key", KeyWithText, key),
        ("list_keys", KeyList, await call("GET", KEYS)),
        ("get_key", KeyRecord, await call("GET", one)),
        ("update_key", ChangedKey, await call("PATCH", one, {"models": None})),
        ("rotate_key", KeyWithText, await call("POST", f"{one}/rotate")),
        ("customer_limits", CustomerLimits, await call("GET", f"{CUSTOMERS}/acme/limits")),
        ("usage", UsageList, await call("GET", "/admin/v1/usage?group_by=customer,tag")),
        ("list_lost", LostList, await call("GET", "/admin/v1/ledger/lost")),
        ("release_lost", ReleasedList, await call("POST", "/admin/v1/ledger/release", release)),
        ("ledger", LedgerPage, await call("GET", "/admin/v1/ledger")),
        ("reconcile_ledger", Reconciled, await call("POST", "/admin/v1/ledger/reconcile")),
        ("reload", ReloadAnswer, await call("POST", "/admin/v1/reload")),
        ("accept_store", StoreAccepted, await call("POST", "/admin/v1/store/accept")),
        ("classify", Classified, await call("POST", "/admin/v1/classify", {"prompt": "Hello"})),
        (
            "explain_route",
            RouteExplained,
            await call("POST", "/admin/v1/route/explain", {"model": "auto", "messages": [{"role": "user"}]}),
        ),
        ("show_health", HealthReport, await call("GET", "/admin/v1/health")),
        ("list_models", ModelList, await call("GET", "/admin/v1/models")),
        ("openapi", None, await call("GET", "/admin/v1/openapi.json")),
        ("get_generation", GenerationTold, await call("GET", f"/admin/v1/generations/{keep(served)}")),
        ("revoke_key", None, await call("DELETE", one)),
        ("delete_customer", None, await call("DELETE", f"{CUSTOMERS}/acme")),
        ("erase_customer", ErasedCustomer, await call("POST", f"{CUSTOMERS}/acme/erase")),
    ]
    described = {operation["operationId"]: operation["responses"] for *_, operation in operations()}
    assert set(described) == {name for name, *_ in answers}
    for name, model, answer in answers:
        response = described[name][str(answer.status)]
        assert ("content" in response) == bool(answer.raw)
        assert set(response["headers"]) <= set(answer.headers)
        if model is not None:
            model.model_validate(answer.json)
            schema = response["content"]["application/json"]["schema"]["$ref"]
            assert model.__name__ == schema.rpartition("/")[2]


async def test_refusals_are_as_described(call: Caller) -> None:
    """Errors have the one shape."""
    described = {operation["operationId"]: operation["responses"] for *_, operation in operations()}
    for name, refused in (
        ("create_customer", await call("POST", CUSTOMERS, {})),
        ("create_key", await call("POST", KEYS, KEY)),
        ("rotate_key", await call("POST", f"{KEYS}/key-0/rotate")),
        ("list_keys", await call("GET", f"{KEYS}?limit=0")),
        ("list_keys", await Caller(call.app, admin_key=None)("GET", KEYS)),
    ):
        response = described[name][str(refused.status)]
        ErrorAnswer.model_validate(refused.json)
        assert f"`{refused.json['error']['code']}`" in response["description"]


async def test_served_and_printed(call: Caller) -> None:
    """The gateway and the command give the same document; the command needs no server, the path the admin key."""
    served = await call("GET", "/admin/v1/openapi.json")
    assert (200, "application/json") == (served.status, served.headers["content-type"])
    printed = CliRunner().invoke(main, ["openapi"])
    assert (0, document()) == (printed.exit_code, orjson.loads(printed.stdout))
    assert document() == served.json
    assert 401 == (await Caller(call.app, admin_key=None)("GET", "/admin/v1/openapi.json")).status
