"""What a store stands on: one server, the master that sentinels name, or the masters of a cluster."""

from collections.abc import Awaitable
from typing import Protocol


class Topology(Protocol):
    """Takes packed commands to the server that holds their key. An error reply is a value, never raised.

    A key is what is hashed for its place in a cluster; "" stands for any server. One server ignores it.
    """

    @property
    def down_reason(self) -> str | None:
        """Why every call fails at present; None while some may succeed."""

    async def open(self) -> None:
        """Connect; servers that are away are no error and are looked for. Raises StoreRefused."""

    async def close(self) -> None:
        """End everything; calls under way and later ones raise StoreUnavailable."""

    def request(self, key: str, packed: bytes) -> Awaitable[object]:
        """The reply. Raises StoreUnavailable (when awaited): no answer within the time-out, or known to be away."""

    def request_all(self, packed: bytes) -> Awaitable[list[object]]:
        """The replies of all masters. Raises StoreUnavailable when one of them does not answer."""

    async def request_unchecked(self, key: str, packed: bytes) -> object:
        """The reply by a connection of its own, whatever identity the store has. Raises as `open` does too."""

    async def look_again(self, key: str) -> None:
        """Look for the server of the key now, not after a pause. Raises StoreUnavailable, StoreRefused."""

    def name_of(self, key: str) -> str:
        """The server that holds the key, for telling apart what is wrong with which."""

    def give_up(self, key: str, reason: str) -> None:
        """The server of the key answers, but not as a usable one: look for a better one."""
