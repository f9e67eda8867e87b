"""`headgate keys`: make, list, show, change and revoke keys of a running gateway."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from proxy.cli.api import (
    Api,
    Record,
    connected,
    either,
    json_option,
    limits_text,
    models_text,
    plain_text,
    read_duration_s,
    read_limits,
    read_models,
    read_new_limits,
    record_path,
    show_json,
    show_list,
    show_record,
    show_warnings,
    state_text,
    tags_text,
)

_PATH: Final = "/admin/v1/keys"
_NEVER: Final = "none"

_COLUMNS: Final[Mapping[str, Callable[[Record], str]]] = {
    "id": lambda record: plain_text(record.get("id")),
    "customer": lambda record: plain_text(record.get("customer")),
    "name": lambda record: plain_text(record.get("name")),
    "limits": lambda record: limits_text(record.get("limits")),
    "models": lambda record: models_text(record.get("models")),
    "expires": lambda record: record.get("expires_at") or "never",
    "state": state_text,
    "managed": lambda record: plain_text(record.get("managed")),
}
_DETAILS: Final[Mapping[str, Callable[[Record], str]]] = {
    **_COLUMNS,
    "tags": lambda record: tags_text(record.get("tags")),
    "previous": lambda record: _previous(record.get("previous_until")),
    "created": lambda record: plain_text(record.get("created_at")),
}


Models = list[str] | dict[str, dict[str, float]]


def _previous(until: object) -> str:
    """Of the text that a rotation replaced."""
    return "-" if until is None else f"works until {until}"


@click.group()
def keys() -> None:
    """Manage keys of a running gateway."""


@keys.command()
@click.option("--customer", "customer_id", metavar="ID", required=True, help="Whose key it is.")
@click.option("--name", help="For people to read.")
@click.option(
    "--limit",
    "limits",
    metavar="NAME=NUMBER",
    multiple=True,
    callback=read_new_limits,
    help="Like requests_per_minute=60, besides its customer's limits. Repeat for more.",
)
@click.option(
    "--model",
    "models",
    metavar="NAME[:LIMIT=NUMBER]",
    multiple=True,
    callback=read_models,
    help="A model or tier it may use, with a limit like gpt-5:usd_per_day=5; repeat for more of either.",
)
@click.option("--expires-at", metavar="TIME", help="Like 2030-01-31T12:00:00Z; never unless given.")
@click.option("--tag", "tags", metavar="WORD", multiple=True, help="Repeat for more, 8 at most.")
@click.option("--disable", "disabled", is_flag=True, help="It is refused until it is enabled.")
@json_option
@connected
def create(
    api: Api,
    customer_id: str,
    name: str | None,
    limits: Mapping[str, float],
    models: Models,
    expires_at: str | None,
    tags: Sequence[str],
    *,
    disabled: bool,
    as_json: bool,
) -> None:
    """Make a key for a customer. Its text is shown this once."""
    body: dict[str, Any] = {"customer": customer_id, "limits": limits}
    if name is not None:
        body["name"] = name
    if models:
        body["models"] = models
    if expires_at is not None:
        body["expires_at"] = expires_at
    if tags:
        body["tags"] = tags
    if disabled:
        body["disabled"] = True
    _show_text(api.call("POST", _PATH, body), as_json=as_json)


@keys.command("list")
@click.option("--customer", "customer_id", metavar="ID", help="Only this customer's.")
@json_option
@connected
def list_(api: Api, customer_id: str | None, *, as_json: bool) -> None:
    """List keys, without their texts."""
    found = api.everything(_PATH, {} if customer_id is None else {"customer": customer_id})
    if as_json:
        show_json({"object": "list", "data": found, "next": None})
    elif found:
        show_list(_COLUMNS, found)
    else:
        click.echo("There are no keys.", err=True)


@keys.command()
@click.argument("key_id", metavar="ID")
@json_option
@connected
def get(api: Api, key_id: str, *, as_json: bool) -> None:
    """Show a key, without its text."""
    _show(api.call("GET", record_path(_PATH, key_id)), as_json=as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--name", help="For people to read.")
@click.option(
    "--limit",
    "limits",
    metavar="NAME=NUMBER",
    multiple=True,
    callback=read_limits,
    help="Like usd_per_day=5; NAME=none removes it. Repeat for more; what is not named stays.",
)
@click.option("--no-limits", is_flag=True, help="Remove all limits of the key; its customer's stay.")
@click.option(
    "--model",
    "models",
    metavar="NAME[:LIMIT=NUMBER]",
    multiple=True,
    callback=read_models,
    help="Replaces the list, limits of its names included; repeat for more.",
)
@click.option("--all-models", is_flag=True, help="Remove the list: all that its customer may use.")
@click.option("--expires-at", metavar="TIME", help="Like 2030-01-31T12:00:00Z, or none for never.")
@click.option("--tag", "tags", metavar="WORD", multiple=True, help="Replaces the tags; repeat for more.")
@click.option("--no-tags", is_flag=True, help="Remove all tags.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether the key is refused.")
@json_option
@connected
def update(
    api: Api,
    key_id: str,
    name: str | None,
    limits: Mapping[str, float | None],
    models: Models,
    expires_at: str | None,
    tags: Sequence[str],
    *,
    no_limits: bool,
    all_models: bool,
    no_tags: bool,
    disabled: bool | None,
    as_json: bool,
) -> None:
    """Change a key. What is not named stays as it is."""
    either("--limit", limits, "--no-limits", no_limits)
    either("--model", models, "--all-models", all_models)
    either("--tag", tags, "--no-tags", no_tags)
    body: dict[str, Any] = {}
    if name is not None:
        body["name"] = name
    if limits or no_limits:
        body["limits"] = limits or None
    if models or all_models:
        body["models"] = models or None
    if expires_at is not None:
        body["expires_at"] = None if expires_at == _NEVER else expires_at
    if tags or no_tags:
        body["tags"] = tags or None
    if disabled is not None:
        body["disabled"] = disabled
    if not body:
        raise click.UsageError("nothing to change; see --help")
    _show(api.call("PATCH", record_path(_PATH, key_id), body), as_json=as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    "overlap_s",
    metavar="SPAN",
    callback=read_duration_s,
    help="How long the present text works on, like 30m, 24h or 7d; 24h unless given, 0 ends it at once.",
)
@json_option
@connected
def rotate(api: Api, key_id: str, overlap_s: int | None, *, as_json: bool) -> None:
    """Give a key another text, shown this once. Its id, limits and counts stay."""
    body = {} if overlap_s is None else {"overlap_s": overlap_s}
    _show_text(api.call("POST", f"{record_path(_PATH, key_id)}/rotate", body), as_json=as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@json_option
@connected
def revoke(api: Api, key_id: str, *, as_json: bool) -> None:
    """Revoke a key for good. `update --disable` can be taken back."""
    api.call("DELETE", record_path(_PATH, key_id))
    if as_json:
        show_json({"id": key_id, "deleted": True})
    else:
        click.echo(f"key {key_id} is revoked")


def _rows(record: Record) -> dict[str, str]:
    return {name: cell(record) for name, cell in _DETAILS.items()}


def _show_text(made: Record, *, as_json: bool) -> None:
    """A record with its text, which is not shown again."""
    if as_json:
        show_json(made)
        return
    show_record({"key": plain_text(made.get("key")), **_rows(made)})
    # Apart from the key, which may be on its way into a file.
    click.echo("Keep the key now: it is not shown again.", err=True)


def _show(record: Record, *, as_json: bool) -> None:
    if as_json:
        show_json(record)
    else:
        show_record(_rows(record))
        show_warnings(record)
