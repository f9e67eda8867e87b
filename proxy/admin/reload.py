"""Reloading the configuration, as an administrator asks for it."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import answer
from proxy.exchange.errors import Refused
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.reload import Reloaded

Reload = Callable[[], Awaitable[Reloaded]]


class ReloadDesk:
    """Its endpoint."""

    def __init__(self, reload: Reload) -> None:
        """`reload` raises ConfigError when nothing was changed."""
        self._reload = reload

    async def reload(self, request: Request) -> Response:
        """Serve what the file, the catalogue and the secrets say now."""
        try:
            came = await self._reload()
        except ConfigError as error:
            raise _refused(error.problems) from error
        return answer(
            request,
            {
                "changed": came.changed,
                "needs_restart": came.needs_restart,
                "warnings": _rows(came.warnings),
            },
        )


def _refused(problems: tuple[Problem, ...]) -> Refused:
    return Refused(
        "invalid_request",
        "the configuration stays as it was: " + "; ".join(map(str, problems)),
        param=problems[0].path,
        details={"problems": _rows(problems)},
    )


def _rows(problems: tuple[Problem, ...]) -> list[dict[str, str]]:
    return [{"path": problem.path, "message": problem.message} for problem in problems]
