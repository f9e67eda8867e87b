"""`api-key`, as Azure wants it."""


def headers(key: str | None) -> list[tuple[str, str]]:
    """The headers that carry `key`; none without one."""
    return [("api-key", key)] if key is not None else []
