"""What `headgate serve` has read and opened by the time that requests can be served."""

import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from proxy.assembly.kept import Kept
from proxy.settings.load import Loaded
from proxy.settings.reload import Source
from ratelimit.store.address import Address


class WorkersFailed(Exception):
    """The workers cannot serve; the message says why."""


class Opened(NamedTuple):
    """For one process that serves alone and for a supervisor alike.

    Attributes:
        source: where `loaded` came from, and the next configuration will.
        store_address: of the embedded store; `None`: `redis.url` says where the store is.
        ops_listener: `None`: probes and metrics are served with everything else.
        listening: to be called when requests are taken.
    """

    source: Source
    loaded: Loaded
    kept: Kept
    store_address: Address | None
    listener: socket.socket
    ops_listener: socket.socket | None
    log: Any
    listening: Callable[[], None]
