"""`Authorization: Bearer`, as most providers want their key, and clouds their token."""

from proxy.exchange.upstream.auth.types import Credentials, Outgoing


def key(credentials: Credentials, _: Outgoing) -> list[tuple[str, str]]:
    """The headers that carry the key; none without one."""
    return [] if credentials.key is None else [("authorization", f"Bearer {credentials.key}")]


def token(credentials: Credentials, _: Outgoing) -> list[tuple[str, str]]:
    """The headers that carry the token, or the key in its place; none without either."""
    carried = credentials.token or credentials.key
    return [] if carried is None else [("authorization", f"Bearer {carried}")]
