"""Circuits as the scripts spell them."""

from collections.abc import Sequence
from typing import cast

import orjson

from ratelimit.health.types import Change, Circuit, Target


def name_of(target: Target) -> str:
    """How the store names a circuit."""
    return f"{target.backend}\n{target.provider_key_id}"


def target_of(name: bytes) -> Target:
    """The inverse of `name_of`."""
    backend, _, provider_key_id = name.decode().partition("\n")
    return Target(backend, provider_key_id)


def changes_in(reply: object) -> list[Change]:
    """What `write.lua` says it has changed."""
    parts = cast("list[list[bytes]]", reply)
    return [
        Change(target_of(name), what.decode(), reason.decode())  # type: ignore[arg-type] # the script's words
        for name, what, reason in parts
    ]


def circuits_in(stored: Sequence[bytes], *, now_ms: int, now_s: float) -> dict[Target, Circuit]:
    """Names and values in turn, on the gateway's own clock: it showed `now_s` when the store's showed `now_ms`."""
    circuits: dict[Target, Circuit] = {}
    for name, text in zip(stored[::2], stored[1::2], strict=True):
        value = orjson.loads(text)
        circuits[target_of(name)] = Circuit(
            open_until_s=now_s + (value["open_until"] - now_ms) / 1000,
            cool_down_s=value["cool_down"] / 1000,
            reason=value["reason"],
            token=value["token"],
            leased_until_s=now_s + (value["leased_until"] - now_ms) / 1000,
        )
    return circuits
