"""What a way of authenticating gets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one provider, as configured; a way takes what it needs.

    Attributes:
        key: an API key, or `None` where none is needed.
        token: an access token of a cloud.
        access_key_id, secret_access_key, session_token: of AWS; without the first the usual chain is asked.
        region: of AWS.
    """

    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None

    def secrets(self) -> Iterator[str]:
        """What must never be shown."""
        for secret in (self.key, self.token, self.access_key_id, self.secret_access_key, self.session_token):
            if secret:
                yield secret


class Outgoing(NamedTuple):
    """A request about to be sent. `headers` are those that a signature may cover."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Way:
    """One way of authenticating.

    Attributes:
        headers: makes the headers to add. Called once per address where the request does not matter.
        per_request: the headers depend on the request, so they are made for each.
    """

    headers: Callable[[Credentials, Outgoing], list[tuple[str, str]]]
    per_request: bool = False
