"""The measurements of limits measure something."""

from collections import Counter

import pytest

from ratelimit.limits.types import Scope, account
from tests.bench.limits import cpu, keys, usage
from tests.support.store_faults import Measured
from tests.support.valkey import PrivateServer


@pytest.mark.parametrize("name", list(cpu.ACCOUNTS))
async def test_holding_and_settling(name: str) -> None:
    """Requests pass, and both processes have worked for them."""
    with PrivateServer() as server:
        cost = await cpu.alone(server, cpu.ACCOUNTS[name], 0.3)
    assert cost.own_us > 0
    assert cost.per_s > 0
    # The kernel counts the store's time in hundredths of a second.
    assert cost.store_us >= 0


@pytest.mark.bench
def test_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """Every stage has its figures."""
    assert 0 == keys.main(["--keys", "300", "--customers", "10"])
    rows = capsys.readouterr().out.splitlines()
    assert 4 == len(rows)
    grown = [int(row.split()[-1]) for row in rows[1:]]
    assert 0 <= grown[0] < 100 < grown[1]


@pytest.mark.bench
def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """What was booked is what is read."""
    assert 0 == usage.main(["--customers", "300", "--busy", "10", "--days", "3"])
    assert "300 customers, 3 days, 30 requests of 10 busy ones" in capsys.readouterr().out


def test_ranks() -> None:
    """The nearest rank, and the largest for all."""
    found = Measured(Counter({200: 4}), [4.0, 1.0, 3.0, 2.0])
    assert [2.0, 4.0, 4.0] == [found.at(percent) for percent in (50, 95, 100)]


async def test_a_refusal_is_no_measurement() -> None:
    """It ends the measurement."""
    refusing = account("bench", (Scope("customer", "bench", {"in_flight": 0}),))
    with PrivateServer() as server, pytest.raises(RuntimeError, match="refused"):
        await cpu.alone(server, refusing, 0.1)
