"""What nodes of a cluster say of it."""

import pytest

from ratelimit.store.layout import Layout, name_of, read_layout, read_redirection
from ratelimit.store.wire import ReplyError

ASKED = ("10.0.0.9", 7000)
INFO = b"cluster_state:ok\r\ncluster_current_epoch:7\r\n"


def test_layout() -> None:
    """Ranges, masters and replicas, with what newer servers add to each node left aside."""
    slots = [
        [0, 5460, [b"10.0.0.1", 7001, b"id", []], [b"10.0.0.4", 7004, b"id", [b"hostname", b"d"]]],
        [5461, 16383, [b"::1", 7002]],
    ]
    expected = Layout(
        healthy=True,
        epoch=7,
        ranges=((0, 5460, ("10.0.0.1", 7001)), (5461, 16383, ("::1", 7002))),
        replicas=frozenset({("10.0.0.4", 7004)}),
    )
    found = read_layout([INFO, slots], ASKED)
    assert expected == found
    assert {("10.0.0.1", 7001), ("::1", 7002)} == found.masters
    assert not read_layout([b"cluster_state:fail\r\n", slots], ASKED).healthy


@pytest.mark.parametrize("host", [None, b"", b"?"])
def test_node_without_a_name(host: bytes | None) -> None:
    """A node that says no host is where the one that was asked is."""
    found = read_layout([INFO, [[0, 16383, [host, 7001, b"id"]]]], ASKED)
    assert {("10.0.0.9", 7001)} == found.masters


@pytest.mark.parametrize(
    ("replies", "named"),
    [
        ([ReplyError("ERR This instance has cluster support disabled"), []], "cluster support disabled"),
        ([INFO, None], "no answer of a cluster"),
        ([INFO, [[0]]], "no answer of a cluster"),
        ([INFO, [[0, 1, 2]]], "no answer of a cluster"),
    ],
)
def test_no_cluster(replies: list[object], named: str) -> None:
    """Other answers are told apart, with the server's own words where it has any."""
    with pytest.raises(ValueError, match=named):
        read_layout(replies, ASKED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MOVED 3999 127.0.0.1:6381", ("MOVED", 3999, ("127.0.0.1", 6381))),
        ("ASK 1 ::1:6381", ("ASK", 1, ("::1", 6381))),
        ("MOVED 3999 :6381", ("MOVED", 3999, ("10.0.0.9", 6381))),
        ("ERR unknown", None),
        ("", None),
    ],
)
def test_redirections(text: str, expected: object) -> None:
    """Where a key is now, IPv6 and the node's own host included."""
    assert expected == read_redirection(text, ASKED)


def test_names() -> None:
    """Nodes are named as they are written in an address."""
    assert ["h:1", "[::1]:2"] == [name_of(("h", 1)), name_of(("::1", 2))]
