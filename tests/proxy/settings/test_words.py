"""Addresses that are refused before anything tries to use them."""

import pytest

from proxy.settings.words import redis_url_problem

PASSWORD = "hunter2-hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "embedded",
        "redis://localhost",
        "redis://user:pass@10.0.0.1:6380/3?db=1",
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
        (f"http://:{PASSWORD}@a", "must be embedded or begin with one of redis://, rediss://, unix://, "),
        (f"redis:{PASSWORD}", "must be embedded or begin with one of redis://, rediss://, unix://, "),
        (PASSWORD, "must be embedded or begin with one of redis://, rediss://, unix://, "),
        (f"redis://:{PASSWORD}@", "redis:// needs a host, like redis://localhost:6379"),
        (f"redis://:{PASSWORD}@a:b", "redis:// needs a host, like redis://localhost:6379"),
        (f"redis://:{PASSWORD}@a:99999", "redis:// needs a host, like redis://localhost:6379"),
        (f"redis://:{PASSWORD}@a/x", "redis:// takes the number of a database behind the slash"),
        (f"redis://:{PASSWORD}@a,b", "redis:// names one host; use redis+cluster:// or redis+sentinel://"),
        (f"unix://:{PASSWORD}@run", "unix:// needs an absolute path"),
        (f"redis+sentinel://:{PASSWORD}@a,b", "redis+sentinel:// needs the master's name behind a slash"),
        (f"redis+cluster://:{PASSWORD}@a,b/4", "redis+cluster:// has database 0 only"),
    ],
)
def test_other_addresses_are_refused_and_passwords_not_repeated(url: str, expected: str) -> None:
    """The message names the part that is wrong and nothing else of the address."""
    problem = redis_url_problem(url)
    assert problem is not None
    assert problem.startswith(expected)
    assert PASSWORD not in problem
