"""An environment of its own for every foreign client, made from the client's lock file.

Python: `<client>/requirements.txt` (hashed) into `<client>/.venv`; JavaScript: `<client>/package-lock.json` into
`<client>/node_modules`. Either is made once and again when the lock file changes. Where a tool is missing or the
network is away the tests are skipped and say so; under `CI=true` a package that cannot be fetched is a failure.

Lock files are made in the client's directory, without addresses of package indexes in them:

    uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \\
        requirements.in -o requirements.txt
    npm install --package-lock-only --omit-lockfile-registry-resolved --omit=peer --ignore-scripts
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NoReturn

import pytest

CLIENTS: Final = Path(__file__).parent
ROOT: Final = CLIENTS.parent.parent
OLDEST_NODE: Final = 20
FETCH_S: Final = 300.0  # a hundred megabytes over a slow line
# What npm and uv say when the network is at fault, and not the lock file or a package.
_NO_NETWORK: Final = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT)\b"
    r"|\b(dns error|client error \(Connect\)|operation timed out|the network was disabled)"
)


def interpreter(client: str) -> Path:
    """Python with the packages of `<client>/requirements.txt`, every one checked against its hash."""
    directory = CLIENTS / client
    environment, lock = directory / ".venv", directory / "requirements.txt"
    python = environment / "bin" / "python"
    with _unless_made(lock, environment / ".made-from") as stamp:
        if stamp is not None:
            uv = _uv()
            # As the Makefile has it: the machine's own certificates.
            environ = {**os.environ, "UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
            shutil.rmtree(environment, ignore_errors=True)
            make = ("venv", "--quiet", "--no-project", "--python", sys.executable, str(environment))
            _fetch((uv, *make), directory, environ)
            fill = ("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock))
            _fetch((uv, *fill), directory, environ)
            stamp.write_text(_made_from(lock))
    return python


def node() -> Path:
    """Node, when it is there and new enough."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(said.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {said} is older than {OLDEST_NODE}")
    return Path(program)


def modules(client: str) -> Path:
    """The directory of `<client>/package-lock.json`, its packages in place."""
    node()
    directory = CLIENTS / client
    lock = directory / "package-lock.json"
    with _unless_made(lock, directory / "node_modules" / ".made-from") as stamp:
        if stamp is not None:
            patience = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
            quiet = ("--ignore-scripts", "--omit=peer", "--no-audit", "--no-fund")
            _fetch(("npm", "ci", *quiet, *patience), directory, os.environ)
            stamp.write_text(_made_from(lock))
    return directory


@contextmanager
def _unless_made(lock: Path, stamp: Path) -> Iterator[Path | None]:
    """`stamp` when there is work to do, None when it was done; two test processes do not do it at the same time."""
    with lock.open("rb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # let go when the file is closed
        made = stamp.exists() and stamp.read_text() == _made_from(lock)
        yield None if made else stamp


def _made_from(lock: Path) -> str:
    """What an environment depends on: the lock file, and the Python that runs these tests."""
    return f"{sha256(lock.read_bytes()).hexdigest()} {sys.version_info.major}.{sys.version_info.minor}"


def _uv() -> str:
    own = ROOT / ".uv" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        _no_package("uv is not installed; `make setup` brings it, UV=/path/to/uv names it")
    return str(ROOT / found)  # a relative one counts from the root, as in the Makefile


def _fetch(command: Sequence[str], directory: Path, environ: Mapping[str, str]) -> None:
    what = f"{Path(command[0]).name} {command[1]}"
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FETCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _no_package(f"{what} took longer than {FETCH_S:g} s")
    if done.returncode == 0:
        return
    if (sign := _NO_NETWORK.search(done.stderr)) is not None:
        _no_package(f"{what} has no network: {sign[0]}")
    pytest.fail(f"{what} failed: {done.stderr}")


def _no_package(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
