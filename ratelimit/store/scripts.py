"""Server-side scripts: read once from package data, called by their digest."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name the server knows it by.

    Attributes:
        writes: that it runs tells that the server takes writes.
        when_full: it runs on a server that is out of memory, too, so that it tells nothing of the end of that.
    """

    name: str
    source: bytes = field(repr=False)
    sha1: bytes = field(repr=False)
    writes: bool = True
    when_full: bool = False


def load_script(
    package: str,
    name: str,
    *,
    writes: bool = True,
    when_full: bool = False,
    prelude: str | Sequence[str] = (),
) -> Script:
    """Read `<name>.lua` of `package`, behind those that `prelude` names. Called at import, never per call.

    A first line with the script's flags is put in front (redis.io, "Lua scripts", of version 7.0): a server
    that takes no writes then refuses one that `writes` before it begins, whatever it would have done, and runs
    one that does not; one that wrongly says it does not write fails at its first write.

    Args:
        prelude: of the same package, or `<package>:<name>`.
        when_full: it runs on a server that is out of memory, too: what it frees or must not be lost outweighs what
            it takes.

    Raises:
        FileNotFoundError: the file is not in the package.
    """
    flags = b"#!lua flags=allow-oom\n" if when_full else b"#!lua\n"
    if not writes:
        flags = b"#!lua flags=no-writes\n"
    before = (prelude,) if isinstance(prelude, str) else prelude
    source = flags + b"".join(_read(package, part) for part in (*before, name))
    sha1 = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()  # the server's own naming
    return Script(name, source, sha1, writes, when_full)


def _read(package: str, part: str) -> bytes:
    other, colon, name = part.rpartition(":")
    return files(other if colon else package).joinpath(f"{name}.lua").read_bytes()
