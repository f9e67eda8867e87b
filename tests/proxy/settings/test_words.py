"""Addresses that are refused before anything tries to use them."""

import pytest

from proxy.settings.words import redis_url_problem

PASSWORD = "hunter2-hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "embedded",
        "redis://localhost",
        "redis://user:pass@10.0.0.1:6380/3",
        "rediss://[::1]:6379/",
        "unix:///run/redis.sock",
        "unix://user:pass@/run/redis.sock?db=2",
        "redis+cluster://a:1,b:2/0",
        "redis+sentinel://:pass@a:26379,b/main",
    ],
)
def test_addresses_of_stores_are_accepted(url: str) -> None:
    """Every form that the store can use."""
    assert redis_url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"http://:{PASSWORD}@a", "must be `embedded` or begin with redis://, rediss://, unix://, "),
        (f"redis:{PASSWORD}", "must be `embedded` or begin with redis://, rediss://, unix://, "),
        (PASSWORD, "must be `embedded` or begin with redis://, rediss://, unix://, "),
        (f"redis://:{PASSWORD}@a:b", "the port of host 1 must be a number"),
        (f"redis://:{PASSWORD}@a:99999", "the port of host 1 must be a number from 1 to 65535"),
        (f"redis://:{PASSWORD}@a,b", "several hosts need redis+cluster:// or redis+sentinel://"),
        (f"unix://:{PASSWORD}@run", "a unix:// path must be absolute"),
    ],
)
def test_other_addresses_are_refused_and_passwords_not_repeated(url: str, expected: str) -> None:
    """The message names the part that is wrong and nothing else of the address."""
    problem = redis_url_problem(url)
    assert problem is not None
    assert problem.startswith(expected)
    assert PASSWORD not in problem
