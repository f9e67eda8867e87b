"""The key in a header of its own: `api-key` for Azure, `x-api-key` for Anthropic, `x-goog-api-key` for Gemini."""

from collections.abc import Callable

from proxy.exchange.upstream.auth.types import Credentials, Outgoing


def named(name: str) -> Callable[[Credentials, Outgoing], list[tuple[str, str]]]:
    """Makes the header; none without a key."""

    def headers(credentials: Credentials, _: Outgoing) -> list[tuple[str, str]]:
        return [] if credentials.key is None else [(name, credentials.key)]

    return headers
