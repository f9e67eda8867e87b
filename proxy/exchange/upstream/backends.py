"""Backends ready to be called: dialect, address, credentials and time-outs of each, put together once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from providers.dialects import PlainUpstream, Upstream
from providers.endpoints import Operation
from providers.registry import Adapter
from proxy.exchange.upstream.auth import api_key, bearer
from proxy.exchange.upstream.places import Places
from proxy.exchange.upstream.transport import Target, make_target

AUTH = {"bearer": bearer.headers, "api-key": api_key.headers}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds of one attempt, in seconds; 0 means none. See `relay.Deadlines` for what each is counted from."""

    connect_s: float
    first_byte_s: float
    first_content_s: float
    stall_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Provider:
    """One configured provider.

    Attributes:
        base_url: without a slash at its end.
        key: the credential, or `None` where none is needed.
        places: how many requests it gets at a time; `None`: any number.
    """

    adapter: Adapter
    base_url: str
    key: str | None = field(repr=False)
    timeouts: Timeouts
    places: Places | None = None
    proxy: str | None = None
    _targets: dict[str, Target] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def dialect(self) -> Upstream:
        """What it speaks of completions."""
        return self.adapter.dialect

    def speaking(self, operation: Operation) -> PlainUpstream | None:
        """What it speaks of an operation; `None` when it has none."""
        return self.adapter.embeddings if operation == "embeddings" else self.adapter.dialect

    def target(self, path: str) -> Target:
        """Where a request with this path goes; built at the first use."""
        target = self._targets.get(path)
        if target is None:
            headers = AUTH[self.adapter.auth](self.key)
            target = self._targets[path] = make_target(
                self.base_url + path, [("user-agent", "headgate"), *headers], proxy=self.proxy
            )
        return target

    def forwarded(self, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Lines of those client headers that mean something to this provider."""
        wanted = self.adapter.forward_headers
        if not wanted:
            return b""
        return b"".join(
            b"%b: %b\r\n" % (name, value) for name, value in headers if name.decode("latin-1") in wanted
        )


Providers = Mapping[str, Provider]
