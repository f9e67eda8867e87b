"""Every operation of the admin API: one table, of which the routes and their description are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from proxy.admin.bodies import (
    ChatRequest,
    ClassifyBody,
    CustomerBody,
    CustomerPatch,
    KeyBody,
    KeyPatch,
    Reconcile,
    Release,
    Rotation,
)
from proxy.admin.reading import PAGE_DEFAULT, PAGE_MAX
from proxy.admin.shown import OpenApiDocument, ReloadAnswer, StoreAccepted
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
from proxy.admin.usage import GROUPS
from proxy.settings.section import Section

CUSTOMERS: Final = "/admin/v1/customers"
KEYS: Final = "/admin/v1/keys"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of the query. `schema`: JSON Schema of its value."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        name: which endpoint it is, `operationId` in the description.
        path: as Starlette and OpenAPI both write it.
        answer: what a success holds; `None` for nothing.
        body: what is sent; `None` for nothing.
        body_required: whether it may be left out.
        csv: the answer may be had as CSV, too.
        refusals: codes of errors that are this operation's own, beside those of the key, the store and the form.
    """

    name: str
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    summary: str
    answer: type[BaseModel] | None
    status: int = 200
    body: type[Section] | None = None
    body_required: bool = True
    query: tuple[Parameter, ...] = ()
    csv: bool = False
    refusals: tuple[str, ...] = ()


_PAGE: Final = (
    Parameter(
        "limit",
        "How many records at most.",
        {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    ),
    Parameter("after", "`next` of the page before.", {"type": "string"}),
)
_CUSTOMER: Final = Parameter("customer", "Only keys of this customer.", {"type": "string"})
_ONE: Final = "/{id}"
LEDGER: Final = "/admin/v1/ledger"
_OF: Final = Parameter("customer", "Only of this customer.", {"type": "string"})
_SINCE: Final = Parameter("since", "A date, or a moment with its zone, from which on.", {"type": "string"})
_UNTIL: Final = Parameter(
    "until", "A date, that day included, or a moment with its zone, itself excluded.", {"type": "string"}
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("list_customers", "GET", CUSTOMERS, "List customers", CustomerList, query=_PAGE),
    Operation(
        "create_customer",
        "POST",
        CUSTOMERS,
        "Make a customer",
        CustomerRecord,
        status=201,
        body=CustomerBody,
        refusals=("already_exists",),
    ),
    Operation(
        "get_customer", "GET", CUSTOMERS + _ONE, "Show a customer", CustomerRecord, refusals=("not_found",)
    ),
    Operation(
        "update_customer",
        "PATCH",
        CUSTOMERS + _ONE,
        "Change a customer: what is named, `null` removes, what is absent stays",
        ChangedCustomer,
        body=CustomerPatch,
        refusals=("not_found", "managed_by_file"),
    ),
    Operation(
        "delete_customer",
        "DELETE",
        CUSTOMERS + _ONE,
        "Delete a customer with all its keys",
        None,
        status=204,
        refusals=("not_found", "managed_by_file"),
    ),
    Operation(
        "erase_customer",
        "POST",
        CUSTOMERS + "/{id}/erase",
        "Delete a customer with all its keys, and remove all that is kept about it; there is no way back",
        ErasedCustomer,
        refusals=("not_found", "managed_by_file"),
    ),
    Operation(
        "list_keys", "GET", KEYS, "List keys", KeyList, query=(*_PAGE, _CUSTOMER), refusals=("not_found",)
    ),
    Operation(
        "create_key",
        "POST",
        KEYS,
        "Make a key; its text is in this answer only",
        KeyWithText,
        status=201,
        body=KeyBody,
        refusals=("not_found",),
    ),
    Operation("get_key", "GET", KEYS + _ONE, "Show a key", KeyRecord, refusals=("not_found",)),
    Operation(
        "update_key",
        "PATCH",
        KEYS + _ONE,
        "Change a key: what is named, `null` removes, what is absent stays",
        ChangedKey,
        body=KeyPatch,
        refusals=("not_found", "managed_by_file"),
    ),
    Operation(
        "revoke_key",
        "DELETE",
        KEYS + _ONE,
        "Revoke a key for good",
        None,
        status=204,
        refusals=("not_found", "managed_by_file"),
    ),
    Operation(
        "rotate_key",
        "POST",
        KEYS + "/{id}/rotate",
        "Give a key another text, which is in this answer only; the one it had works on for a while",
        KeyWithText,
        body=Rotation,
        body_required=False,
        refusals=("not_found", "managed_by_file"),
    ),
    Operation(
        "customer_limits",
        "GET",
        CUSTOMERS + "/{id}/limits",
        "How limits of a customer and its keys stand; the keys are paged",
        CustomerLimits,
        query=_PAGE,
        refusals=("not_found",),
    ),
    Operation(
        "usage",
        "GET",
        "/admin/v1/usage",
        "What was used, by UTC day of arrival",
        UsageList,
        query=(
            _OF,
            Parameter("key", "Only of this key, by id.", {"type": "string"}),
            Parameter("model", "Only what this model answered.", {"type": "string"}),
            Parameter("tag", "Only requests with this tag.", {"type": "string"}),
            _SINCE,
            _UNTIL,
            Parameter(
                "group_by",
                f"Some of {', '.join(GROUPS)}, with commas between; `customer` unless given. "
                "A request with several tags counts for each of them.",
                {"type": "string", "default": "customer"},
            ),
            Parameter("format", "Instead of `accept`.", {"enum": ["json", "csv"]}),
        ),
        csv=True,
        refusals=("not_found",),
    ),
    Operation(
        "ledger",
        "GET",
        LEDGER,
        "Rows of the ledger, oldest first, customer by customer",
        LedgerPage,
        query=(
            _OF,
            _SINCE,
            _UNTIL,
            _PAGE[0],
            Parameter("cursor", "`next` of the page before.", {"type": "string"}),
        ),
        refusals=("not_found",),
    ),
    Operation(
        "reconcile_ledger",
        "POST",
        LEDGER + "/reconcile",
        "Compare counters with closing balances, rows and what was lost",
        Reconciled,
        body=Reconcile,
        body_required=False,
        refusals=("not_found",),
    ),
    Operation(
        "list_lost",
        "GET",
        LEDGER + "/lost",
        "Reservations whose gateway was not heard of; booked as spent",
        LostList,
        query=(_OF,),
        refusals=("not_found",),
    ),
    Operation(
        "release_lost",
        "POST",
        LEDGER + "/release",
        "Give back what is booked for lost reservations",
        ReleasedList,
        body=Release,
        refusals=("not_found",),
    ),
    Operation(
        "accept_store",
        "POST",
        "/admin/v1/store/accept",
        "Use a store that has lost its data, or is another one; what it held before is forgotten",
        StoreAccepted,
    ),
    Operation(
        "classify",
        "POST",
        "/admin/v1/classify",
        "What a request would be taken for; a micro-classifier is asked only with `micro`, and is paid for",
        Classified,
        body=ClassifyBody,
    ),
    Operation(
        "explain_route",
        "POST",
        "/admin/v1/route/explain",
        "Which backends a chat request would be sent to, in which order, and why; nothing is sent",
        RouteExplained,
        body=ChatRequest,
        query=(
            Parameter("customer", "Whose allow-list and priority count.", {"type": "string"}),
            Parameter("key", "Whose allow-lists count; a key's id.", {"type": "string"}),
        ),
        refusals=("not_found", "model_not_found", "model_not_allowed", "no_capable_backend"),
    ),
    Operation(
        "get_generation",
        "GET",
        "/admin/v1/generations/{id}",
        "Show a past request by its id, and make its choice again from what it was made of",
        GenerationTold,
        query=(Parameter("customer", "Whose it is; saves looking that up.", {"type": "string"}),),
        refusals=("not_found",),
    ),
    Operation(
        "list_models",
        "GET",
        "/admin/v1/models",
        "List the models that are served, each with its backends, prices and tiers",
        ModelList,
    ),
    Operation(
        "show_health",
        "GET",
        "/admin/v1/health",
        "Show availability, speed and circuits of every backend, as all gateways have met it in 7 days",
        HealthReport,
    ),
    Operation(
        "reload",
        "POST",
        "/admin/v1/reload",
        "Serve what the configuration file, the catalogue and the secrets say now, or nothing of it",
        ReloadAnswer,
        refusals=("invalid_request",),
    ),
    Operation("openapi", "GET", "/admin/v1/openapi.json", "This description", OpenApiDocument),
)
"""Another route is another row here and an endpoint of its name in `proxy.admin.routes`."""
