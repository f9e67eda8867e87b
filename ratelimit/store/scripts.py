"""Server-side scripts: read once from package data, called by their digest."""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name the server knows it by."""

    name: str
    source: bytes = field(repr=False)
    sha1: bytes = field(repr=False)


def load_script(package: str, name: str) -> Script:
    """Read `<name>.lua` of `package`. Called at import, never per call.

    Raises:
        FileNotFoundError: the file is not in the package.
    """
    source = files(package).joinpath(f"{name}.lua").read_bytes()
    sha1 = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()  # the server's own naming
    return Script(name, source, sha1)
