"""Whether a choice made again is the one that was made. Pure."""

from typing import Any, Final, NamedTuple

from proxy.routing.plans import Plan


class Chosen(NamedTuple):
    """What a plan came to. `attempts`: backend and model of each, in order; the words of `Plan` for the rest."""

    tier: str | None
    strategy: str
    raised: bool
    because: str
    lowered_from: str | None
    ignored: tuple[str, ...]
    attempts: tuple[tuple[str, str], ...]


_MEMBERS: Final = tuple(each for each in Chosen._fields if each != "attempts")


def chosen_of(plan: Plan) -> Chosen:
    """What is remembered of a plan."""
    return Chosen(
        plan.tier,
        plan.strategy,
        plan.raised,
        plan.because,
        plan.lowered_from,
        plan.ignored,
        tuple([(each.backend.id, each.model) for each in plan.attempts]),
    )


def chosen_from_json(data: list[Any]) -> Chosen:
    """The same again, from the list that JSON makes of it."""
    tier, strategy, raised, because, lowered_from, ignored, attempts = data
    return Chosen(
        tier,
        strategy,
        raised,
        because,
        lowered_from,
        tuple(ignored),
        tuple((backend, model) for backend, model in attempts),
    )


def differences(then: Chosen, now: Chosen) -> list[str]:
    """What is not as it was, in words; nothing where the two are the same choice."""
    found = [
        f"{name}: was {_shown(getattr(then, name))}, would be {_shown(getattr(now, name))}"
        for name in _MEMBERS
        if getattr(then, name) != getattr(now, name)
    ]
    if then.attempts != now.attempts:
        place = next(
            (
                place
                for place, pair in enumerate(zip(then.attempts, now.attempts, strict=False))
                if pair[0] != pair[1]
            ),
            min(len(then.attempts), len(now.attempts)),
        )
        found.append(f"attempts: number {place + 1} was {_place(then, place)}, would be {_place(now, place)}")
    return found


def _shown(value: object) -> str:
    return "none" if value in (None, "", ()) else str(value)


def _place(chosen: Chosen, place: int) -> str:
    return " as ".join(chosen.attempts[place]) if place < len(chosen.attempts) else "none"
