"""A catalogue by a short name: the same for all gateways that have the same one."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Any, Final

import orjson

from proxy.routing.catalogue.types import Catalogue

_BYTES: Final = 8


def fingerprint(catalogue: Catalogue) -> str:
    """16 hexadecimal digits of all that the policy reads; another figure or order of a list gives others."""
    text = orjson.dumps(catalogue, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return blake2b(text, digest_size=_BYTES).hexdigest()


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(value)
    raise TypeError(type(value).__name__)
