"""A gateway with one provider for each adapter that translates, all at the scripted upstream."""

import socket
from collections.abc import Mapping
from typing import Any, Final

from tests.support.scripted import url_of
from tests.support.site import PROVIDER_KEY
from tests.support.translating import ADAPTERS

NAMES: Final = tuple(sorted({*ADAPTERS.values(), "vertex"}))

# What a provider needs beside its address; a key unless said otherwise.
_OWN: Final[Mapping[str, Mapping[str, str]]] = {
    "vertex": {"project": "a-project", "location": "europe-west4", "token": PROVIDER_KEY},
    "bedrock": {
        "region": "eu-central-1",
        "access_key_id": PROVIDER_KEY,
        "secret_access_key": PROVIDER_KEY,
    },
}


def foreign_providers(listener: socket.socket) -> dict[str, Any]:
    """Provider sections, each named like its adapter."""
    return {
        name: {
            "adapter": name,
            "base_url": url_of(listener, f"/{name}"),
            **_OWN.get(name, {"api_key": PROVIDER_KEY}),
        }
        for name in NAMES
    }
