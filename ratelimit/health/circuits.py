"""The circuits as this gateway sees them: the store's, read a moment ago, and what it has met itself since.

With the store away it goes on alone, by the same rules on its own figures.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ratelimit.health.news import LONGEST_COOL_DOWN_S, WINDOW_S, Opening, Verdict, Verdicts
from ratelimit.health.types import BreakerRules, Change, Circuit, Probe, Reason, Target, targets

PROBE_LEASE_S: Final = 20.0
"""How long a probe keeps others from probing: most answers begin sooner, and a gateway that died blocks no longer."""
_SLOT_S: Final = 10.0


class Window:
    """One backend's answers and faults of the last minute, in slots of ten seconds."""

    __slots__ = ("_answered", "_failed", "_slot", "_slots")

    def __init__(self) -> None:
        self._slot = -1
        self._answered = 0
        self._failed = 0
        self._slots: list[tuple[int, int, int]] = []

    def add(self, now_s: float, *, failed: bool) -> None:
        slot = int(now_s / _SLOT_S)
        if slot != self._slot:
            if self._slot >= 0:
                self._slots.append((self._slot, self._answered, self._failed))
                del self._slots[: -int(WINDOW_S / _SLOT_S)]
            self._slot, self._answered, self._failed = slot, 0, 0
        if failed:
            self._failed += 1
        else:
            self._answered += 1

    def totals(self, now_s: float) -> tuple[int, int]:
        """Answered and failed."""
        oldest = int(now_s / _SLOT_S) - int(WINDOW_S / _SLOT_S) + 1
        kept = [
            slot for slot in (*self._slots, (self._slot, self._answered, self._failed)) if slot[0] >= oldest
        ]
        return sum(slot[1] for slot in kept), sum(slot[2] for slot in kept)


class Circuits:
    """Not for use across threads. Every method is a few dictionary look-ups."""

    __slots__ = ("_make_token", "_rules", "_windows", "view")

    def __init__(self, rules: BreakerRules, make_token: Callable[[], str]) -> None:
        self._rules = rules
        self._make_token = make_token
        self._windows: dict[str, Window] = {}
        self.view: Mapping[Target, Circuit] = {}
        """Those that are not closed. Replaced by each change, never changed in place."""

    def obey(self, rules: BreakerRules) -> None:
        """Judge by these from now on."""
        self._rules = rules

    def window(self, backend: str) -> Window:
        """Where a backend's answers and faults are counted."""
        window = self._windows.get(backend)
        if window is None:
            window = self._windows[backend] = Window()
        return window

    def adopt(self, circuits: Mapping[Target, Circuit]) -> None:
        """Take over what the store says. What has closed there is judged afresh here too."""
        for target in self.view:
            if target not in circuits:
                self._judge_afresh(target)
        self.view = circuits

    def open(self, opening: Opening, now_s: float) -> Change | None:
        """Open, or stay open for longer, never shorter. Nothing once its time is over."""
        if opening.until_s <= now_s:
            return None
        known = self.view.get(opening.target)
        if known is None:
            return self._opens(opening.target, opening.reason, opening.until_s, now_s)
        refused = opening.reason == "auth" and known.reason != "auth"
        if opening.until_s > known.open_until_s or refused:
            longer = Circuit(
                open_until_s=max(opening.until_s, known.open_until_s),
                cool_down_s=max(opening.until_s - now_s, known.cool_down_s),
                reason="auth" if known.reason == "auth" else opening.reason,
                token=known.token,
                leased_until_s=known.leased_until_s,
            )
            self.view = {**self.view, opening.target: longer}
        return Change(opening.target, "opened", "auth") if refused else None

    def judged(self, backend: str, now_s: float) -> Opening | None:
        """What a closed backend with too many faults in the last minute deserves."""
        target = Target(backend, "")
        answered, failed = self.window(backend).totals(now_s)
        total = answered + failed
        too_many = total >= self._rules.min_requests and failed >= self._rules.error_ratio * total
        if not too_many or failed == 0 or target in self.view or not self._rules.cool_down_s:
            return None
        return Opening(target, "errors", now_s + self._rules.cool_down_s)

    def take_probe(self, backend: str, provider_key_id: str | None, now_s: float) -> Probe | None:
        """The right to try what is due, for all the circuits concerned or for none; None: not now."""
        concerned = [target for target in targets(backend, provider_key_id) if target in self.view]
        if any(self.view[target].state_at(now_s) != "due" for target in concerned):
            return None
        probe = Probe(self._make_token(), tuple(concerned))
        self.lease(probe, now_s)
        return probe

    def lease(self, probe: Probe, now_s: float, lease_s: float = PROBE_LEASE_S) -> None:
        """These that are due are being probed, by whoever has the token."""
        until_s = now_s + lease_s
        leased = {
            target: Circuit(known.open_until_s, known.cool_down_s, known.reason, probe.token, until_s)
            for target in probe.targets
            if (known := self.view.get(target)) is not None and known.state_at(now_s) == "due"
        }
        self.view = {**self.view, **leased}

    def drop(self, closed: Iterable[Target]) -> None:
        """These have closed meanwhile."""
        gone = set(closed)
        self.view = {target: circuit for target, circuit in self.view.items() if target not in gone}

    def end_probe(self, verdicts: Verdicts, now_s: float) -> Iterable[Change]:
        """What a probe has shown. Nothing where another has been taken since."""
        changes: list[Change] = []
        for target, verdict in verdicts.of.items():
            known = self.view.get(target)
            if known is not None and known.token == verdicts.token:
                change = self._ends(target, known, verdict, now_s)
                if change is not None:
                    changes.append(change)
        return changes

    def _opens(self, target: Target, reason: Reason, until_s: float, now_s: float) -> Change:
        self.view = {**self.view, target: Circuit(until_s, until_s - now_s, reason)}
        return Change(target, "opened", reason)

    def _judge_afresh(self, target: Target) -> None:
        if not target.provider_key_id:
            self._windows.pop(target.backend, None)

    def _ends(self, target: Target, known: Circuit, verdict: Verdict, now_s: float) -> Change | None:
        if verdict == "passed":
            self.drop((target,))
            self._judge_afresh(target)
            return Change(target, "closed", known.reason)
        if verdict == "unclear":
            self.view = {**self.view, target: Circuit(known.open_until_s, known.cool_down_s, known.reason)}
            return None
        doubled_s = min(max(2 * known.cool_down_s, self._rules.cool_down_s, 1.0), LONGEST_COOL_DOWN_S)
        until_s = max(known.open_until_s, now_s + doubled_s)
        self.view = {**self.view, target: Circuit(until_s, doubled_s, known.reason)}
        return Change(target, "reopened", known.reason)
