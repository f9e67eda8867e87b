"""What is remembered of soft limits: as long as it is certain, and of few."""

from collections.abc import Mapping

import pytest

from proxy.exchange.money import soft_limits
from proxy.exchange.money.soft_limits import SoftLimits
from ratelimit.limits.types import Account, Margin, Scope, account

MONTH_S = 1000.0


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def of(
    customer: Mapping[str, float] | None = None, key: Mapping[str, float] | None = None, key_id: str = "k"
) -> Account:
    scopes = (Scope("customer", "acme", customer or {}), Scope("key", key_id, key or {}))
    return account("acme", scopes)


def margin(
    asker: Account, left: int, *, place: int = 0, dollars: bool = True, ends_after_s: float | None = MONTH_S
) -> Margin:
    return Margin(asker.scopes[place], dollars, left, ends_after_s)


POOR = of({"usd_per_month": 5})


def test_until_the_window_ends() -> None:
    """Reached, it stays reached until the window begins anew."""
    clock = Clock()
    known = SoftLimits(clock)
    assert not known.reached(POOR)
    assert () == known.admitted(POOR, (margin(POOR, 0),))
    clock.now_s += MONTH_S - 1
    assert known.reached(POOR)
    clock.now_s += 1
    assert not known.reached(POOR)
    assert not known._reached


def test_for_ever() -> None:
    """A total has no end."""
    clock = Clock()
    known = SoftLimits(clock)
    known.admitted(POOR, (margin(POOR, -5, ends_after_s=None),))
    clock.now_s += 10**9
    assert known.reached(POOR)


def test_until_an_answer_says_otherwise() -> None:
    """The next answer of admission counts."""
    known = SoftLimits(Clock())
    known.admitted(POOR, (margin(POOR, 0),))
    known.admitted(POOR, (margin(POOR, 1),))
    assert not known.reached(POOR)


def test_another_limit() -> None:
    """A changed limit is another one, of which nothing is known."""
    known = SoftLimits(Clock())
    known.admitted(POOR, (margin(POOR, 0),))
    assert known.reached(of({"usd_per_month": 5}))
    assert not known.reached(of({"usd_per_month": 50}))


def test_all_keys_of_a_customer() -> None:
    """A customer's limit is reached for each of its keys, a key's for itself alone."""
    known = SoftLimits(Clock())
    known.admitted(POOR, (margin(POOR, 0),))
    assert known.reached(of({"usd_per_month": 5}, key_id="other"))
    known = SoftLimits(Clock())
    web = of(key={"tokens_per_day": 9})
    known.admitted(web, (margin(web, 0, place=1, dollars=False),))
    assert known.reached(web)
    assert not known.reached(of(key={"tokens_per_day": 9}, key_id="other"))


@pytest.mark.parametrize(
    ("tokens", "microusd", "reached"), [(10**9, 29, False), (0, 30, True), (0, 31, True)]
)
def test_what_a_request_used(tokens: int, microusd: int, *, reached: bool) -> None:
    """The request that reaches it tells the next one, without an answer of the store."""
    clock = Clock()
    known = SoftLimits(clock)
    ahead = known.admitted(POOR, (margin(POOR, 30),))
    assert not known.reached(POOR)
    clock.now_s += MONTH_S / 2
    known.settled(POOR, ahead, tokens=tokens, microusd=microusd)
    assert reached is known.reached(POOR)
    clock.now_s += MONTH_S / 2
    assert not known.reached(POOR)


def test_tokens_and_dollars() -> None:
    """Each by its own figure."""
    both = of({"usd_total": 5, "tokens_total": 100})
    known = SoftLimits(Clock())
    ahead = known.admitted(both, (margin(both, 10, dollars=False), margin(both, 10)))
    known.settled(both, ahead, tokens=9, microusd=9)
    assert not known.reached(both)
    known.settled(both, ahead, tokens=10, microusd=0)
    assert known.reached(both)
    known.admitted(both, (margin(both, 10, dollars=False), margin(both, 0)))
    assert known.reached(both)


def test_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many customers are near their limits, the latest are remembered."""
    monkeypatch.setattr(soft_limits, "_KEPT", 10)
    known = SoftLimits(Clock())
    keys = [of(key={"usd_total": 5}, key_id=f"k{number}") for number in range(25)]
    for key in keys:
        known.admitted(key, (margin(key, 0, place=1),))
    assert 10 == len(known._reached)
    assert keys[-10:] == [key for key in keys if known.reached(key)]
