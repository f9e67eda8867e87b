"""Backends ready to be called: dialect, address, credentials and time-outs of each, put together once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from providers.dialects import PlainUpstream, Upstream
from providers.endpoints import Operation
from providers.redaction import MASK
from providers.registry import Adapter, Auth
from providers.types import UpstreamError
from proxy.exchange.upstream.auth import bearer, named_header, sigv4
from proxy.exchange.upstream.auth.types import Credentials, Outgoing, Way
from proxy.exchange.upstream.places import Places
from proxy.exchange.upstream.transport import Target, make_target, origin_of

AUTH: Final[Mapping[Auth, Way]] = {
    "bearer": Way(bearer.key),
    "token": Way(bearer.token),
    "api-key": Way(named_header.named("api-key")),
    "x-api-key": Way(named_header.named("x-api-key")),
    "x-goog-api-key": Way(named_header.named("x-goog-api-key")),
    "sigv4": Way(sigv4.headers, per_request=True),
}
_SIGNED: Final = (("content-type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds of one attempt, in seconds; 0 means none. See `relay.Deadlines` for what each is counted from.

    `first_byte_before_others_s`: instead of `first_byte_s`, while another backend could be tried; `None`: the same.
    """

    connect_s: float
    first_byte_s: float
    first_content_s: float
    stall_s: float
    total_s: float
    first_byte_before_others_s: float | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """One configured provider.

    Attributes:
        base_url: without a slash at its end.
        credentials: of the operator with this provider.
        places: how many requests it gets at a time; `None`: any number.
    """

    adapter: Adapter
    base_url: str
    credentials: Credentials
    timeouts: Timeouts
    places: Places | None = None
    proxy: str | None = None
    _targets: dict[str, Target] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """Whom its connections are made to."""
        return origin_of(self.base_url, self.proxy)

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
            way = AUTH[self.adapter.auth]
            url = self.base_url + path
            proof = [] if way.per_request else way.headers(self.credentials, Outgoing("POST", url, (), b""))
            target = self._targets[path] = make_target(
                url, [("user-agent", "headgate"), *self.adapter.headers, *proof], proxy=self.proxy
            )
        return target

    def shown(self, error: UpstreamError) -> UpstreamError:
        """A failure without this provider's secrets, whatever words stand around them.

        That is its credentials, and its address where the operator chose one. What a provider says about our own key
        is no client's business at all.
        """
        param, code = (None, None) if error.kind == "auth" else (error.param, error.code)
        said = (error.message, param, code)
        masked = tuple(self._masked(words) for words in said)
        if masked == (error.message, error.param, error.code):
            return error
        return error.reworded(*masked)

    def _masked(self, words: str | None) -> str | None:
        for secret in self._secrets:
            if words is not None and secret in words:
                words = words.replace(secret, MASK)
        return words

    @property
    def _secrets(self) -> Iterator[str]:
        yield from self.credentials.secrets()
        if self.base_url != self.adapter.base_url:
            yield self.base_url.partition("://")[2].partition("/")[0]

    def further_head(self, headers: Sequence[tuple[bytes, bytes]], path: str, body: bytes) -> bytes:
        """Header lines of this request alone: the client's that mean something here, and a signature over it.

        Raises:
            UpstreamError: it cannot be signed.
        """
        lines = self._forwarded(headers) if self.adapter.forward_headers else b""
        way = AUTH[self.adapter.auth]
        if not way.per_request:
            return lines
        try:
            made = way.headers(self.credentials, Outgoing("POST", self.base_url + path, _SIGNED, body))
        except LookupError as problem:
            raise UpstreamError("auth", str(problem)) from None
        return lines + b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in made)

    def _forwarded(self, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        wanted = self.adapter.forward_headers
        return b"".join(
            b"%b: %b\r\n" % (name, value) for name, value in headers if name.decode("latin-1") in wanted
        )


Providers = Mapping[str, Provider]
