"""What Claude's generations take and refuse, by the name of the model. Data and one function; no requests.

Sources, November 2026: platform.claude.com/docs, pages "thinking", "effort", "structured-outputs" and the "what's new"
and migration pages of each model; the opencode and apidog write-ups of the 5.5 generation for `between_tools`.
"""

import re
from typing import Final, Literal, NamedTuple

_NAME: Final = re.compile(
    r"claude-(?:(?P<family>[a-z]+)-?)?(?:(?P<major>[0-9]{1,2})(?:[-.](?P<minor>[0-9]{1,2}))?(?![0-9]))?"
)
_NEWEST: Final = (99, 0)  # `claude-sonnet-latest`, `claude-mythos-preview`


class Traits(NamedTuple):
    """What one model takes.

    Attributes:
        thinks: how thinking is asked for: with a budget of tokens, adaptively, either way, or not at all.
        off: how it is turned off where it is on by default: `omit` when it is not; `never` when it cannot be.
        efforts: what `output_config.effort` may say.
        sampling: takes `temperature`, `top_p` and `top_k` at values other than the defaults.
        both_samplers: takes `temperature` and `top_p` together.
        forced_tools: takes a `tool_choice` that forces a call.
        schemas: has `output_config.format` and strict tools.
        prefill: continues an assistant's message at the end.
    """

    thinks: Literal["no", "budget", "either", "adaptive"] = "budget"
    off: Literal["omit", "disabled", "between_tools", "never"] = "omit"
    efforts: tuple[str, ...] = ()
    sampling: bool = True
    both_samplers: bool = True
    forced_tools: bool = True
    schemas: bool = False
    prefill: bool = True


COMPATIBLE: Final = Traits()
"""Other models behind this dialect: what it was before Claude 4.5, which is what imitations of it have."""

ANY: Final = Traits(thinks="either", schemas=True)
"""Nothing that some model takes is missing: for a request whose model is not known yet."""


def traits(model: str) -> Traits:
    """What a model takes; `model` in any provider's spelling. An unknown Claude is taken for a new one."""
    match = _NAME.search(model)
    if match is None:
        return COMPATIBLE
    family = match["family"] or ""
    version = (int(match["major"]), int(match["minor"] or 0)) if match["major"] else _NEWEST
    always = family in ("fable", "mythos") or (family == "opus" and version >= (5, 5))
    forced = {"fable": (5, 1), "mythos": (5, 1), "opus": (5, 5), "sonnet": (5, 5)}
    return Traits(
        thinks=_thinks(version),
        off="never" if always else _off(family, version),
        efforts=_efforts(version),
        sampling=version < (4, 7),
        both_samplers=version < (4, 1),
        # haiku 5.5 still takes it (its migration guide, November 2026).
        forced_tools=version < forced.get(family, (_NEWEST[0], 1)),
        schemas=version >= (4, 5),
        prefill=version < (4, 6),
    )


def _thinks(version: tuple[int, int]) -> Literal["no", "budget", "either", "adaptive"]:
    if version < (3, 7):
        return "no"
    if version < (4, 6):
        return "budget"
    return "either" if version < (4, 7) else "adaptive"


def _off(family: str, version: tuple[int, int]) -> Literal["omit", "disabled", "between_tools"]:
    if version < (5, 0):
        return "omit"
    return "between_tools" if family == "sonnet" and version >= (5, 5) else "disabled"


def _efforts(version: tuple[int, int]) -> tuple[str, ...]:
    if version < (4, 6):
        return ()
    return ("low", "medium", "high", "max") if version < (4, 7) else ("low", "medium", "high", "xhigh", "max")
