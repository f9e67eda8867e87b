"""`Authorization: Bearer`, as most providers want it."""


def headers(key: str | None) -> list[tuple[str, str]]:
    """The headers that carry `key`; none without one."""
    return [("authorization", f"Bearer {key}")] if key is not None else []
