"""The wheel, built and installed alone: does a user get a whole gateway, and nothing else?

Prints what it checked, a line each; exit code 1 when anything is wrong. `UV` names the uv binary. Building and
installing need a package index or a filled cache; nothing else leaves the machine.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("classifiers", "providers", "proxy", "ratelimit")
# Fitting needs numpy and scipy; it runs from the sources.
LEFT_OUT: Final = ROOT / "classifiers" / "fitting"
INSTALL_S: Final = 300.0
COMMAND_S: Final = 30.0
START_S: Final = 30.0
_POLL_S: Final = 0.05
_SAID_BYTES: Final = 2000

# What runs inside the clean environment. Every module is imported, so that none leans on a test or development package.
_INSIDE: Final = """
import importlib, importlib.metadata, pkgutil, sys
import orjson
packages = sys.argv[1:]
owners = importlib.metadata.packages_distributions()
files, modules, broken = {}, [], {}
for name in packages:
    package = importlib.import_module(name)
    files[name] = package.__file__
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        modules.append(found.name)
        try:
            importlib.import_module(found.name)
        except Exception as problem:
            broken[found.name] = repr(problem)
said = {"owners": {name: owners.get(name) for name in packages}, "files": files, "modules": modules, "broken": broken}
sys.stdout.buffer.write(orjson.dumps(said))
"""


@dataclass
class Checks:
    """Claims, and how many of them did not hold."""

    failed: list[str] = field(default_factory=list)

    def that(self, claim: str, *, holds: bool, seen: object) -> None:
        """Print the claim; when it does not hold, with what was seen instead."""
        if holds:
            say(f"ok      {claim}")
        else:
            self.failed.append(claim)
            say(f"FAILED  {claim}: {seen}")


@dataclass(frozen=True)
class Installation:
    """A clean environment with the wheel in it, and an empty directory to start commands from."""

    environment: Path
    empty: Path

    def run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """A program of the environment, without a single variable, from the empty directory."""
        return subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.empty,
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )


def main() -> int:
    """Build, install, check."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        say("FAILED  uv is not installed; UV=/path/to/uv names it")
        return 1
    uv = str(Path(uv).absolute()) if os.sep in uv else uv
    checks = Checks()
    # Short, because the embedded store's socket may lie below it.
    with tempfile.TemporaryDirectory(prefix="hg-wheel-") as name:
        directory = Path(name)
        wheel = build(uv, directory / "dist")
        say(f"built   {wheel.name} ({wheel.stat().st_size // 1000} kB)")
        check_contents(checks, wheel)
        installation = install(uv, wheel, directory)
        check_environment(checks, uv, installation)
        check_commands(checks, installation)
        check_serving(checks, installation)
    say(f"{len(checks.failed)} of the claims above do not hold" if checks.failed else "the wheel is whole")
    return 1 if checks.failed else 0


def build(uv: str, into: Path) -> Path:
    """The wheel, from the tree as it lies there."""
    _run([uv, "build", "--quiet", "--wheel", "--out-dir", into, ROOT])
    (wheel,) = into.glob("*.whl")
    return wheel


def install(uv: str, wheel: Path, directory: Path) -> Installation:
    """The wheel and what the lock file names for run time, by hash, and nothing more."""
    environment, requirements, empty = directory / "venv", directory / "requirements.txt", directory / "empty"
    empty.mkdir()
    export = [
        "export",
        "--quiet",
        "--locked",
        "--no-dev",
        "--no-emit-project",
        "--format",
        "requirements-txt",
    ]
    _run([uv, *export, "--output-file", requirements])
    _run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, environment])
    add: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", environment]
    _run([*add, "--require-hashes", "--requirements", requirements])
    _run([*add, "--no-deps", wheel])
    return Installation(environment, empty)


def check_contents(checks: Checks, wheel: Path) -> None:
    """What is in the archive, and what is not."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        info = next(name.split("/", 1)[0] for name in names if ".dist-info/" in name)
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    tops = sorted({name.split("/", 1)[0] for name in names} - {info})
    checks.that(
        "only the four packages are in; tests, deploy and docs are out", holds=tops == [*PACKAGES], seen=tops
    )
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and LEFT_OUT not in path.parents
    }
    packed = {name for name in names if not name.startswith(info)}
    checks.that(
        f"it holds the {len(sources)} files of the packages and no other",
        holds=sources == packed,
        seen=sorted(sources ^ packed),
    )
    scripts = sorted(name for name in packed if name.endswith(".lua"))
    checks.that(f"{len(scripts)} Lua scripts are in", holds=bool(scripts), seen=scripts)
    catalogue = "proxy/routing/catalogue/default.yaml"
    checks.that("the default catalogue is in", holds=catalogue in packed, seen=sorted(packed))
    checks.that("the licence is in", holds=f"{info}/licenses/LICENSE" in names, seen=sorted(names - packed))
    entry = "headgate = proxy.cli.main:main"
    checks.that("it installs the command", holds=entry in entry_points.splitlines(), seen=entry_points)


def check_environment(checks: Checks, uv: str, installation: Installation) -> None:
    """Whether what is installed fits together and belongs to whom it should."""
    consistent = subprocess.run(
        [uv, "pip", "check", "--python", installation.environment],
        capture_output=True,
        text=True,
        check=False,
    )
    checks.that("the requirements fit together", holds=consistent.returncode == 0, seen=consistent.stderr)
    done = installation.run("python", "-I", "-c", _INSIDE, *PACKAGES)
    if done.returncode != 0:
        checks.that("the packages can be imported", holds=False, seen=_text(done.stderr))
        return
    said = orjson.loads(done.stdout)
    owners = said["owners"]
    one_owner = all(owners[name] == ["headgate"] for name in PACKAGES)
    checks.that("each of the four packages has one owner, headgate", holds=one_owner, seen=owners)
    inside = all(Path(file).is_relative_to(installation.environment) for file in said["files"].values())
    checks.that("they are imported from the clean environment", holds=inside, seen=said["files"])
    checks.that(
        f"{len(said['modules'])} modules import without development packages",
        holds=bool(said["modules"]) and not said["broken"],
        seen=said["broken"],
    )


def check_commands(checks: Checks, installation: Installation) -> None:
    """`headgate version`, `headgate check` and `headgate classify`."""
    expected: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    done = installation.run("headgate", "version", "--json")
    fits = done.returncode == 0 and orjson.loads(done.stdout)["version"] == expected
    checks.that(f"`headgate version` says {expected}", holds=fits, seen=_text(done.stdout + done.stderr))
    done = installation.run("headgate", "check", "--json")
    fits = done.returncode == 0 and orjson.loads(done.stdout)["ok"] is True
    checks.that("`headgate check` is content", holds=fits, seen=_text(done.stdout + done.stderr))
    done = installation.run("headgate", "check", "--config", "absent.yaml", "--json")
    fits = done.returncode == 2 and orjson.loads(done.stdout)["ok"] is False
    checks.that("and is not with a file that is missing", holds=fits, seen=_text(done.stdout + done.stderr))
    done = installation.run("headgate", "classify", "Compare OAuth and JWT", "--json")
    fits = done.returncode == 0 and orjson.loads(done.stdout)["source"] == "scorer"
    checks.that("`headgate classify` has its weights", holds=fits, seen=_text(done.stdout + done.stderr))
    left = sorted(path.name for path in installation.empty.iterdir())
    checks.that("none leaves anything behind", holds=not left, seen=left)


def check_serving(checks: Checks, installation: Installation) -> None:
    """One streamed answer of the sandbox, from a gateway with its defaults, which then ends when told to."""
    log = installation.empty.parent / "serve.log"
    with _serving(installation, log) as process:
        base, key = _greeting(process)
        told = base is not None and key is not None
        checks.that("`headgate serve` tells its address and a key", holds=told, seen=_text(log.read_bytes()))
        if base is None or key is None:
            return
        problem = _wait_until_ready(base)
        checks.that("it becomes ready", holds=problem is None, seen=problem)
        if problem is None:
            status, answer = _ask(base, key)
            _check_answer(checks, status, answer)
        process.send_signal(signal.SIGTERM)
        try:
            ended = process.wait(START_S)
        except subprocess.TimeoutExpired:
            ended = None
    checks.that("SIGTERM ends it with exit code 0", holds=ended == 0, seen=(ended, _text(log.read_bytes())))


def _check_answer(checks: Checks, status: int, answer: bytes) -> None:
    frames = [line[6:] for line in answer.splitlines() if line.startswith(b"data: ")]
    complete = status == 200 and len(frames) > 2 and frames[-1] == b"[DONE]"
    checks.that("a streamed request is answered to its end", holds=complete, seen=(status, _text(answer)))
    if complete:
        last = orjson.loads(frames[-2])
        facts = (last.get("headgate") or {}).get("provider"), bool(last.get("usage"))
        checks.that(
            "its last chunk says what ran and the usage",
            holds=facts == ("sandbox", True),
            seen=_text(frames[-2]),
        )


@contextmanager
def _serving(installation: Installation, log: Path) -> Iterator["subprocess.Popen[str]"]:
    """A gateway without a file and without a variable; ended here in any case."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [installation.environment / "bin" / "headgate", "serve", "--port", "0"],
            cwd=installation.empty,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _greeting(process: "subprocess.Popen[str]") -> tuple[str | None, str | None]:
    """Address and key from what it prints; `None` for what it has not said when it ends or its time is up."""
    base = key = None
    assert process.stdout is not None
    deadline = threading.Timer(START_S, process.kill)  # ends the output too, and so the loop
    deadline.start()
    try:
        for line in process.stdout:
            words = line.split()
            if "listening on" in line:
                base = words[-1].removesuffix("/v1")
            elif words[:1] == ["key"]:
                key = words[1]
                break
    finally:
        deadline.cancel()
    return base, key


def _wait_until_ready(base: str) -> str | None:
    """Poll `/readyz`; the last problem when it stays unready."""
    deadline_s = time.monotonic() + START_S
    problem = "not asked"
    while time.monotonic() < deadline_s:
        try:
            with _OPENER.open(f"{base}/readyz", timeout=1):
                return None
        except OSError as error:
            problem = str(error)
            time.sleep(_POLL_S)
    return problem


def _ask(base: str, key: str) -> tuple[int, bytes]:
    """A streamed request for a tier: status and body."""
    body: dict[str, Any] = {
        "model": "balanced",
        "stream": True,
        "messages": [{"role": "user", "content": "Hello!"}],
    }
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"{base}/v1/chat/completions", orjson.dumps(body), headers)
    try:
        with _OPENER.open(request, timeout=COMMAND_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the loopback, whatever is set


def _run(command: Sequence[str | Path]) -> None:
    """A step that has to succeed; its own words say what went wrong."""
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=INSTALL_S, check=False)
    if done.returncode != 0:
        say(f"FAILED  {' '.join(str(word) for word in command)}: exit code {done.returncode}")
        raise SystemExit(1)


def _text(said: bytes) -> str:
    return said[-_SAID_BYTES:].decode(errors="replace")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
