"""Which backends to try, in which order, and why: a function of its arguments.

Today a model's backends run in the catalogue's order and a tier is its list.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from proxy.routing.catalogue.types import Backend, Catalogue

Complexity = Literal["simple", "moderate", "complex"]

AllowLists = Sequence[Collection[str]]
"""Of a key and of its customer, as far as they have one; none means everything may be asked for."""

_PREFIX: Final = "headgate/"
POSITION: Final[Mapping[Complexity, int]] = {"simple": 0, "moderate": 1, "complex": 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What kind of request this is, as far as anybody knows.

    Attributes:
        source: who decided; `default` means undecided, `named` that nobody had to.
        domain: what it is about, in the classifiers' words; `general` where none stood out.
    """

    source: Literal["rules", "scorer", "micro", "default", "named"]
    complexity: Complexity | None = None
    task_type: str | None = None
    confidence: float | None = None
    rule: str | None = None
    domain: str | None = None


NAMED: Final = Verdict("named")
UNDECIDED: Final = Verdict("default", "moderate", "other", 0.0)


class Attempt(NamedTuple):
    """A backend to try.

    Attributes:
        model: the public id of the model it serves.
        context_tokens: of that model, `None` when unknown.
        reason: in words an operator understands.
    """

    backend: Backend
    model: str
    context_tokens: int | None
    reason: tuple[str, ...]


class Plan(NamedTuple):
    """Attempts in order, never empty.

    Attributes:
        tier: `None` when a model was named.
        raised: doubt about the verdict moved the tier up.
        because: why it is not the tier of the verdict alone, in words an operator understands; empty where it is.
    """

    tier: str | None
    verdict: Verdict
    attempts: tuple[Attempt, ...]
    raised: bool = False
    because: str = ""


class Unroutable(Exception):
    """Nothing can be tried.

    Attributes:
        code: `model_not_found` or `model_not_allowed`.
        message: for the client.
    """

    def __init__(self, code: Literal["model_not_found", "model_not_allowed"], message: str) -> None:
        super().__init__(message)
        self.code: Literal["model_not_found", "model_not_allowed"] = code
        self.message = message


def plan(
    asked: str, allow_lists: AllowLists, verdict: Verdict, catalogue: Catalogue, tier: str | None = None
) -> Plan:
    """Choose.

    Args:
        asked: the name in the request: a model, a mode, `headgate/<mode>` or an alias.
        allow_lists: the name must be in each. A mode's name admits every model it may choose, whatever they are called.
        verdict: of the classifiers; looked at when a mode was asked for.
        tier: of the mode, where it has been settled already.

    Raises:
        Unroutable: the name is unknown, or the key may not ask for it.
    """
    model = catalogue.models.get(asked)
    mode = mode_asked(asked, catalogue)
    if model is None and mode is None:
        raise Unroutable("model_not_found", _not_found(asked, allow_lists, catalogue))
    if not all(asked in allowed or mode in allowed for allowed in allow_lists):
        raise Unroutable("model_not_allowed", f"this key may not use `{asked}`")
    if model is not None:
        return Plan(None, NAMED, tuple(_attempts(catalogue, (model.id,), "named")))
    assert mode is not None
    tier = tier or catalogue.modes[mode][POSITION[verdict.complexity or "moderate"]]
    attempts = tuple(_attempts(catalogue, catalogue.tiers.get(tier, ()), f"tier={tier}"))
    if not attempts:
        raise Unroutable("model_not_found", f"tier `{tier}` has no model that is configured")
    return Plan(tier, verdict, attempts)


def mode_of(asked: str, catalogue: Catalogue) -> str | None:
    """The mode a name stands for: its bare name, `headgate/<name>` or an alias."""
    name = catalogue.aliases.get(asked, asked)
    name = name.removeprefix(_PREFIX)
    return name if name in catalogue.modes else None


def mode_asked(asked: str, catalogue: Catalogue) -> str | None:
    """The mode a request asks for; `None` where its name is a model's, or nobody's."""
    return None if asked in catalogue.models else mode_of(asked, catalogue)


def names(allow_lists: AllowLists, catalogue: Catalogue) -> list[str]:
    """What may be asked for: all models, then modes that choose something; or exactly what the lists name of it."""
    modes = [
        mode for mode, tiers in catalogue.modes.items() if any(catalogue.tiers.get(tier) for tier in tiers)
    ]
    if not allow_lists:
        return [*catalogue.models, *modes]
    first, *others = allow_lists
    return [
        name
        for name in first
        if (name in catalogue.models or mode_of(name, catalogue) in modes)
        and all(name in allowed or mode_of(name, catalogue) in allowed for allowed in others)
    ]


def _attempts(catalogue: Catalogue, models: Collection[str], reason: str) -> list[Attempt]:
    return [
        Attempt(backend, name, catalogue.models[name].context_tokens, (reason, f"place {place} in the list"))
        for name in models
        for place, backend in enumerate(catalogue.models[name].backends, 1)
    ]


def _not_found(asked: str, allow_lists: AllowLists, catalogue: Catalogue) -> str:
    near = difflib.get_close_matches(asked, names(allow_lists, catalogue), n=3, cutoff=0.5)
    hint = (
        f"; did you mean {' or '.join(f'`{name}`' for name in near)}?"
        if near
        else "; GET /v1/models lists them"
    )
    return f"no model or tier is called `{asked}`{hint}"
