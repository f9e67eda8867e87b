"""`headgate customers`: make, list, show, change and delete customers of a running gateway."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click
import orjson

from proxy.cli.api import (
    LONG_S,
    Api,
    Record,
    connected,
    either,
    json_option,
    limits_text,
    models_text,
    plain_text,
    read_limits,
    read_pairs,
    record_path,
    show_json,
    show_list,
    show_record,
    show_warnings,
    state_text,
    tags_text,
)

_PATH: Final = "/admin/v1/customers"
PRIORITIES: Final = ("low", "normal", "high")
ON_SOFT_LIMIT: Final = ("keep", "lower")
Command = TypeVar("Command", bound=Callable[..., object])

_COLUMNS: Final[Mapping[str, Callable[[Record], str]]] = {
    "id": lambda record: plain_text(record.get("id")),
    "name": lambda record: plain_text(record.get("name")),
    "limits": lambda record: limits_text(record.get("limits")),
    "models": lambda record: models_text(record.get("models")),
    "priority": lambda record: plain_text(record.get("priority")),
    "state": state_text,
    "managed": lambda record: plain_text(record.get("managed")),
}
_DETAILS: Final[Mapping[str, Callable[[Record], str]]] = {
    **_COLUMNS,
    "regions": lambda record: plain_text(", ".join(record.get("regions") or ("anywhere",))),
    "on soft limit": lambda record: plain_text(record.get("on_soft_limit")),
    "tags": lambda record: tags_text(record.get("tags")),
    "metadata": lambda record: orjson.dumps(record.get("metadata")).decode(),
    "created": lambda record: plain_text(record.get("created_at")),
}


_customer: Final = click.argument("customer_id", metavar="ID")


def _members(
    *,
    name: str,
    limit: str,
    model: str,
    region: str,
    priority: str | None,
    on_soft_limit: str,
    metadata: str,
    tag: str,
) -> Callable[[Command], Command]:
    """The options for what a customer has, each with what it does in one command."""
    options = (
        click.option("--name", help=name),
        click.option(
            "--limit", "limits", metavar="NAME=NUMBER", multiple=True, callback=read_limits, help=limit
        ),
        click.option("--model", "models", metavar="NAME", multiple=True, help=model),
        click.option("--region", "regions", metavar="NAME", multiple=True, help=region),
        click.option("--priority", type=click.Choice(PRIORITIES), help=priority),
        click.option("--on-soft-limit", type=click.Choice(ON_SOFT_LIMIT), help=on_soft_limit),
        click.option("--metadata", metavar="NAME=TEXT", multiple=True, callback=read_pairs, help=metadata),
        click.option("--tag", "tags", metavar="WORD", multiple=True, help=tag),
    )

    def with_options(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


@click.group()
def customers() -> None:
    """Manage customers of a running gateway."""


@customers.command()
@_customer
@_members(
    name="For people to read; the id unless given.",
    limit="Like requests_per_minute=60. Repeat for more; what is not named is as the gateway's configuration has it; "
    "NAME=none is no limit.",
    model="A model or tier it may use; repeat for more.",
    region="Where its requests may be answered, anywhere unless given; repeat for more.",
    priority="`normal` unless given.",
    on_soft_limit="What becomes of the tier once a soft limit is reached; `keep` unless given.",
    metadata="Repeat for more.",
    tag="Repeat for more, 8 at most.",
)
@click.option("--disable", "disabled", is_flag=True, help="Its keys are refused until it is enabled.")
@json_option
@connected
def create(
    api: Api,
    customer_id: str,
    name: str | None,
    limits: Mapping[str, float | None],
    models: Sequence[str],
    priority: str | None,
    metadata: Mapping[str, str],
    tags: Sequence[str],
    *,
    regions: Sequence[str],
    on_soft_limit: str | None,
    disabled: bool,
    as_json: bool,
) -> None:
    """Make a customer."""
    body: dict[str, Any] = {"id": customer_id, "limits": limits, "metadata": metadata}
    if name is not None:
        body["name"] = name
    if models:
        body["models"] = models
    if regions:
        body["regions"] = regions
    if priority is not None:
        body["priority"] = priority
    if on_soft_limit is not None:
        body["on_soft_limit"] = on_soft_limit
    if tags:
        body["tags"] = tags
    if disabled:
        body["disabled"] = True
    _show(api.call("POST", _PATH, body), as_json=as_json)


@customers.command("list")
@json_option
@connected
def list_(api: Api, *, as_json: bool) -> None:
    """List all customers."""
    found = api.everything(_PATH, {})
    if as_json:
        show_json({"object": "list", "data": found, "next": None})
    elif found:
        show_list(_COLUMNS, found)
    else:
        click.echo("There are no customers.", err=True)


@customers.command()
@_customer
@json_option
@connected
def get(api: Api, customer_id: str, *, as_json: bool) -> None:
    """Show a customer."""
    _show(api.call("GET", record_path(_PATH, customer_id)), as_json=as_json)


@customers.command()
@_customer
@_members(
    name="For people to read.",
    limit="Like usd_per_day=5; NAME=none removes it. Repeat for more; what is not named stays.",
    model="Replaces the list; repeat for more.",
    region="Where its requests may be answered: replaces the list; repeat for more.",
    priority=None,
    on_soft_limit="What becomes of the tier once a soft limit is reached.",
    metadata="Adds or replaces one.",
    tag="Replaces the tags; repeat for more.",
)
@click.option("--no-limits", is_flag=True, help="Remove all limits.")
@click.option("--all-models", is_flag=True, help="Remove the list: all models may be used.")
@click.option("--all-regions", is_flag=True, help="Remove the list: they may be answered anywhere.")
@click.option("--drop-metadata", "dropped", metavar="NAME", multiple=True, help="Removes one.")
@click.option("--no-tags", is_flag=True, help="Remove all tags.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether its keys are refused.")
@json_option
@connected
def update(
    api: Api,
    customer_id: str,
    name: str | None,
    limits: Mapping[str, float | None],
    models: Sequence[str],
    priority: str | None,
    metadata: Mapping[str, str],
    dropped: Sequence[str],
    *,
    regions: Sequence[str],
    on_soft_limit: str | None,
    tags: Sequence[str],
    no_limits: bool,
    all_models: bool,
    all_regions: bool,
    no_tags: bool,
    disabled: bool | None,
    as_json: bool,
) -> None:
    """Change a customer. What is not named stays as it is."""
    either("--limit", limits, "--no-limits", no_limits)
    either("--model", models, "--all-models", all_models)
    either("--region", regions, "--all-regions", all_regions)
    either("--tag", tags, "--no-tags", no_tags)
    for each in dropped:
        either(f"--metadata {each}=…", each in metadata, f"--drop-metadata {each}", second_given=True)
    changed_metadata = {**metadata, **dict.fromkeys(dropped)}
    plain = {"name": name, "priority": priority, "on_soft_limit": on_soft_limit, "disabled": disabled}
    body: dict[str, Any] = {member: value for member, value in plain.items() if value is not None}
    if limits or no_limits:
        body["limits"] = limits or None
    if models or all_models:
        body["models"] = models or None
    if regions or all_regions:
        body["regions"] = regions or None
    if changed_metadata:
        body["metadata"] = changed_metadata
    if tags or no_tags:
        body["tags"] = tags or None
    if not body:
        raise click.UsageError("nothing to change; see --help")
    _show(api.call("PATCH", record_path(_PATH, customer_id), body), as_json=as_json)


@customers.command()
@_customer
@json_option
@connected
def delete(api: Api, customer_id: str, *, as_json: bool) -> None:
    """Delete a customer and all its keys. There is no way back; `update --disable` has one."""
    api.call("DELETE", record_path(_PATH, customer_id))
    if as_json:
        show_json({"id": customer_id, "deleted": True})
    else:
        click.echo(f"customer {customer_id} and its keys are deleted")


@customers.command()
@_customer
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@connected
def erase(api: Api, customer_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete a customer and its keys, and remove all that is kept about it: ledger, figures, records of requests.

    There is no way back. It walks over all keys of the store, which takes about a second for a million.
    """
    if not yes:
        click.confirm(
            f"Remove customer {customer_id} and all that is kept about it, for good?", abort=True, err=True
        )
    erased = api.call("POST", f"{record_path(_PATH, customer_id)}/erase", timeout_s=LONG_S)
    if as_json:
        show_json(erased)
        return
    click.echo(f"customer {customer_id} is erased: {erased['keys']} keys of the store are removed")
    if erased["under_way"]:
        click.echo(
            f"{erased['under_way']} requests had not ended; what they leave is removed within two days, "
            "or at once when this is repeated"
        )


def _show(record: Record, *, as_json: bool) -> None:
    if as_json:
        show_json(record)
    else:
        show_record({name: cell(record) for name, cell in _DETAILS.items()})
        show_warnings(record)
