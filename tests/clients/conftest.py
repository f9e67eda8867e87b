"""Foreign clients: only when named (`make test-clients`), because their packages have to be fetched."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave this directory out unless the command line names it, or something in it."""
    named = [
        (config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args
    ]
    return None if any(HERE in (path, *path.parents) for path in named) else True
