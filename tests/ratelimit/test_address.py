"""Store URLs."""

import pytest

from ratelimit.store.address import Address, parse_address
from ratelimit.store.errors import AddressError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("embedded", Address("embedded")),
        ("redis://localhost", Address("tcp", (("localhost", 6379),))),
        ("redis://10.0.0.1:7000/3", Address("tcp", (("10.0.0.1", 7000),), database=3)),
        ("redis://[::1]:7000", Address("tcp", (("::1", 7000),))),
        (
            "redis://user:p%40ss@host/",
            Address("tcp", (("host", 6379),), username="user", password="p@ss"),
        ),
        ("redis://:p@ss@host?db=2", Address("tcp", (("host", 6379),), database=2, password="p@ss")),
        (
            "rediss://host:6380/1?ssl_ca_certs=/etc/ca.pem",
            Address("tls", (("host", 6380),), database=1, ca_file="/etc/ca.pem"),
        ),
        ("unix:///run/redis.sock", Address("unix", path="/run/redis.sock")),
        (
            "unix://user:secret@/run/my%20redis.sock?db=4",
            Address("unix", path="/run/my redis.sock", database=4, username="user", password="secret"),
        ),
        ("redis+cluster://a:1,b:2", Address("cluster", (("a", 1), ("b", 2)))),
        ("redis+cluster://:pw@a,[::1]:2/0", Address("cluster", (("a", 6379), ("::1", 2)), password="pw")),
        (
            "redis+sentinel://:pw@a,b:2/main?db=1",
            Address("sentinel", (("a", 26379), ("b", 2)), database=1, password="pw", master="main"),
        ),
    ],
)
def test_forms(url: str, expected: Address) -> None:
    """Every documented form is read, percent signs and all."""
    assert expected == parse_address(url)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("", "embedded"),
        ("localhost:6379", "redis://"),
        ("http://host", "redis://"),
        ("redis://", "host 1 is empty"),
        ("redis://a,b", "several hosts"),
        ("redis://host:port", "port of host 1"),
        ("redis://host:0", "port of host 1"),
        ("redis://host:70000", "port of host 1"),
        ("redis://host/one", "database"),
        ("redis://host/-1", "database"),
        ("redis://host/1?db=2", "twice"),
        ("redis://host?db=1&db=2", "twice"),
        ("redis://host?ssl_ca_certs=x", "ssl_ca_certs"),
        ("redis://host#x", "#"),
        ("redis://[::1", "brackets"),
        ("redis://hidden-word@host", "credentials"),
        ("redis://user:@host", "empty"),
        ("redis://user:hidden-word/more@host", "port of host 1"),
        ("unix://run/redis.sock", "absolute"),
        ("unix://", "path of a socket"),
        ("redis+cluster://a/1", "database 0"),
        ("redis+sentinel://a", "master"),
        ("redis+sentinel://a/b/c", "master"),
    ],
)
def test_refusals(url: str, named: str) -> None:
    """An unreadable URL is refused with the part that is wrong, and no word of the credentials."""
    with pytest.raises(AddressError) as caught:
        parse_address(url)
    assert named in str(caught.value)
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("embedded", "embedded"),
        ("redis://user:pw@[::1]:1/2", "redis://[::1]:1"),
        ("unix://:pw@/s", "unix:///s"),
        ("redis+sentinel://:pw@a:1,b:2/main", "redis+sentinel://a:1,b:2/main"),
    ],
)
def test_public_form_has_no_credentials(url: str, expected: str) -> None:
    """What is logged of an address holds neither user nor password; nor does its repr hold the password."""
    address = parse_address(url)
    assert expected == address.public()
    assert "pw" not in repr(address)
