"""Lay out the root of the image: an environment, its interpreter, the shared libraries both load, and certificates.

Runs while the image is built, inside the base image, with the environment's own interpreter and nothing but the
standard library. Says on standard error what it took.
"""

import argparse
import compileall
import json  # noqa: TID251 - before the environment is used
import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any, Final

USER_ID: Final = 65532
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_BY_HASH: Final = re.compile(r"[0-9a-f]{8}\.\d+")
"""Names under which OpenSSL looks for one certificate, when it needs it."""
SBOM: Final = "usr/share/doc/headgate/sbom.cdx.json"

# Bytecode is made anew; sources of extensions.
_NOT_RUN: Final = ("__pycache__", "*.pyx", "*.pxd", "*.pxi", "*.c", "*.h")

# Parts of the standard library that nothing here imports, by their top name.
_UNUSED: Final = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "distutils",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "sqlite3",
        "test",
        "tkinter",
        "turtledemo",
        "venv",
    }
)
_UNUSED_EXTENSIONS: Final = re.compile(
    r"_(curses|dbm|gdbm|sqlite3|test|tkinter|xxtest|xxsub|ctypes_test)|readline|xxlimited"
)
_CONFIGURATION: Final = re.compile(r"config-\d")  # headers and archives for those who compile
_LIBRARY: Final = re.compile(r"(?:=> )?(?P<path>/\S+) \(0x[0-9a-f]+\)")
_MISSING: Final = re.compile(r"(?P<name>\S+) => not found")
_ELF: Final = b"\x7fELF"


def main() -> None:
    """Command line: see the Dockerfile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, required=True, help="a virtual environment")
    parser.add_argument(
        "--sbom", type=Path, required=True, help="CycloneDX of its packages; completed and put in"
    )
    parser.add_argument("--root", type=Path, required=True, help="made; must not exist")
    chosen = parser.parse_args()
    chosen.root.mkdir()
    _link_usr(chosen.root)
    _copy_environment(chosen.environment, chosen.root)
    interpreter = _copy_interpreter(chosen.root)
    libraries = _copy_libraries(chosen.root)
    _write_accounts(chosen.root)
    _copy_certificates(chosen.root)
    sources = {interpreter, *libraries, CERTIFICATES}
    _write_sbom(chosen.sbom, chosen.root / SBOM, sources)
    _say(f"{len(libraries)} shared libraries; {_size_bytes(chosen.root) / 1e6:.0f} MB in all")


def _link_usr(root: Path) -> None:
    """`/lib` and its like are links into `/usr` where they are so in the base: programs name both."""
    for name in ("bin", "lib", "lib64"):
        base = Path("/", name)
        if base.is_symlink():
            target = base.readlink()
            (root / target).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(target)


def _copy_environment(environment: Path, root: Path) -> None:
    """All of it but what only people and installers call."""
    target = root / environment.relative_to("/")
    shutil.copytree(environment, target, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_RUN))
    kept = {"headgate", "python", "python3"}
    for program in (target / "bin").iterdir():
        if program.name not in kept and not program.name.startswith("python3."):
            program.unlink()
    _compile(target)


def _copy_interpreter(root: Path) -> Path:
    """The interpreter and its library, at their own places."""
    interpreter = Path(sys.executable).resolve()
    _copy_file(interpreter, root, interpreter)
    # The environment's link may name a link: /usr/bin/python3.
    link = Path(sys.executable)
    while link.is_symlink():
        link = link.parent / link.readlink()
        place = root / link.relative_to("/")
        if not place.is_symlink() and link != interpreter:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(interpreter)
    library = Path(sysconfig.get_path("stdlib"))
    target = root / library.relative_to("/")
    shutil.copytree(library, target, symlinks=False, ignore=_left_out, dirs_exist_ok=True)
    _compile(target)
    return interpreter


def _left_out(directory: str, names: list[str]) -> list[str]:
    inside_extensions = Path(directory).name == "lib-dynload"
    unused = _UNUSED_EXTENSIONS.match if inside_extensions else _CONFIGURATION.match
    return [name for name in names if name in _UNUSED or unused(name)]


def _compile(directory: Path) -> None:
    """Bytecode beside the sources, trusted by their hash: nothing can be written there later, and times may change."""
    whole = compileall.compile_dir(
        directory, quiet=2, stripdir=None, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    # Templates among packages' data need not be Python; what must run is proved by running the image.
    if not whole:
        _say(f"not all of {directory} could be compiled")


def _copy_libraries(root: Path) -> set[Path]:
    """What the loader would load for all programs and extensions under `root`, from the base.

    Returns the files of the base that were copied.
    """
    copied: set[Path] = set()
    for program in _programs(root):
        for library in _needed(program):
            place = root / library.relative_to("/")
            if library.is_relative_to(root) or place.exists():
                continue
            _copy_file(library.resolve(), root, library)
            copied.add(library.resolve())
    # Where the loader looks beyond its default folders.
    cache = Path("/etc/ld.so.cache")
    if cache.exists():
        _copy_file(cache, root, cache)
    return copied


def _programs(root: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory, name)
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                if file.read(4) == _ELF:
                    yield path


def _needed(program: Path) -> Iterator[Path]:
    found = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the base's own
    if "not a dynamic executable" in found.stderr or "statically linked" in found.stdout:
        return
    if found.returncode != 0:
        raise SystemExit(f"ldd {program}: {found.stderr}")
    missing = _MISSING.search(found.stdout)
    if missing is not None:
        raise SystemExit(f"{program} needs {missing['name']}, which the base does not have")
    for match in _LIBRARY.finditer(found.stdout):
        yield Path(match["path"])


def _copy_certificates(root: Path) -> None:
    """One file for programs that want one, and a file each, which OpenSSL reads when it meets a certificate's issuer.

    To read all of them at each start takes 35 ms of CPU; so that is done only with a base that has no others.
    """
    _copy_file(CERTIFICATES.resolve(), root, CERTIFICATES)
    found = [each for each in CERTIFICATES.parent.iterdir() if _BY_HASH.fullmatch(each.name)]
    for each in found:
        _copy_file(each.resolve(), root, each)
    if not found:
        _copy_file(CERTIFICATES.resolve(), root, Path(ssl.get_default_verify_paths().openssl_cafile))
    _say(f"{len(found)} certificates that are read when they are needed")


def _write_accounts(root: Path) -> None:
    """One account without password or shell, and its directory; names are looked up in files and DNS."""
    etc = root / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text(f"headgate:x:{USER_ID}:{USER_ID}::/var/lib/headgate:/nonexistent\n")
    (etc / "group").write_text(f"headgate:x:{USER_ID}:\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    home = root / "var" / "lib" / "headgate"
    home.mkdir(parents=True)
    home.chmod(0o700)
    os.chown(home, USER_ID, USER_ID)
    temporary = root / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)


def _write_sbom(source: Path, target: Path, files: Iterable[Path]) -> None:
    """The packages of the lock file, and the base's packages that files were taken of."""
    document: dict[str, Any] = json.loads(source.read_bytes())
    found = sorted(_debian_packages(files))
    document.setdefault("components", []).extend(
        {
            "type": "library",
            "bom-ref": f"pkg:deb/debian/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:deb/debian/{name}@{version}?arch={architecture}",
        }
        for name, version, architecture in found
    )
    document["components"].append(
        {
            "type": "application",
            "bom-ref": "python",
            "name": "python",
            "version": sys.version.split()[0],
            "cpe": f"cpe:2.3:a:python:python:{sys.version.split()[0]}:*:*:*:*:*:*:*",
        }
    )
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(document, indent=1))
    _say(
        f"{len(document['components'])} components in the bill of materials, {len(found)} of them the base's"
    )


def _debian_packages(files: Iterable[Path]) -> set[tuple[str, str, str]]:
    """Name, version and architecture of the packages that `files` belong to; files that no package owns are skipped.

    A base without dpkg gives none.
    """
    if shutil.which("dpkg-query") is None:
        _say("the base has no dpkg: its packages are not in the bill of materials")
        return set()
    packages: set[tuple[str, str, str]] = set()
    for file in files:
        # Owners are recorded by the path they had before /lib became a link.
        names = [str(file), str(file).removeprefix("/usr")]
        owner = next(filter(None, (_asked("--search", name).partition(": ")[0] for name in names)), None)
        if owner is None:
            continue
        shown = _asked("--show", "--showformat", "${Package}\t${Version}\t${Architecture}", owner)
        name, version, architecture = shown.split("\t")
        packages.add((name, version, architecture))
    return packages


def _asked(*arguments: str) -> str:
    found = subprocess.run(["dpkg-query", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the base's own
    return found.stdout.strip() if found.returncode == 0 else ""


def _copy_file(source: Path, root: Path, place: Path) -> None:
    target = root / place.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _size_bytes(root: Path) -> int:
    return sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())


def _say(text: str) -> None:
    sys.stderr.write(f"assemble: {text}\n")


if __name__ == "__main__":
    main()
