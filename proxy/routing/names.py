"""What a name in a request stands for, and who may ask for it."""

import difflib
from typing import Final, NamedTuple

from proxy.routing.catalogue.types import Catalogue
from proxy.routing.types import AllowLists, Unroutable
from proxy.routing.wishes import Ordering

_PREFIX: Final = "headgate/"
_SUFFIXES: Final[dict[str, Ordering]] = {"floor": "cheapest", "nitro": "throughput"}


class Meant(NamedTuple):
    """What a name stands for: a model or a mode. `sort`: what its suffix orders by."""

    model: str | None
    mode: str | None
    sort: Ordering | None = None


def mode_of(asked: str, catalogue: Catalogue) -> str | None:
    """The mode a name stands for: its bare name, `headgate/<name>` or an alias."""
    name = catalogue.aliases.get(asked, asked)
    name = name.removeprefix(_PREFIX)
    return name if name in catalogue.modes else None


def mode_asked(asked: str, catalogue: Catalogue) -> str | None:
    """The mode a request asks for, with a suffix or without; `None` where its name is a model's, or nobody's."""
    found = meant(asked, catalogue)
    return None if found is None else found.mode


def meant(asked: str, catalogue: Catalogue) -> Meant | None:
    """What a name stands for; `None`: nothing. A suffix counts only where no name has it as a part."""
    if asked in catalogue.models:
        return Meant(asked, None)
    mode = mode_of(asked, catalogue)
    if mode is not None:
        return Meant(None, mode)
    name, colon, suffix = asked.rpartition(":")
    if not colon or suffix not in _SUFFIXES:
        return None
    if name in catalogue.models:
        return Meant(name, None, _SUFFIXES[suffix])
    mode = mode_of(name, catalogue)
    return None if mode is None else Meant(None, mode, _SUFFIXES[suffix])


def admitted(asked: str, allow_lists: AllowLists, catalogue: Catalogue, *, param: str = "model") -> Meant:
    """What a name stands for, for somebody who may ask for it.

    Args:
        allow_lists: the name must be in each, written as it was or without its suffix, or what it stands for.
            A mode's name admits every model it may choose, whatever they are called.

    Raises:
        Unroutable: the name is unknown, or may not be asked for.
    """
    found = meant(asked, catalogue)
    if found is None:
        raise Unroutable("model_not_found", _not_found(asked, allow_lists, catalogue), param)
    if allow_lists:
        written = asked if found.sort is None else asked.rpartition(":")[0]
        known = {asked, written, found.mode or found.model}
        if not all(known.intersection(allowed) for allowed in allow_lists):
            raise Unroutable("model_not_allowed", f"this key may not use `{asked}`", param)
    return found


def names(allow_lists: AllowLists, catalogue: Catalogue) -> list[str]:
    """What may be asked for: all models, then modes that choose something; or exactly what the lists name of it."""
    modes = [
        mode
        for mode, tiers in catalogue.modes.items()
        if any(tier in catalogue.tiers and catalogue.tiers[tier].models for tier in tiers)
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


def _not_found(asked: str, allow_lists: AllowLists, catalogue: Catalogue) -> str:
    near = difflib.get_close_matches(asked, names(allow_lists, catalogue), n=3, cutoff=0.5)
    hint = (
        f"; did you mean {' or '.join(f'`{name}`' for name in near)}?"
        if near
        else "; GET /v1/models lists them"
    )
    return f"no model or tier is called `{asked}`{hint}"
