"""Routes of the admin API."""

from collections.abc import Mapping

from starlette.routing import Route

from ratelimit.subjects.directory import Directory


def admin_routes(directory: Directory, *, default_limits: Mapping[str, float]) -> list[Route]:
    """All of them."""
    return []
