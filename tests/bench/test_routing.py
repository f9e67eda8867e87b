"""The simulated week simulates what it says, in a short day."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from ratelimit.health.summary import Kind
from tests.bench.routing.__main__ import main
from tests.bench.routing.engine import Tally
from tests.bench.routing.rivals import Cooling, catalogue_order, rivals
from tests.bench.routing.table import Figures, better, figures, rank, shares, table
from tests.bench.routing.weeks import HEADGATE, headgates, headgates_on, run
from tests.bench.routing.world import SITES, Ailment, Outcome, Spell, World, world
from tests.support.valkey import PrivateServer

DAY = world(7, days=0.05, requests=50_000)


def ailing(*spells: tuple[int, Spell]) -> World:
    """A short day in which nothing happens but this."""
    by_site = [tuple(spell for site, spell in spells if site == number) for number in range(len(SITES))]
    return World(DAY.seed, DAY.days, DAY.requests, tuple(by_site), ())


def counted(tally: Tally) -> tuple[object, ...]:
    return tally.requests, tally.answered, tally.attempts, tally.cost_picousd, tally.first_content_ms


def test_headgate_meets_every_request() -> None:
    """And does the same again in the same world, whatever the machine's clock says."""
    name = "Headgate, cheapest"
    once, again = headgates(DAY, name), headgates(DAY, name)
    assert len(DAY.requests) == once.requests > 100
    assert once.answered == once.by_site.total() > 0.9 * once.requests
    assert counted(once) == counted(again)


@pytest.mark.parametrize("ailment", ["errors", "silent", "brown-out"])
def test_what_is_remembered_is_what_the_scripts_say(ailment: Ailment) -> None:
    """The store that stands in for a server answers the same, circuits and probes included."""
    met = ailing(*((site, Spell(20.0 * site, 200.0, ailment, 0.7)) for site in range(len(SITES))))
    busy = replace(met, requests=tuple(each._replace(at_s=each.at_s / 10) for each in met.requests))
    with PrivateServer() as server:
        real = headgates_on(server, busy, "Headgate, cheapest")
    assert real.first_failed > 20
    assert counted(real) == counted(headgates(busy, "Headgate, cheapest"))


def test_the_others_meet_every_request() -> None:
    """Each in its own way, within the same number of tries."""
    tallies = [run(DAY, router) for router in rivals()]
    for tally in tallies:
        assert len(DAY.requests) == tally.requests
        assert tally.requests <= tally.attempts <= 3 * tally.requests
        assert tally.answered >= 0.9 * tally.requests
    # Where nothing fails, a cool-down rule changes nothing.
    assert 4 <= len({tuple(tally.by_site.items()) for tally in tallies})


def test_the_same_choice_meets_the_same_fate() -> None:
    """What becomes of an attempt depends on the seed, the request, the backend and the try alone."""
    other = world(DAY.seed, days=DAY.days, requests=50_000)
    assert DAY == other
    request = DAY.requests[0]
    assert DAY.attempt(request, 2, 0, 50.0) == other.attempt(request, 2, 0, 50.0)
    assert DAY.attempt(request, 2, 0, 50.0) != DAY.attempt(request, 3, 0, 50.0)


def test_headgate_leaves_what_is_down() -> None:
    """Of a cheap backend that is out all day it tries one in many, where the cheapest first tries each."""
    whole = Spell(0.0, 86_400.0, "errors")
    met = ailing((3, whole), (4, whole))
    ours = headgates(met, "Headgate, cheapest")
    theirs = run(met, next(router for router in rivals() if router.name == "cheapest first"))
    assert theirs.first_failed == theirs.requests
    assert ours.first_failed < 0.2 * ours.requests
    assert {3, 4}.isdisjoint(ours.by_site)


@pytest.mark.parametrize(
    ("kinds", "rests_s"),
    [
        (["timeout"] * 4, 0.0),
        (["timeout"] * 5, 5.0),
        (["ok"] * 3 + ["timeout"] * 3, 0.0),
        (["ok"] * 3 + ["timeout"] * 4, 5.0),
        (["rate_limited"], 20.0),
    ],
)
def test_the_cool_down_rule(kinds: list[Kind], rests_s: float) -> None:
    """More than half of at least five, for five seconds; a 429 for as long as it says."""
    cooling = Cooling("", catalogue_order)
    for kind in kinds:
        cooling.learn(0, Outcome(kind, 0.1, retry_after_s=20.0 if kind == "rate_limited" else None), 100.0)
    assert (100.0 + rests_s if rests_s else 0.0) == cooling.rests_until_s[0]


def test_figures() -> None:
    """Failed requests are those without a whole answer."""
    tally = Tally(requests=4, answered=2, broken=1, first_failed=2, attempts=6, cost_picousd=3 * 10**12)
    tally.by_site[1] += 2
    tally.first_content_ms.extend([30.0, 10.0, 20.0])
    found = figures(tally)
    assert Figures(50.0, 50_000.0, 25_000.0, 0.0, 50.0, 1.5, 1500.0, 20.0, 30.0, found.share_percent) == found
    assert 100.0 == found.share_percent[SITES[1].id]
    assert [1.0, 1.0, 2.0] == [rank([1.0, 2.0], percent) for percent in (1, 50, 51)]


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A row for each who chooses, and the same figures as values."""
    written = tmp_path / "figures.json"
    options = ["--seeds", "2", "--jobs", "1", "--requests", "7000", "--days", "0.05", "--json", str(written)]
    assert 0 == main(options)
    said = capsys.readouterr().out
    names = [*HEADGATE, *(router.name for router in rivals())]
    assert all(f"\n| {name} |" in said for name in names)
    kept = orjson.loads(written.read_bytes())["weeks"]
    assert names == list(kept)
    assert all(2 == len(rows) and list(Figures._fields) == list(rows[0]) for rows in kept.values())


def test_the_documented_figures() -> None:
    """The page's tables are those of the figures beside it."""
    docs = Path(__file__).parents[2] / "docs"
    kept = orjson.loads((docs / "routing-simulated.json").read_bytes())
    weeks = {name: [Figures(**row) for row in rows] for name, rows in kept["weeks"].items()}
    assert {kept["seeds"]} == {len(rows) for rows in weeks.values()}
    page = (docs / "routing-simulated.md").read_text()
    assert all(
        made in page for made in (table(weeks), shares(weeks), *(better(weeks, name) for name in HEADGATE))
    )
