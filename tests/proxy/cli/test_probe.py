"""`headgate probe`, against a real gateway and against whoever else may answer."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.probe import probe
from tests.support.gateway import config_for, running


def run(*arguments: str, environ: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(probe, arguments, env={"HEADGATE_PORT": None, **(environ or {})})


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives one client this answer; none at all when it is empty."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(answer)
            if not answer:
                done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join()


def test_a_gateway_that_serves(tmp_path: Path) -> None:
    """It is ready and live, found by URL or by the port that the environment names; 0 tells so."""
    with running(tmp_path, config_for("http://127.0.0.1:9/v1")) as gateway:
        asked = run("--url", gateway.base), run("--live", environ={"HEADGATE_PORT": str(gateway.port)})
    assert [(0, "ready\n"), (0, "live\n")] == [(each.exit_code, each.output) for each in asked]


def test_one_that_does_not() -> None:
    """Not ready is exit code 1, with the gateway's reasons."""
    body = b'{"status":"not_ready","reasons":["the store is away","draining"]}'
    head = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: %d\r\n\r\n" % len(body)
    with answering(head + body) as url:
        asked = run("--url", url)
    assert 1 == asked.exit_code
    assert asked.stderr.endswith("answered 503: the store is away; draining\n")


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope", 1, "answered 404: that is not Headgate"),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n[]", 1, "answered 503: without a reason"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 3, "no answer"),
        (b"", 3, "nothing came for 0.2 s"),
    ],
)
def test_somebody_else(answer: bytes, code: int, words: str) -> None:
    """What is no gateway, or says nothing, is told apart from one that is not ready."""
    with answering(answer) as url:
        asked = run("--url", url, "--timeout-s", "0.2")
    assert code == asked.exit_code
    assert words in asked.stderr


def test_nobody() -> None:
    """A refused connection is exit code 3."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    asked = run("--url", f"http://127.0.0.1:{port}")
    assert 3 == asked.exit_code
    assert f"headgate: no answer from 127.0.0.1:{port}: Connection refused\n" == asked.stderr


@pytest.mark.parametrize("port", ["", "tcp://10.0.0.1:80"])
def test_a_port_that_is_none(port: str) -> None:
    """Kubernetes' address of a Service is no port: 8080 is asked, as it is served."""
    asked = run(environ={"HEADGATE_PORT": port})
    assert "127.0.0.1:8080" in asked.output or asked.exit_code == 0


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "https://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://127.0.0.1/v1"]
)
def test_wrong_usage(url: str) -> None:
    """What is no base URL is refused before anything is asked."""
    asked = run("--url", url)
    assert 2 == asked.exit_code
    assert "must be a base URL" in asked.stderr


def test_wrong_port_in_the_environment() -> None:
    """It is refused too."""
    assert 2 == run(environ={"HEADGATE_PORT": "eighty"}).exit_code
