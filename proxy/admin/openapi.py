"""The admin API described as OpenAPI 3.1, made of the table of operations and the types of bodies and answers."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from importlib.metadata import version as installed_version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from proxy.admin.operations import OPERATIONS, Operation
from proxy.admin.shown import ErrorAnswer
from proxy.exchange.errors import GATEWAY

Members = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")

# What any operation may answer, and what one that reads a body or a query may.
_ALWAYS: Final = ("invalid_api_key", "internal_error", "limits_unavailable")
_WITH_BODY: Final = ("invalid_request", "request_too_large", "unsupported_media_type")
_WITH_QUERY: Final = ("invalid_request",)

_HEADERS: Final[Members] = {
    "RequestId": {
        "description": "Names this request in the log.",
        "schema": {"type": "string"},
    },
    "Location": {"description": "The path of what was made.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds until it is worth trying again.", "schema": {"type": "integer"}},
}


class _Schemas(GenerateJsonSchema):
    """Without what a model happens to hold where nothing was said.

    Clients that are generated may send a `default` back, and there `null` is not the same as absent: it removes.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


@cache
def document() -> Mapping[str, Any]:
    """The whole document; not to be changed."""
    models: set[type[BaseModel]] = {ErrorAnswer}
    for operation in OPERATIONS:
        models.update(model for model in (operation.body, operation.answer) if model is not None)
    ordered = sorted(models, key=lambda model: model.__name__)
    refs, definitions = models_json_schema(
        [(model, "validation") for model in ordered], ref_template=_REF, schema_generator=_Schemas
    )
    schemas = {model: refs[model, "validation"] for model in ordered}
    paths: dict[str, Members] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headgate admin API",
            "version": installed_version("headgate"),
            "description": "Customers and keys of a Headgate gateway, what they used, and health of backends. "
            "Every request needs the admin key.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"x-api-key": []}, {"api-key": []}],
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, OPERATIONS))],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
        },
    }


def _operation(operation: Operation, schemas: Mapping[type[BaseModel], Members]) -> Members:
    described: Members = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [_tag(operation)],
        "responses": {
            str(operation.status): _success(operation, schemas),
            **_refusals(operation, schemas[ErrorAnswer]),
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(operation.path)
    ] + [
        {
            "name": parameter.name,
            "in": "query",
            "description": parameter.description,
            "schema": dict(parameter.schema),
        }
        for parameter in operation.query
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": _json(schemas[operation.body]),
        }
    return described


def _success(operation: Operation, schemas: Mapping[type[BaseModel], Members]) -> Members:
    headers = [("x-request-id", "RequestId")]
    if operation.status == HTTPStatus.CREATED:
        headers.append(("location", "Location"))
    response = _response(HTTPStatus(operation.status).phrase, headers)
    if operation.answer is not None:
        response["content"] = _json(schemas[operation.answer])
        if operation.csv:
            response["content"]["text/csv"] = {"schema": {"type": "string"}}
    return response


def _refusals(operation: Operation, schema: Members) -> dict[str, Members]:
    """A response for each status that is an error, its description naming the codes."""
    codes_by_status: dict[int, list[str]] = {}
    for code in (
        *_ALWAYS,
        *(_WITH_BODY if operation.body is not None else ()),
        *(_WITH_QUERY if operation.query else ()),
        *operation.refusals,
    ):
        codes_by_status.setdefault(GATEWAY[code][0], []).append(code)
    responses: dict[str, Members] = {}
    for status, codes in sorted(codes_by_status.items()):
        headers = [("x-request-id", "RequestId")]
        if "limits_unavailable" in codes:
            headers.append(("retry-after", "RetryAfter"))
        description = " or ".join(f"`{code}`" for code in dict.fromkeys(codes))
        responses[str(status)] = {**_response(description, headers), "content": _json(schema)}
    return responses


def _response(description: str, headers: Iterable[tuple[str, str]]) -> Members:
    refs = {name: {"$ref": f"#/components/headers/{component}"} for name, component in headers}
    return {"description": description, "headers": refs}


def _json(schema: Members) -> Members:
    return {"application/json": {"schema": schema}}


def _tag(operation: Operation) -> str:
    """What comes after the version in the path."""
    return operation.path.split("/")[3].partition(".")[0]
