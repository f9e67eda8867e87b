"""Plain values against the schema: typed settings, or problems in the operator's words."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.settings.problems import Location, Problem, near_miss, path_of
from proxy.settings.section import Section
from proxy.settings.words import OWN_ERROR

SectionT = TypeVar("SectionT", bound=Section)

# Longer words are shown only in part: nobody misspells a level in more.
_SHOWN_CHARACTERS: Final = 40

_MESSAGES: Final[Mapping[str, str]] = {
    "missing": "required",
    "string_type": "must be text (a number, true, false or null as text is put in quotes)",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "mapping_type": "must be a mapping of names to values",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of keys to values",
}


def validate(
    section: type[SectionT], values: Any, at: Location = ()
) -> tuple[SectionT | None, list[Problem]]:
    """`values` as a section, or `None` and everything wrong with them.

    Args:
        section: the type to make.
        values: plain values, as a document holds them.
        at: where the section stands in the whole, for the problems' paths.
    """
    try:
        return section.model_validate(values), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [_problem(section, detail, at) for detail in details if not _follows(detail, details)]


def parts(section: type[SectionT], values: Any) -> Iterator[tuple[str | int, SectionT]]:
    """Those entries of a mapping or list that are sound by themselves, with their name or place.

    What holds across entries can so be checked while other entries are still wrong.
    """
    entries: list[tuple[str | int, Any]] = []
    if isinstance(values, Mapping):
        entries.extend(values.items())
    elif isinstance(values, list):
        entries.extend(enumerate(values))
    for place, entry in entries:
        part, _ = validate(section, entry)
        if part is not None:
            yield place, part


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a list counts as too short only because some of its entries were refused."""
    at = detail["loc"]
    below = (other["loc"] for other in details if len(other["loc"]) > len(at))
    return detail["type"] == "too_short" and any(location[: len(at)] == at for location in below)


def _problem(section: type[Section], detail: ErrorDetails, at: Location) -> Problem:
    location = detail["loc"]
    if location and location[-1] == "[key]":
        return Problem(path_of((*at, *location[:-1])), f"the name {_message(detail)}")
    if detail["type"] == "extra_forbidden":
        word = str(location[-1])
        message = f"unknown key{near_miss(word, _keys_at(section, location[:-1]))}"
        return Problem(path_of((*at, *location)), message)
    return Problem(path_of((*at, *location)), _message(detail))


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == OWN_ERROR:
        return str(context["message"])
    if kind == "literal_error":
        return _not_one_of(detail["input"], str(context["expected"]))
    if kind == "greater_than_equal":
        return f"must be >= {_figure(context['ge'])}"
    if kind == "greater_than":
        return f"must be > {_figure(context['gt'])}"
    if kind == "less_than_equal":
        return f"must be <= {_figure(context['le'])}"
    if kind == "too_short":
        return f"must hold {_entries(context['min_length'])} or more, not {context['actual_length']}"
    if kind == "too_long":
        return f"must hold {_entries(context['max_length'])} or fewer, not {context['actual_length']}"
    return _MESSAGES.get(kind, f"is not valid ({kind})")


def _figure(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number:g}"


def _entries(number: int) -> str:
    return f"{number} entry" if number == 1 else f"{number} entries"


def _not_one_of(value: Any, expected: str) -> str:
    # The words that may stand here are few and public, and so is a misspelling of one.
    known = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    if not isinstance(value, str):
        return f"must be one of {', '.join(known)}"
    return f'"{value[:_SHOWN_CHARACTERS]}" is not one of {", ".join(known)}{near_miss(value, known)}'


def _keys_at(section: type[Section], location: Location) -> list[str]:
    """The keys known at a place of the schema."""
    annotation: Any = section
    for part in location:
        annotation = _step(annotation, part)
    model = _model(annotation)
    return list(model.model_fields) if model else []


def _step(annotation: Any, part: str | int) -> Any:
    """What stands one key, name or place below an annotation."""
    for candidate in _alternatives(annotation):
        origin, arguments = get_origin(candidate), get_args(candidate)
        if origin is tuple and isinstance(part, int):
            return arguments[0]
        if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(part, str):
            return arguments[1]
    model = _model(annotation)
    return model.model_fields[str(part)].annotation if model else None


def _model(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation stands for, also where it may be null."""
    for candidate in _alternatives(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """What a value may be, without the conditions on it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _alternatives(arguments[0])
    if origin in {Union, UnionType}:
        return tuple(each for argument in arguments for each in _alternatives(argument))
    return (annotation,)
