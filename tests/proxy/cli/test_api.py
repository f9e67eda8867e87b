"""The commands' client: where it goes, what it makes of answers, and how it fails."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
import pytest
from click.testing import CliRunner, Result

from proxy.cli import api as client
from proxy.cli.api import Api, Refusal, Unreachable, limits_text, record_path, show_list, show_record
from proxy.cli.keys import keys

KEY = "test-admin-key-0001"


def run(*arguments: str, key: str | None = KEY) -> Result:
    return CliRunner().invoke(keys, arguments, env={"HEADGATE_ADMIN_KEY": key})


class Stub:
    """Answers each connection with the next of some byte strings, and keeps what it was sent."""

    def __init__(self, answers: list[bytes]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answers = answers
        self._thread = threading.Thread(target=self._serve)
        self.heard: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(20)
                self.heard.append(_whole_request(connection))
                connection.sendall(answer)

    @classmethod
    @contextmanager
    def answering(cls, *answers: bytes) -> Iterator["Stub"]:
        stub = cls(list(answers))
        stub._thread.start()
        try:
            yield stub
            stub._thread.join(20)
        finally:
            stub._listener.close()


def _whole_request(connection: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += connection.recv(65_536)
    head, _, body = heard.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while length is not None and len(body) < int(length[1]):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (
        status.encode(),
        len(body),
        body,
    )


def test_what_is_sent() -> None:
    """A request carries the key and, with a body, its type; a path in the URL comes before the API's own."""
    with Stub.answering(http("200 OK", b'{"id":"key-1"}')) as stub:
        assert {"id": "key-1"} == Api(f"{stub.url}/inner", KEY).call(
            "PATCH", "/admin/v1/keys/key-1", {"name": "x"}
        )
    head, _, body = stub.heard[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert "PATCH /inner/admin/v1/keys/key-1 HTTP/1.1" == lines[0]
    assert {f"authorization: Bearer {KEY}", "content-type: application/json"} <= set(lines)
    assert b'{"name":"x"}' == body


def test_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The admin key is never given to a proxy that the environment names."""
    with Stub.answering(http("200 OK", b"{}")) as stub:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert {} == Api(stub.url, KEY).call("GET", "/admin/v1/keys")


def test_the_url_of_the_environment() -> None:
    """`HEADGATE_URL` says where the gateway is, unless the command does."""
    empty = http("200 OK", b'{"object":"list","data":[],"next":null}')
    with Stub.answering(empty, empty) as stub:
        for arguments, url in (((), stub.url), (("--url", stub.url), "http://127.0.0.1:1")):
            environment = {"HEADGATE_ADMIN_KEY": KEY, "HEADGATE_URL": url}
            assert 0 == CliRunner().invoke(keys, ("list", *arguments), env=environment).exit_code
    assert 2 == len(stub.heard)


def test_all_pages() -> None:
    """A list is read to its end, each page behind the cursor of the one before, encoded."""
    pages = (
        http("200 OK", b'{"object":"list","data":[{"id":"a&b"}],"next":"a&b"}'),
        http("200 OK", b'{"object":"list","data":[{"id":"c"}],"next":null}'),
    )
    with Stub.answering(*pages) as stub:
        found = Api(stub.url, KEY).everything("/admin/v1/keys", {"customer": "x"})
    assert [{"id": "a&b"}, {"id": "c"}] == found
    assert [
        b"GET /admin/v1/keys?customer=x&limit=1000 HTTP/1.1",
        b"GET /admin/v1/keys?customer=x&limit=1000&after=a%26b HTTP/1.1",
    ] == [heard.partition(b"\r\n")[0] for heard in stub.heard]


def test_a_cursor_that_stands_still() -> None:
    """A server that never comes to the end of its list does not keep a command forever."""
    page = http("200 OK", b'{"data":[{"id":"a"}],"next":"a"}')
    with Stub.answering(page, page) as stub:
        assert 2 == len(Api(stub.url, KEY).everything("/admin/v1/keys", {}))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http("409 Conflict", b'{"error":{"message":"it exists"}}'), "headgate: it exists\n"),
        (
            http("400 Bad", b'{"error":{"message":"two\\nlines\\u001b[31m"}}'),
            "headgate: two\\nlines\\x1b[31m\n",
        ),
        (http("404 Not Found", b"<html>"), "answered 404, and not as Headgate does; is --url right?"),
        (http("502 Bad", b'{"error":"down"}'), "answered 502, and not as Headgate does"),
        (http("307 Moved", b""), "answered 307, and not as Headgate does"),
        (http("200 OK", b"[]"), "answered 200, and not as Headgate does"),
        (http("200 OK", b'{"data":5}'), "answered 200, and not as Headgate does"),
        (http("200 OK", b'{"data":[5]}'), "answered 200, and not as Headgate does"),
    ],
)
def test_refused(answer: bytes, words: str) -> None:
    """What the server will not do ends with code 1 and one line, the server's own words where it has some."""
    with Stub.answering(answer) as stub:
        result = run("list", "--url", stub.url)
    assert (1, "") == (result.exit_code, result.stdout)
    assert words in result.stderr
    assert 1 == result.stderr.count("\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection was closed"),
        (b"SSH-2.0-OpenSSH\r\n", "that is no HTTP server"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "the answer was cut short"),
    ],
)
def test_no_answer(answer: bytes, words: str) -> None:
    """An answer that is missing or is none ends with code 3 and one line that says where."""
    with Stub.answering(answer) as stub:
        result = run("list", "--url", stub.url)
    assert (3, "") == (result.exit_code, result.stdout)
    assert f"headgate: no answer from {stub.url}: {words}\n" == result.stderr


def test_nobody_there() -> None:
    """A port where nobody listens ends with code 3."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    result = run("list", "--url", url)
    assert (3, f"headgate: no answer from {url}: Connection refused\n") == (result.exit_code, result.stderr)


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing ends with code 3, not with waiting."""
    monkeypatch.setattr(client, "_TIMEOUT_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = run("list", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert 3 == result.exit_code
    assert "nothing came for" in result.stderr


def test_no_name_of_a_host() -> None:
    """A host that cannot be one ends with code 3 before anybody is asked."""
    with pytest.raises(Unreachable, match="no name of a host"):
        Api(f"http://{'a' * 70}.example", KEY).call("GET", "/")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://127.0.0.1",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://a b",
        "http://user:word@127.0.0.1",
        "http://127.0.0.1/?a=1",
        "http://127.0.0.1:8080/v1",
        "http://127.0.0.1:8080/api/v1/",
        "http://127.0.0.1:8080/admin/v1",
    ],
)
def test_wrong_url(url: str) -> None:
    """An address that cannot be a gateway's is wrong usage."""
    result = run("list", "--url", url)
    assert 2 == result.exit_code
    assert "Invalid value for '--url'" in result.stderr


@pytest.mark.parametrize("key", [None, "", " ", "test key", "clé"])
def test_wrong_admin_key(key: str | None) -> None:
    """Without an admin key that can be sent nothing is sent, and the key is not shown."""
    result = run("list", "--url", "http://127.0.0.1:1", key=key)
    assert 2 == result.exit_code
    assert "HEADGATE_ADMIN_KEY" in result.stderr
    assert not key or not key.strip() or key not in result.stderr


def test_admin_key_is_not_in_repr() -> None:
    """The key stays out of whatever prints the client."""
    assert KEY not in repr(Api("http://127.0.0.1", KEY))


@pytest.mark.parametrize(
    "word",
    ["in_flight", "=5", "in_flight=", "in_flight=x", "in_flight=true", "in_flight=NaN", "in_flight=1e999"],
)
def test_wrong_limit(word: str) -> None:
    """A limit that is no NAME=NUMBER is wrong usage."""
    for arguments in (("create", "--customer", "a"), ("update", "key-1")):
        assert 2 == run(*arguments, "--url", "http://127.0.0.1:1", "--limit", word).exit_code


def test_limit_given_twice() -> None:
    """A limit given twice is wrong usage: which one holds would be a guess."""
    result = run(
        "update", "k", "--url", "http://127.0.0.1:1", "--limit", "in_flight=1", "--limit", "in_flight=2"
    )
    assert 2 == result.exit_code
    assert "in_flight is given twice" in result.stderr


def test_record_path() -> None:
    """Any id stays within its place in the path."""
    assert "/c/a%2Fb%3Fc%20d" == record_path("/c", "a/b?c d")
    with pytest.raises(click.BadParameter):
        record_path("/c", "")


def test_limits_text() -> None:
    """Whole figures are shown without a point, large ones in full."""
    limits = {"tokens_total": 12_345_678_901, "usd_per_day": 10.0, "usd_total": 0.25, "usd_per_month": 1e15}
    expected = "tokens_total=12345678901 usd_per_day=10 usd_total=0.25 usd_per_month=1000000000000000"
    assert expected == limits_text(limits)
    assert "-" == limits_text({})


@click.command()
def _table() -> None:
    rows = [{"a": "東京", "b": "x"}, {"a": "e\N{COMBINING ACUTE ACCENT}", "b": "y\x1b]0;z"}]
    show_list({"a": lambda row: row["a"], "b": lambda row: row["b"]}, rows)
    show_record({"a": "1", "long": "2"})


def test_tables_are_aligned() -> None:
    """Columns line up on a terminal, wide and combining characters included; control characters are escaped."""
    expected = "A     B\n東京  x\ne\N{COMBINING ACUTE ACCENT}     y\\x1b]0;z\na     1\nlong  2\n"
    assert expected == CliRunner().invoke(_table).stdout


def test_colours_on_a_terminal_only() -> None:
    """Headings are marked on a terminal; anywhere else there are no control sequences."""
    assert "\x1b[1mA" in CliRunner().invoke(_table, color=True).stdout
    assert "\x1b" not in CliRunner().invoke(_table).stdout


def test_exit_codes() -> None:
    """Scripts tell a refusal from an outage by the exit code."""
    assert (1, 3) == (Refusal("x").exit_code, Unreachable("x").exit_code)
