"""What an administrator may write about customers and keys, as types.

Limits are those of the configuration file, so that a record means the same wherever it was written.
"""

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, Strict
from pydantic_core import PydanticCustomError

from proxy.settings.schema import Limits, Section
from proxy.settings.words import OWN_ERROR, Name, PublicName, Switch
from ratelimit.subjects.records import utc_text

DEFAULT_PRIORITY: Final = "normal"

_LABEL_MAX_CHARACTERS: Final = 200
# A record is read whole at every look-up of one of its keys, so it has to stay small.
_METADATA_MAX_BYTES: Final = 16_384
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


def _refused(message: str) -> PydanticCustomError:
    return PydanticCustomError(OWN_ERROR, "{message}", {"message": message})


def _label(text: str) -> str:
    # Control characters would reach whoever lists the records on a terminal.
    if len(text) > _LABEL_MAX_CHARACTERS or any(
        unicodedata.category(character) == "Cc" for character in text
    ):
        raise _refused(
            f"must be at most {_LABEL_MAX_CHARACTERS} characters, none of them a control character"
        )
    return text


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    problem = metadata_problem(metadata)
    if problem is not None:
        raise _refused(problem)
    return metadata


def _moment(text: str) -> str:
    if _RFC_3339.fullmatch(text) is not None:
        try:
            return utc_text(datetime.fromisoformat(text.upper()).timestamp())
        except (ValueError, OverflowError):
            pass
    raise _refused("must be a time with its zone, like 2030-01-31T12:00:00Z or 2030-01-31T12:00:00+02:00")


def metadata_problem(metadata: dict[str, Any]) -> str | None:
    """Why these metadata cannot be kept, or `None`."""
    try:
        size_bytes = len(orjson.dumps(metadata))
    except orjson.JSONEncodeError:
        return "must not be nested this deeply"
    if size_bytes > _METADATA_MAX_BYTES:
        return f"must be at most {_METADATA_MAX_BYTES} bytes of JSON, not {size_bytes}"
    return None


Label = Annotated[str, Strict(), AfterValidator(_label)]
Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Moment = Annotated[str, Strict(), AfterValidator(_moment)]
"""Read in any zone; kept in UTC, in whole seconds, a fraction cut off."""


class CustomerBody(Section):
    """A new customer. `null` means the same as absent, as it does in the file."""

    id: Name
    name: Label | None = None
    limits: Limits = Limits()
    models: tuple[PublicName, ...] | None = None
    priority: Name | None = None
    metadata: Metadata | None = None


class CustomerPatch(Section):
    """What changes of a customer: only what is named. `null` takes a value back to what it is when absent."""

    name: Label | None = None
    limits: Limits | None = None
    models: tuple[PublicName, ...] | None = None
    priority: Name | None = None
    metadata: Metadata | None = None
    disabled: Switch = False


class KeyBody(Section):
    """A new key. `null` means the same as absent, as it does in the file."""

    customer: Name
    name: Label | None = None
    limits: Limits = Limits()
    models: tuple[PublicName, ...] | None = None
    expires_at: Moment | None = None


class KeyPatch(Section):
    """What changes of a key: only what is named. `null` takes a value back to what it is when absent."""

    name: Label | None = None
    limits: Limits | None = None
    models: tuple[PublicName, ...] | None = None
    expires_at: Moment | None = None
    disabled: Switch = False
