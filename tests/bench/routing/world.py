"""A week at eight made-up backends: who is down, half down or slow when, what it costs, and what becomes of an attempt.

Everything follows from the seed. An attempt's luck is drawn from the seed, the request, the backend and the number of
the try, so that all who choose among backends meet the same world: had they chosen alike, the same would have happened.
"""

from bisect import bisect_right
from dataclasses import dataclass
from math import cos, exp, log, pi
from random import Random
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

from proxy.routing.catalogue.types import Backend, Catalogue, Model, Price, Tier
from proxy.routing.types import Facts
from ratelimit.health.summary import Kind

DAY_S: Final = 86_400.0
MODE: Final = "balanced"
FIRST_BYTE_S: Final = 60.0
"""The default of `timeouts.first_byte_s`: how long a silent backend is waited for."""

_USD_PER_MILLION: Final = 1_000_000
"""A dollar per million tokens, in pico-dollars per token."""
_NORMAL: Final = NormalDist()
_MOST: Final = 2**64 - 1

Ailment = Literal["errors", "refuses", "silent", "brown-out", "slow"]
"""What a backend may have: answers with 503, no connection, nothing at all, some of the first, or all of it later."""


class Site(NamedTuple):
    """One backend as it really is.

    Attributes:
        prompt_usd, answer_usd: per million tokens, at the week's begin.
        success: share of attempts that are answered when nothing ails it.
        first_content_ms: the median; `tokens_s` follows it.
        limit: requests per calendar minute; `None`: any number.
    """

    provider: str
    model: str
    prompt_usd: float
    answer_usd: float
    success: float
    first_content_ms: float
    tokens_s: float
    limit: int | None = None

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"


SITES: Final = (
    Site("alpha", "mini", 0.25, 2.00, 0.997, 450, 120),
    Site("beta", "mini", 0.28, 2.10, 0.995, 550, 100),
    Site("gamma", "flash", 0.30, 2.50, 0.998, 350, 160),
    Site("delta", "open", 0.15, 0.60, 0.985, 700, 80, limit=15),
    Site("epsilon", "open", 0.12, 0.50, 0.860, 900, 60),
    Site("beta", "open", 0.20, 0.85, 0.992, 600, 90),
    Site("alpha", "chat", 0.40, 1.60, 0.997, 500, 90),
    Site("gamma", "chat", 0.50, 2.00, 0.998, 420, 110),
)
"""In the order of the catalogue. Cheap ones are slower and fail more; the cheapest fails most and one has a limit."""

QUALITY: Final = {"mini": 74.0, "flash": 73.0, "open": 72.0, "chat": 78.0}
FLOOR: Final = 70.0


class Spell(NamedTuple):
    """Something ails a site from `begin_s` to `end_s`; `share` of attempts in a brown-out."""

    begin_s: float
    end_s: float
    ailment: Ailment
    share: float = 1.0


class Request(NamedTuple):
    """`prompt_tokens` and `answer_tokens` as they turn out; `facts` as the gateway sees it."""

    number: int
    at_s: float
    prompt_tokens: int
    answer_tokens: int
    facts: Facts


class Outcome(NamedTuple):
    """What becomes of an attempt.

    Attributes:
        kind: how it ends.
        after_s: from sending to the first content, or to the failure before any.
        content: there was some; a fault after it is a broken stream, which nobody can take over.
        lasts_s: from the first content to the end.
        retry_after_s: what a 429 says.
    """

    kind: Kind
    after_s: float
    content: bool = False
    lasts_s: float = 0.0
    retry_after_s: float | None = None


class PriceChange(NamedTuple):
    """From `at_s` on a site costs `factor` times what it did."""

    at_s: float
    site: int
    factor: float


@dataclass(frozen=True, slots=True)
class World:
    """A seed's week, or less of it. `spells`: by site, in order of their begin; they may overlap."""

    seed: int
    days: float
    requests: tuple[Request, ...]
    spells: tuple[tuple[Spell, ...], ...]
    changes: tuple[PriceChange, ...]

    def catalogue(self, now_s: float) -> Catalogue:
        """As an operator has it who reads prices anew when they change."""
        backends: dict[str, list[Backend]] = {}
        for number, site in enumerate(SITES):
            factor = 1.0
            for change in self.changes:
                if change.site == number and change.at_s <= now_s:
                    factor *= change.factor
            price = Price(_pico(site.prompt_usd * factor), _pico(site.answer_usd * factor))
            backends.setdefault(site.model, []).append(Backend(site.id, site.provider, site.model, price))
        models = {
            name: Model(name, tuple(each), 128_000, 16_384, frozenset(), quality={"other": QUALITY[name]})
            for name, each in backends.items()
        }
        tier = Tier(tuple(models), "cheapest", FLOOR)
        return Catalogue(models, {MODE: tier}, {MODE: (MODE, MODE, MODE)}, {})

    def attempt(self, request: Request, site_number: int, number: int, now_s: float) -> Outcome:
        """What becomes of one that is sent now, limits apart. `number`: of the request's tries."""
        site = SITES[site_number]
        lot = Lot(self.seed, request.number, site_number, number)
        ails = {spell.ailment: spell for spell in self.spells[site_number] if _holds(spell, now_s)}
        slow = 5.0 if "slow" in ails else 1.0
        first_content_s = site.first_content_ms / 1000 * slow * exp(0.45 * lot.normal())
        if "silent" in ails:
            return Outcome("timeout", FIRST_BYTE_S)
        if "refuses" in ails:
            return Outcome("unreachable", 0.05)
        if "errors" in ails:
            return Outcome("overloaded", 0.3 + 0.5 * first_content_s)
        fails = 1 - site.success
        if "brown-out" in ails:
            fails = max(fails, ails["brown-out"].share)
        tokens_s = site.tokens_s / slow * exp(0.2 * lot.normal())
        lasts_s = request.answer_tokens / tokens_s
        if lot.uniform() >= fails:
            return Outcome("ok", first_content_s, content=True, lasts_s=lasts_s)
        how = lot.uniform()
        if how < 0.80:
            return Outcome("overloaded", 0.3 + 0.5 * first_content_s)
        if how < 0.90:
            return Outcome("protocol", first_content_s, content=True, lasts_s=lasts_s / 2)
        if how < 0.95:
            return Outcome("timeout", FIRST_BYTE_S)
        return Outcome("unreachable", 0.05)


def world(seed: int, *, days: float = 7.0, requests: int = 120_000) -> World:
    """The week of a seed. `requests`: about so many in seven days."""
    random = Random(seed)
    spells = tuple(tuple(sorted(each)) for each in _spells(random, days))
    changes = tuple(
        sorted(
            PriceChange(
                random.uniform(0, days * DAY_S),
                random.randrange(len(SITES)),
                random.choice((0.5, 0.7, 1.5, 2.0)),
            )
            for _ in range(_count(random, 5 * days / 7))
        )
    )
    return World(seed, days, tuple(_requests(random, days, requests / (7 * DAY_S))), spells, changes)


def _requests(random: Random, days: float, mean_per_s: float) -> list[Request]:
    """Poisson arrivals, thinned to a day's shape: most at 14 h, fewest at 2 h, and less at the week's end."""
    found: list[Request] = []
    most_per_s = mean_per_s * 1.85
    now_s = 0.0
    while True:
        now_s += random.expovariate(most_per_s)
        if now_s >= days * DAY_S:
            return found
        share = 0.25 + 0.75 * (1 + cos(2 * pi * (now_s / DAY_S - 14 / 24))) / 2
        if int(now_s / DAY_S) % 7 >= 5:
            share *= 0.6
        prompt, answer = random.lognormvariate(log(800), 0.9), random.lognormvariate(log(350), 0.7)
        if random.random() < share:
            prompt_tokens, answer_tokens = int(min(prompt, 60_000)) + 1, int(min(answer, 4_000)) + 1
            number = len(found)
            facts = Facts(
                MODE,
                request_id=f"r{number}",
                prompt_tokens=int(prompt_tokens * 1.1) + 1,
                least_prompt_tokens=prompt_tokens // 2,
            )
            found.append(Request(number, now_s, prompt_tokens, answer_tokens, facts))


def _spells(random: Random, days: float) -> list[list[Spell]]:
    """Per site and week on average 1.5 outages, 2.5 brown-outs, 1.5 slow times; and two providers are out whole."""
    weeks = days / 7
    found: list[list[Spell]] = [[] for _ in SITES]

    def spell(ailment: Ailment, median_min: float, share: float = 1.0) -> Spell:
        begin_s = random.uniform(0, days * DAY_S)
        lasts_s = 60 * min(max(random.lognormvariate(log(median_min), 0.8), 5), 360)
        return Spell(begin_s, begin_s + lasts_s, ailment, share)

    def outage() -> Ailment:
        return random.choices(("errors", "refuses", "silent"), (5, 3, 2))[0]

    for each in found:
        each += [spell(outage(), 20) for _ in range(_count(random, 1.5 * weeks))]
        each += [spell("brown-out", 60, random.uniform(0.2, 0.6)) for _ in range(_count(random, 2.5 * weeks))]
        each += [spell("slow", 60) for _ in range(_count(random, 1.5 * weeks))]
    for _ in range(_count(random, 2 * weeks)):
        whole, provider = spell(outage(), 40), random.choice(("alpha", "beta", "gamma"))
        for number, site in enumerate(SITES):
            if site.provider == provider:
                found[number].append(whole)
    return found


def _count(random: Random, mean: float) -> int:
    """A Poisson number."""
    edges, total = [], 0.0
    for number in range(40):
        total += exp(-mean + number * log(mean) - sum(log(each) for each in range(1, number + 1)))
        edges.append(total)
    return bisect_right(edges, random.random())


def _holds(spell: Spell, now_s: float) -> bool:
    return spell.begin_s <= now_s < spell.end_s


def _pico(usd: float) -> int:
    return round(usd * _USD_PER_MILLION)


class Lot:
    """Numbers drawn from numbers: SplitMix64 (Steele, Lea, Flood 2014), its state seeded by all of them."""

    __slots__ = ("_state",)

    def __init__(self, *numbers: int) -> None:
        self._state = 0
        for number in numbers:
            self._state = _mixed(self._state + number + 1)

    def uniform(self) -> float:
        """Above 0 and below 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MOST
        return (_mixed(self._state) + 0.5) / 2**64

    def normal(self) -> float:
        return _NORMAL.inv_cdf(min(self.uniform(), 1 - 1e-12))


def _mixed(number: int) -> int:
    number = (number + 0x9E3779B97F4A7C15) & _MOST
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MOST
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MOST
    return number ^ (number >> 31)
