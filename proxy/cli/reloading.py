"""Reloading: one at a time, all or nothing, on demand and when the file of a secret has changed."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from proxy.settings.load import Loaded
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.reload import (
    Reloaded,
    Source,
    difference,
    new_warnings,
    servable,
    signature,
)

BY_ADMIN: Final = "the admin API"
BY_FILE: Final = "the file of a secret"
WATCHED_EVERY_S: Final = 2.0
_SHOWN: Final = 100
"""Paths in one line of the log."""


class Target(Protocol):
    """What serves a configuration."""

    async def prepare(self, loaded: Loaded) -> None:
        """Make everything ready for it; nothing is served otherwise yet.

        Raises:
            ConfigError: it cannot be served, and nothing is left of it.
        """
        ...

    async def commit(self) -> None:
        """Serve what was prepared; requests under way keep what they have."""
        ...


class Reloader:
    """Brings configurations from their source to what serves them, and tells the log of each."""

    def __init__(self, source: Source, running: Loaded, target: Target, log: Any) -> None:
        self._source = source
        self._running = running
        self._target = target
        self._log = log
        self._one_at_a_time = asyncio.Lock()

    async def reload(self, by: str) -> Reloaded:
        """Read the configuration anew and serve it. `by`: who wants it, for the log.

        Raises:
            ConfigError: with every problem; nothing has changed.
        """
        async with self._one_at_a_time:
            try:
                return await self._serve(await asyncio.to_thread(self._source.read), by)
            except ConfigError as error:
                self._refused(error.problems, by)
                raise

    @asynccontextmanager
    async def heeding(self) -> AsyncIterator[None]:
        """Reload at SIGHUP, and whenever the file of a secret changes, for the time of the block."""
        loop = asyncio.get_running_loop()
        wanted = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, wanted.set)
        tasks = [loop.create_task(self._on_signal(wanted)), loop.create_task(self._watch())]
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is too late, and by default it would kill
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _on_signal(self, wanted: asyncio.Event) -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            with suppress(ConfigError):  # the log has it
                await self.reload("SIGHUP")

    async def _watch(self) -> None:
        """Look at the files of secrets, and serve with what they hold."""
        seen = await asyncio.to_thread(signature, self._running.secret_files)
        while True:
            await asyncio.sleep(WATCHED_EVERY_S)
            found = await asyncio.to_thread(signature, self._running.secret_files)
            if found != seen and await self._secrets():
                seen = found

    async def _secrets(self) -> bool:
        """Serve with the secrets of today; false when they are to be looked at again."""
        async with self._one_at_a_time:
            try:
                read = await asyncio.to_thread(self._source.read_secrets)
                # One that is gone or empty is probably being written; those that were read work on.
                missing = new_warnings(self._running, read)
                if missing:
                    raise ConfigError(missing)  # noqa: TRY301 - the same end as for any other problem
                await self._serve(read, BY_FILE)
            except ConfigError as error:
                self._refused(error.problems, BY_FILE)
                return False
        return True

    async def _serve(self, read: Loaded, by: str) -> Reloaded:
        came = difference(self._running, read)
        loaded = servable(self._running, read)
        if came.changed:
            await self._target.prepare(loaded)
            await self._target.commit()
        not_yet = [problem for problem in read.inactive if problem not in self._running.inactive]
        waiting = came.warnings[: len(came.needs_restart)]
        for problem in (*waiting, *new_warnings(self._running, read), *not_yet):
            self._log.warning("configuration", path=problem.path, reason=problem.message)
        self._running = loaded
        self._log.info(
            "configuration reloaded",
            by=by,
            changed=came.changed[:_SHOWN],
            changed_count=len(came.changed),
            needs_restart=came.needs_restart,
        )
        return came

    def _refused(self, problems: tuple[Problem, ...], by: str) -> None:
        self._log.error(
            "configuration not reloaded; it stays as it was",
            by=by,
            problems=[{"path": each.path, "message": each.message} for each in problems[:_SHOWN]],
        )
