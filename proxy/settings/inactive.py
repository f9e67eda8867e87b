"""What a configuration may hold already although nothing acts on it yet.

One table. Removing a row is how a feature becomes active.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.settings.problems import Location, Problem, path_of
from proxy.settings.schema import Settings
from proxy.settings.section import Section


@dataclass(frozen=True, slots=True)
class _Set:
    """A value in the settings.

    Attributes:
        default: what it would be if the file said nothing; `None` for an entry of a mapping or list.
        written: whether the configuration names it.
    """

    location: Location
    value: Any
    default: Any
    written: bool


def _differs(found: _Set) -> bool:
    return bool(found.value != found.default)


def _written_as(word: str) -> Callable[[_Set], bool]:
    return lambda found: found.written and found.value == word


def _starts(*prefixes: str) -> Callable[[_Set], bool]:
    return lambda found: isinstance(found.value, str) and found.value.startswith(prefixes)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that does nothing yet.

    Attributes:
        pattern: a dotted key; `*` is every key, entry or place.
        note: what happens instead.
        applies: whether a value found there asks for it; without one, any value but the default does.
    """

    pattern: str
    note: str
    applies: Callable[[_Set], bool] = _differs


_VAULT_NOTE: Final = "vault: is not read; the secret counts as missing"

# Prices of tokens that are not told apart from others in providers' answers yet.
_UNTOLD: Final = tuple(
    f"models.*.{place}price.{step}{figure}"
    for place in ("", "backends.*.")
    for step in ("", "steps.*.")
    for figure in ("cache_write_1h", "audio_input", "audio_output")
)

TABLE: Final[tuple[Row, ...]] = (
    Row("server.trusted_proxies", "nothing looks at the addresses of clients"),
    Row("redis.on_outage", "behaves as closed", _written_as("lease")),
    Row("providers.*.api_key", _VAULT_NOTE, _starts("vault:")),
    Row("providers.*.api_keys.*.key", _VAULT_NOTE, _starts("vault:")),
    Row("providers.*.secret_access_key", _VAULT_NOTE, _starts("vault:")),
    Row("providers.*.access_key_id", _VAULT_NOTE, _starts("vault:")),
    Row("providers.*.session_token", _VAULT_NOTE, _starts("vault:")),
    Row("providers.*.token", _VAULT_NOTE, _starts("vault:")),
    *(Row(price, "such tokens are charged like others") for price in _UNTOLD),
    Row("tiers.*.stages", "one model answers"),
    Row("routing.hedge", "no request is hedged"),
    Row("keys.*.secret", _VAULT_NOTE, _starts("vault:")),
)


def inactive(settings: Settings, table: tuple[Row, ...] = TABLE) -> list[Problem]:
    """What `settings` asks for that is not active yet, in the table's order. Defaults are never named."""
    return [
        Problem(path_of(found.location), f"accepted, not yet active: {row.note}")
        for row in table
        for found in _find(settings, row.pattern.split("."))
        if row.applies(found)
    ]


def _find(settings: Settings, pattern: list[str]) -> Iterator[_Set]:
    found = [_Set((), settings, None, written=True)]
    for part in pattern:
        found = [child for parent in found for child in _children(parent, part)]
    yield from found


def _children(parent: _Set, part: str) -> Iterator[_Set]:
    value = parent.value
    if isinstance(value, Section):
        fields = type(value).model_fields
        for name in fields if part == "*" else (part,):
            default = fields[name].get_default(call_default_factory=True)
            written = name in value.model_fields_set
            yield _Set((*parent.location, name), getattr(value, name), default, written)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield _Set((*parent.location, name), entry, None, written=True)
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield _Set((*parent.location, index), entry, None, written=True)
