"""Another configuration for a running gateway: read it, say what changed, and what has to wait for a restart."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from proxy.settings.load import Loaded, load, path_from, read_document
from proxy.settings.problems import Location, Problem, path_of
from proxy.settings.section import Section

UNTIL_RESTART: Final[tuple[tuple[str, str], ...]] = (
    *(
        ("server", key)
        for key in ("host", "port", "workers", "ops_listen", "data_dir", "keepalive_timeout_s")
    ),
    *(("redis", key) for key in ("url", "timeout_ms")),
    *(("log", key) for key in ("level", "format")),
    ("records", "ledger_days"),
)
"""Section and key of what a running gateway keeps: sockets, the store's connections, the log."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of a reload.

    Attributes:
        changed: paths of what is served otherwise now; ` (secret)` behind one whose secret is another one. No values.
        needs_restart: paths of what is written otherwise and stays as it is until a restart.
        warnings: what waits for a restart, and all that the configuration as it is now warns of.
    """

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Source:
    """Where a gateway's configuration comes from, for as long as it runs."""

    def __init__(
        self,
        path: Path | None,
        *,
        environ: Mapping[str, str],
        flags: Mapping[str, str | int],
        default_models: bytes,
    ) -> None:
        """See `load`."""
        self._path = path or path_from(environ)
        self._environ = environ
        self._flags = flags
        self._default_models = default_models
        self._document: bytes | None = None

    def read(self) -> Loaded:
        """All of it, anew. Blocks.

        Raises:
            ConfigError: with every problem found.
        """
        document = read_document(self._path) if self._path else None
        loaded = self._load(document)
        self._document = document
        return loaded

    def read_secrets(self) -> Loaded:
        """The configuration as it was read last, with the secrets of today. Blocks.

        Raises:
            ConfigError: with every problem found.
        """
        return self._load(self._document)

    def _load(self, document: bytes | None) -> Loaded:
        return load(
            self._path,
            environ=self._environ,
            flags=self._flags,
            default_models=self._default_models,
            document=document,
        )


def difference(running: Loaded, read: Loaded) -> Reloaded:
    """What is different in `read`."""
    changed: list[str] = []
    waiting: list[str] = []
    for location, secret in _differing(running.settings, read.settings, ()):
        path = path_of(location)
        if location[:2] in UNTIL_RESTART:
            waiting.append(path)
        else:
            changed.append(f"{path} (secret)" if secret else path)
    waits = (Problem(path, "waits for a restart: until then it is what it was") for path in waiting)
    return Reloaded(tuple(changed), tuple(waiting), (*waits, *read.warnings))


def servable(running: Loaded, read: Loaded) -> Loaded:
    """`read`, with what needs a restart as it is in `running`."""
    settings = read.settings
    for section in dict.fromkeys(section for section, _ in UNTIL_RESTART):
        kept = getattr(running.settings, section)
        keys = {key: getattr(kept, key) for of, key in UNTIL_RESTART if of == section}
        part = getattr(settings, section).model_copy(update=keys)
        settings = settings.model_copy(update={section: part})
    return replace(read, settings=settings)


def new_warnings(running: Loaded, read: Loaded) -> tuple[Problem, ...]:
    """What `read` warns of and `running` does not."""
    return tuple(problem for problem in read.warnings if problem not in running.warnings)


def signature(files: Iterable[str]) -> Mapping[str, tuple[int, ...] | None]:
    """Something that differs when one of the files does: written anew, replaced, or reached over another link.

    Kubernetes swaps a symbolic link above a mounted secret, which shows in the file's number.
    """
    found: dict[str, tuple[int, ...] | None] = {}
    for name in files:
        try:
            status = Path(name).stat()
        except OSError:
            found[name] = None
        else:
            found[name] = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    return found


def _differing(old: Any, new: Any, at: Location) -> Iterator[tuple[Location, bool]]:
    """Where two values differ, as deep as possible; and whether it is a secret that was read from elsewhere."""
    if old == new:
        return
    parts = _parts(old), _parts(new)
    if type(old) is not type(new) or None in parts:
        yield at, False
        return
    before, after = parts
    assert before is not None
    assert after is not None
    found = False
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            found = True
            yield (*at, name), False
            continue
        for each in _differing(before[name], after[name], (*at, name)):
            found = True
            yield each
    if not found:  # what is not written in the file, or the order
        yield at, isinstance(old, Section)


def _parts(value: Any) -> Mapping[str, Any] | None:
    """What a value is made of, by name; `None` for one that is whole."""
    if isinstance(value, Section):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and value and all(hasattr(each, "id") for each in value):
        return {each.id: each for each in value}
    return None
