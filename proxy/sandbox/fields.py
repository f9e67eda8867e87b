"""Reading members of a request's JSON, with the refusals OpenAI gives for what is wrong."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
}


class RequestError(Exception):
    """The request cannot be answered: what the client is told."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of the request and the path that leads to it; `null` and missing mean the same."""

    values: Mapping[str, Any]
    path: str = ""

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise wrong_type(self.at(name), "a boolean", value)
        return value

    def text(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise wrong_type(self.at(name), "a string", value)
        return value

    def needed_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(self.at(name))
        if not value:
            raise RequestError(
                f"Invalid '{self.at(name)}': empty string. Expected a string with minimum length 1.",
                param=self.at(name),
                code="empty_string",
            )
        return value

    def word(self, name: str, supported: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in supported:
            raise unsupported(self.at(name), value, supported)
        return value

    def whole(self, name: str, minimum: int, maximum: int) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(self.at(name), "an integer", value)
        check_range(self.at(name), "integer", value, minimum, maximum)
        return value

    def number(self, name: str, minimum: float, maximum: float) -> float | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(self.at(name), "a decimal", value)
        check_range(self.at(name), "decimal", value, minimum, maximum)
        return float(value)

    def child(self, name: str) -> "Fields | None":
        value = self.get(name)
        if value is None:
            return None
        return as_fields(value, self.at(name))

    def children(self, name: str) -> tuple["Fields", ...]:
        value = self.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise wrong_type(self.at(name), "an array", value)
        return tuple(as_fields(entry, f"{self.at(name)}[{index}]") for index, entry in enumerate(value))

    def texts(self, name: str) -> tuple[str, ...]:
        """A string or an array of strings."""
        value = self.get(name)
        if value is None:
            return ()
        entries = value if isinstance(value, list) else [value]
        for entry in entries:
            if not isinstance(entry, str):
                raise wrong_type(self.at(name), "a string or an array of strings", entry)
        return tuple(entries)


def parse(body: bytes) -> Fields:
    """The JSON object in `body`.

    Raises:
        RequestError: it is none.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"We could not parse the JSON body of your request: {error}. The body must be a JSON object."
        ) from error
    if not isinstance(value, dict):
        raise RequestError("We could not parse the JSON body of your request: it must be a JSON object.")
    return Fields(value)


def as_fields(value: Any, path: str) -> Fields:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return Fields(value, path)


def missing(path: str) -> RequestError:
    return RequestError(
        f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter"
    )


def unsupported(path: str, value: str, supported: Collection[str]) -> RequestError:
    known = ", ".join(f"'{word}'" for word in supported)
    return RequestError(
        f"Invalid value: '{value}'. Supported values are: {known}.", param=path, code="invalid_value"
    )


def wrong_type(path: str, expected: str, value: Any) -> RequestError:
    got = _KINDS.get(type(value), "null")
    return RequestError(
        f"Invalid type for '{path}': expected {expected}, but got {got} instead.",
        param=path,
        code="invalid_type",
    )


def check_range(path: str, kind: str, value: float, minimum: float, maximum: float) -> None:
    if value < minimum:
        side, sign, bound, code = "below minimum", ">=", minimum, f"{kind}_below_min_value"
    elif value > maximum:
        side, sign, bound, code = "above maximum", "<=", maximum, f"{kind}_above_max_value"
    else:
        return
    raise RequestError(
        f"Invalid '{path}': {kind} {side} value. Expected a value {sign} {bound}, but got {value} instead.",
        param=path,
        code=code,
    )
