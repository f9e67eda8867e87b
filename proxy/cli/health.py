"""`headgate health`: what a running gateway knows of its backends."""

from collections.abc import Mapping
from typing import Any, Final

import click

from proxy.cli.api import Api, Record, connected, json_option, plain_text, show_json, show_list

PATH: Final = "/admin/v1/health"


@click.command()
@json_option
@connected
def health(api: Api, *, as_json: bool) -> None:
    """Availability, speed and circuits of all backends, as all gateways have met them in 7 days."""
    members = api.call("GET", PATH)
    if as_json:
        show_json(members)
        return
    age_s = members.get("age_s")
    backends: list[Record] = members.get("backends", [])
    show_list(
        {
            "backend": lambda record: str(record["backend"]),
            "available": lambda record: f"{record['availability']:.4f}",
            "attempts": lambda record: str(record["attempts_7d"]),
            "faults 5m": lambda record: _share(record["recent_error_share"]),
            "429s 5m": lambda record: _share(record["recent_saturated_share"]),
            "first p50": lambda record: _unit(_speed(record)["first_content_p50_ms"], "ms"),
            "first p95": lambda record: _unit(_speed(record)["first_content_p95_ms"], "ms"),
            "tokens/s": lambda record: _unit(_speed(record)["tokens_s_p50"], ""),
            "circuit": _circuit,
            "keys": _keys,
        },
        backends,
    )
    if age_s is None:
        click.echo("Nothing has been read from the store yet.", err=True)
    elif age_s > 10:
        click.echo(f"The store does not answer; the figures are {age_s:.0f} s old.", err=True)


def _speed(record: Record) -> Mapping[str, Any]:
    """Of this hour and the last, or of 7 days where these have no answer."""
    recent: Mapping[str, Any] = record["speed_recent"]
    week: Mapping[str, Any] = record["speed_7d"]
    return recent if recent["samples"] else week


def _circuit(record: Record) -> str:
    """`closed`, or why it is not and for how long."""
    if record["circuit"] == "closed":
        return "closed"
    left = f" {record['open_for_s']:.0f} s" if record["open_for_s"] else ""
    return f"{record['circuit']} ({plain_text(record['circuit_reason'])}){left}"


def _keys(record: Record) -> str:
    """How many may be used, of those that there are."""
    keys = record["keys"]
    closed = sum(key["circuit"] == "closed" for key in keys)
    return f"{closed}/{len(keys)}" if keys else "-"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _unit(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f} {unit}".rstrip()
