"""The image, built once for all tests that run it."""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.podman import IMAGE, Podman, need_podman, podman
from tests.deploy.rendering import ROOT

# Made of Debian's packages where no registry of images can be asked; BASE names another.
_BASE: Final = "localhost/headgate-base:bookworm"
_DEBIAN: Final = ("bookworm", "http://deb.debian.org/debian")
_PACKAGES: Final = "python3,python3-venv,ca-certificates"


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    """podman, and `make image` done with it."""
    need_podman()
    made = podman(tmp_path_factory.mktemp("podman"))
    base = os.environ.get("BASE", _BASE)
    if base == _BASE and made.tried("image", "exists", base)[0] != 0:
        _make_base(made, tmp_path_factory.mktemp("base"))
    arguments = ["--layers", "--isolation", "chroot", "--pull-never"]
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates:
        arguments += ["--secret", f"id=certificates,src={certificates}"]
    built = subprocess.run(
        [
            "make",
            "image",
            "CONTAINERS=podman",
            f"IMAGE={IMAGE}",
            f"BASE={base}",
            f"IMAGE_ARGS={' '.join(arguments)}",
        ],
        cwd=ROOT,
        env=made.environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert 0 == built.returncode, built.stdout[-4000:] + built.stderr[-4000:]
    return made


def _make_base(tool: Podman, directory: Path) -> None:
    root, archive = directory / "root", directory / "base.tar"
    suite, mirror = _DEBIAN
    for command in (
        ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", suite, str(root), mirror],
        ["tar", "-C", str(root), "-cf", str(archive), "."],
    ):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        assert 0 == ended.returncode, ended.stdout[-2000:] + ended.stderr[-2000:]
    tool("import", str(archive), _BASE)
