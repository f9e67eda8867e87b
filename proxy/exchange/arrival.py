"""A request that has passed the door: who asks, when, and over which connection."""

from collections.abc import Sequence
from typing import NamedTuple

from proxy.exchange.downstream import Connection
from ratelimit.subjects.types import Subject


class Arrival(NamedTuple):
    """
    Attributes:
        request_id: made at the door.
        arrived_s: monotonic.
        subject: the key and its customer.
        headers: the client's, names in lower case.
        said: headers that every answer to this request carries.
        connection: the client's.
    """

    request_id: str
    arrived_s: float
    subject: Subject
    headers: Sequence[tuple[bytes, bytes]]
    said: Sequence[tuple[bytes, bytes]]
    connection: Connection

    @property
    def client_request_id(self) -> str | None:
        """What the client itself calls this request, if it does."""
        for name, value in self.said:
            if name == b"x-client-request-id":
                return value.decode("latin-1")
        return None
