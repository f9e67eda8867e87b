"""The schema, its documentation and its example say the same."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from proxy.settings.document import parse
from proxy.settings.load import load
from proxy.settings.schema import Settings

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "deploy" / "headgate.example.yaml"
DOCUMENT = ROOT / "docs" / "configuration.md"

SECTIONS = ("server", "redis", "log", "records", "routing", "limits")


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        yield path, info
        yield from _below(info.annotation, path)


def _below(annotation: Any, path: str) -> Iterator[tuple[str, FieldInfo]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _keys(annotation, path)
    elif origin is tuple:
        yield from _below(arguments[0], f"{path}[]")
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _below(arguments[1], f"{path}.<name>")
    else:
        for argument in arguments:
            yield from _below(argument, path)


SCHEMA = dict(_keys(Settings, ""))


def _written(values: Any, schema_path: str) -> Iterator[str]:
    """The schema's paths of all keys in plain values."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            path = f"{schema_path}.{name}" if schema_path else name
            path = path if path in SCHEMA else f"{schema_path}.<name>"
            yield path
            yield from _written(value, path)
    elif isinstance(values, list):
        for value in values:
            yield from _written(value, f"{schema_path}[]")


def _documented_as(path: str) -> str:
    """Prices and limits stand in several places and are explained once."""
    path = re.sub(r"^.*\.price\.", "price.", path)
    return re.sub(
        r"^(limits\.defaults|(customers|keys)\[\]\.limits|keys\[\]\.models\.<name>)\.", "<limits>.", path
    )


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "*required*"
    default = info.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "see its keys"
    if isinstance(default, bool):
        return f"`{default}`".lower()
    if isinstance(default, float):
        return f"`{default:g}`"
    written = {None: "null", (): "[]"}
    if isinstance(default, Mapping):
        return "see below" if default else "`{}`"
    return f"`{written.get(default, default)}`"


ROWS = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", [path for path in SCHEMA if path not in SECTIONS])
def test_every_key_is_documented_with_its_default(path: str) -> None:
    """The document is checked against the schema, key by key."""
    assert _default(SCHEMA[path]) == ROWS.get(_documented_as(path))


def test_every_documented_key_exists() -> None:
    """A key that is gone leaves the document too."""
    known = {_documented_as(path) for path in SCHEMA}
    tables = {row for row in ROWS if not row.startswith(("HEADGATE_", "env:", "file:", "vault:", "sha256:"))}
    assert set() == tables - known


def test_the_example_holds_every_key_and_no_other() -> None:
    """Whoever looks for a key finds it in place."""
    found = set(_written(parse(EXAMPLE.read_bytes()), ""))
    # One limit of a single name stands for all: they are those of the key.
    found |= {path for path in SCHEMA if path.startswith("keys[].models.<name>.")}
    assert set() == set(SCHEMA) - found
    assert {"providers.<name>", "tiers.<name>", "routing.modes.<name>"} <= found - set(SCHEMA)


def test_every_line_of_the_example_with_a_key_has_a_comment() -> None:
    """On the line itself; sections speak for themselves."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    keys = [line for line in lines if re.match(r" +(- )?[\w./-]+:( |$)", line)]
    assert 100 < len(keys)
    assert [] == [line for line in keys if " # " not in line]


def test_the_example_loads_without_problems_and_without_surprises() -> None:
    """With its variables set: no problem, and no warning but for a file that is mounted elsewhere."""
    environ = {
        "OPENAI_API_KEY": "test-key-0001-abcdef",
        "OPENAI_API_KEY_2": "test-key-0002-abcdef",
        "ACME_KEY": "test-key-0003-abcdef",
        "AZURE_OPENAI_API_KEY": "test-key-0004-abcdef",
        "AWS_ACCESS_KEY_ID": "test-key-0005-abcdef",
        "AWS_SECRET_ACCESS_KEY": "test-key-0006-abcdef",
        "AWS_SESSION_TOKEN": "test-key-0007-abcdef",
    }
    loaded = load(EXAMPLE, environ=environ, flags={}, default_models=b"{models: [], tiers: {}}")
    assert ["providers.vertex-eu.token"] == [warning.path for warning in loaded.warnings]
    assert ["acme-web"] == [key.id for key in loaded.settings.keys]
    assert loaded.settings.providers["openai"].disabled is None


def test_dates_and_paths_have_their_types() -> None:
    """Text in the file, values in the settings."""
    model = {
        "id": "a",
        "backends": [{"provider": "p", "model": "m"}],
        "deprecated_on": "2027-06-30",
    }
    settings = Settings.model_validate({"models": [model], "server": {"data_dir": "/var/lib/headgate"}})
    assert date(2027, 6, 30) == settings.models[0].deprecated_on
    assert Path("/var/lib/headgate") == settings.server.data_dir
