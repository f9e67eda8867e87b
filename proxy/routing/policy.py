"""Which backends to try, in which order, and why: a function of its arguments. docs/routing.md explains the rules."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Final, NamedTuple

from proxy.routing.affinity import entry
from proxy.routing.catalogue.types import Catalogue
from proxy.routing.filters import Drop, listed
from proxy.routing.names import Meant, admitted, meant, mode_asked, mode_of, names
from proxy.routing.plans import Dropped, Grounds, Kept, Line, Plan
from proxy.routing.shelf import Shelf, shelf_of_model, shelf_of_tier
from proxy.routing.snapshot import Snapshot
from proxy.routing.types import (
    NAMED,
    POSITION,
    UNDECIDED,
    AllowLists,
    Attempt,
    Complexity,
    Facts,
    Unroutable,
    Verdict,
    expected_output_tokens,
)
from proxy.routing.weighing import Weighing
from proxy.routing.wishes import Wishes

__all__ = [
    "NAMED", "POSITION", "UNDECIDED", "AllowLists", "Attempt", "Complexity", "Facts", "Plan", "Policy", "Unroutable",
    "Verdict", "mode_asked", "mode_of", "names", "plan",
]  # fmt: skip

_NO_TIER: Final = (
    "embeddings need a model by name: a tier may choose another one at any time, "
    "and vectors of different models do not compare"
)
_NAMED_MOST: Final = 6
"""Backends that a refusal names."""

_GROUP, _BAND, _RATE = itemgetter(0), itemgetter(1), itemgetter(2)
"""Of a `Kept`."""

_NO_FALLBACK: Final = Drop("wish", "is not the first, and no fallback is allowed", "provider.allow_fallbacks")


class _Choice(NamedTuple):
    """A tier, and how it came to be the one; the words of `Plan`."""

    tier: str
    raised: bool = False
    because: str = ""
    lowered_from: str | None = None


_NO_CHOICE: Final = _Choice("")


class Policy:
    """The choice over one catalogue. What it remembers only saves working it out again: `plan` is a function."""

    __slots__ = ("_below", "_models", "_providers", "_tiers", "catalogue")

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._tiers = {name: shelf_of_tier(name, catalogue) for name in catalogue.tiers}
        self._models = {name: shelf_of_model(name, catalogue) for name in catalogue.models}
        self._providers = frozenset(
            backend.provider.lower() for model in catalogue.models.values() for backend in model.backends
        )
        self._below = _below(catalogue)

    def plan(self, facts: Facts, wishes: Wishes, verdict: Verdict, snapshot: Snapshot) -> Plan:
        """Choose.

        Args:
            verdict: of the classifiers; looked at when a mode was asked for.

        Raises:
            Unroutable: a name is unknown or the key may not ask for it, or no backend can serve the request.
        """
        if not wishes.models:
            return self._chosen(facts, wishes, verdict, snapshot, ())
        further, ignored = self._fallbacks(facts, wishes, verdict)
        return self._chosen(facts, wishes, verdict, snapshot, further)._replace(ignored=ignored)

    def _chosen(
        self, facts: Facts, wishes: Wishes, verdict: Verdict, snapshot: Snapshot, further: Sequence[Line]
    ) -> Plan:
        if wishes.tier is not None:
            found, choices = self._pinned(facts, wishes.tier)
        else:
            found = admitted(facts.asked, facts.allow_lists, self.catalogue)
            if found.model is not None:
                lines = (self._line(found, wishes, verdict), *further)
                return self._weighed(lines, None, facts, wishes, NAMED, snapshot)
            choices = self._of_mode(found, verdict, snapshot)
        if facts.operation == "embeddings":
            raise Unroutable("no_capable_backend", _NO_TIER)
        if snapshot.lower:
            choices = self._lowered(choices)
        refusal: Unroutable | None = None
        for choice in choices:
            lines = (self._tier_line(self._filled(choice.tier), found, wishes), *further)
            try:
                return self._weighed(lines, choice, facts, wishes, verdict, snapshot)
            except Unroutable as nobody:
                refusal = refusal or nobody
        assert refusal is not None
        raise refusal

    def _lowered(self, choices: Iterator[_Choice]) -> Iterator[_Choice]:
        """The same with the tier below the first one before it, where there is one."""
        first = next(choices)
        below = self._below.get(first.tier)
        if below is not None and self._has_models(below):
            because = "a budget's soft limit is reached"
            yield _Choice(below, because=because, lowered_from=first.tier)
        yield first
        yield from choices

    def in_order(self, facts: Facts, verdict: Verdict) -> Plan:
        """The catalogue's order, with nothing looked at but the name: for when `plan` itself is at fault.

        Raises:
            Unroutable: the name is unknown, or may not be asked for.
        """
        found = admitted(facts.asked, facts.allow_lists, self.catalogue)
        if found.model is not None:
            return Plan(None, NAMED, tuple(row.attempt for row in self._models[found.model].rows))
        tier = self._entry(found, verdict)
        return Plan(tier, verdict, tuple(row.attempt for row in self._filled(tier).rows))

    def _fallbacks(
        self, facts: Facts, wishes: Wishes, verdict: Verdict
    ) -> tuple[list[Line], tuple[str, ...]]:
        """Candidates of the names to fall back to; and those names that nothing here has, or that are not allowed."""
        lines: list[Line] = []
        ignored: list[str] = []
        for name in wishes.models:
            try:
                lines.append(self._line(admitted(name, facts.allow_lists, self.catalogue), wishes, verdict))
            except Unroutable:
                ignored.append(name)
        return lines, tuple(ignored)

    def _pinned(self, facts: Facts, tier: str) -> tuple[Meant, Iterator[_Choice]]:
        """A tier named in `headgate.tier`: one of the mode that is asked for, or else one that may be asked for."""
        asked = meant(facts.asked, self.catalogue)
        if tier not in self.catalogue.tiers:
            known = ", ".join(f"`{each}`" for each in self.catalogue.tiers)
            raise Unroutable(
                "invalid_request",
                f"`headgate.tier`: no tier is called `{tier}`; there are {known}",
                "headgate.tier",
            )
        if asked is not None and asked.mode is not None and tier in self.catalogue.modes[asked.mode]:
            admitted(facts.asked, facts.allow_lists, self.catalogue)
        elif not all(tier in allowed for allowed in facts.allow_lists):
            raise Unroutable("model_not_allowed", f"this key may not use `{tier}`", "headgate.tier")
        return asked or Meant(None, None), iter((_Choice(tier, because="asked for by `headgate.tier`"),))

    def _of_mode(self, found: Meant, verdict: Verdict, snapshot: Snapshot) -> Iterator[_Choice]:
        """Tiers of a mode to choose from: each where no backend of the ones before it can serve the request."""
        assert found.mode is not None
        tiers = self.catalogue.modes[found.mode]
        settled = snapshot.settled
        if settled is not None and settled.tier in self._tiers:
            first = _Choice(*settled)
        else:
            wanted = entry(verdict, tiers, self.catalogue.min_confidence)
            first = _Choice(wanted.tier, wanted.raised)
        served = self._has_models(first.tier)
        if served:
            yield first
            because = f"no backend of `{first.tier}` can serve it"
        else:
            because = f"`{first.tier}` has no model that is configured"
        # Those above first: what a tier cannot do, a better one may.
        place = tiers.index(first.tier) if first.tier in tiers else 0
        others = dict.fromkeys((*tiers[place + 1 :], *reversed(tiers[:place])))
        for tier in others:
            if tier != first.tier and self._has_models(tier):
                served = True
                yield _Choice(tier, because=because)
        if not served:
            yield first

    def _has_models(self, tier: str) -> bool:
        return tier in self._tiers and bool(self._tiers[tier].rows)

    def _entry(self, found: Meant, verdict: Verdict) -> str:
        assert found.mode is not None
        return self.catalogue.modes[found.mode][POSITION[verdict.complexity or "moderate"]]

    def _filled(self, tier: str) -> Shelf:
        if not self._has_models(tier):
            raise Unroutable("model_not_found", f"tier `{tier}` has no model that is configured")
        return self._tiers[tier]

    def _line(self, found: Meant, wishes: Wishes, verdict: Verdict) -> Line:
        if found.model is not None:
            return Line(self._models[found.model], wishes.sort or found.sort or "order")
        return self._tier_line(self._tiers[self._entry(found, verdict)], found, wishes)

    def _tier_line(self, shelf: Shelf, found: Meant, wishes: Wishes) -> Line:
        return Line(shelf, wishes.sort or found.sort or shelf.strategy)

    def _weighed(
        self,
        lines: tuple[Line, ...],
        choice: _Choice | None,
        facts: Facts,
        wishes: Wishes,
        verdict: Verdict,
        snapshot: Snapshot,
    ) -> Plan:
        """The plan for these candidates."""
        tier = None if choice is None else choice.tier
        output_tokens = expected_output_tokens(facts, verdict.task_type)
        weighing = Weighing(facts, wishes, verdict, snapshot, output_tokens, self._providers, tier)
        kept, dropped = weighing.of(lines)
        if not kept and any(drop.why == "money" for _, drop in dropped):
            # What is left is too little for any: the limit itself refuses, with its figures.
            unlimited = snapshot._replace(spendable_microusd=None)
            kept, dropped = weighing._replace(snapshot=unlimited).of(lines)
        if not kept:
            raise _nobody(dropped, facts, wishes)
        if len(kept) > 1:
            # The least important first: each sort leaves equals in the order they had, at first that of the list.
            for figure in (_RATE, _BAND, _GROUP):
                kept.sort(key=figure)
        if len(lines) > 1 or lines[0].shelf.repeats:
            # A backend under several names is tried once: where it stands best.
            best: dict[str, Kept] = {}
            for each in kept:
                best.setdefault(each[3].backend_id, each)
            kept = [*best.values()]
        if not wishes.allow_fallbacks and not wishes.order:
            dropped += [(each[3], _NO_FALLBACK) for each in kept[1:]]
            del kept[1:]
        attempts = tuple([each[3].attempt for each in kept])
        grounds = Grounds(facts, wishes, snapshot, lines, tuple(kept), tuple(dropped), output_tokens)
        way = choice or _NO_CHOICE
        return Plan(
            tier,
            verdict,
            attempts,
            way.raised,
            way.because,
            way.lowered_from,
            lines[0].ordering,
            wishes.deadline_s,
            grounds=grounds,
        )


def plan(facts: Facts, wishes: Wishes, verdict: Verdict, catalogue: Catalogue, snapshot: Snapshot) -> Plan:
    """Choose; see `Policy.plan`, which is for many choices over one catalogue."""
    return Policy(catalogue).plan(facts, wishes, verdict, snapshot)


def _below(catalogue: Catalogue) -> dict[str, str]:
    """By tier the one that a budget lowers it to: the one before it in the first mode that has one."""
    below: dict[str, str] = {}
    for tiers in catalogue.modes.values():
        for lower, tier in pairwise(tiers):
            if lower != tier:
                below.setdefault(tier, lower)
    return {tier: lower for tier, lower in below.items() if lower in catalogue.tiers}


def _nobody(dropped: Sequence[Dropped], facts: Facts, wishes: Wishes) -> Unroutable:
    """Why no backend is left."""
    if facts.regions and wishes.regions and set(facts.regions).isdisjoint(wishes.regions):
        return Unroutable(
            "no_capable_backend",
            f"`headgate.region` asks for {listed(wishes.regions)}, and the customer's `regions` allow "
            f"{listed(facts.regions)} only",
            "headgate.region",
        )
    whys = {drop.why for _, drop in dropped}
    said = "; ".join(f"{row.backend_id} {drop.words}" for row, drop in dropped[:_NAMED_MOST])
    if len(dropped) > _NAMED_MOST:
        said += f"; and {len(dropped) - _NAMED_MOST} more"
    if whys == {"context"}:
        asked = f" and an answer of up to {facts.output_limit_tokens}" if facts.output_limit_tokens else ""
        return Unroutable(
            "context_length_exceeded",
            f"the prompt has about {facts.prompt_tokens} tokens{asked}, more than any model here takes: {said}",
            "messages",
        )
    if whys == {"busy"}:
        return Unroutable(
            "overloaded", f"what is left of every backend is kept for requests of higher priority: {said}"
        )
    return Unroutable("no_capable_backend", f"no backend can serve this request: {said}", dropped[0][1].param)
