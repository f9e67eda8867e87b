"""Why an answer ended, read off the JSON that says so, in any client's dialect."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Finish(NamedTuple):
    """`reason`: in the client's own words; `native`: the provider's, where these were others. `None`: not said."""

    reason: str | None = None
    native: str | None = None


NOT_SAID = Finish()


def finish_of(members: Mapping[str, Any] | None) -> Finish:
    """Of a whole answer, or of the frame with its finish reason; of several choices the first that has one."""
    if members is None:
        return NOT_SAID
    choices = members.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            reason = choice.get("finish_reason") if isinstance(choice, dict) else None
            if isinstance(reason, str):
                native = choice.get("native_finish_reason")
                return Finish(reason, native if isinstance(native, str) else None)
        return NOT_SAID
    # Anthropic's: `stop_reason` of a message, or of the `delta` of `message_delta`.
    delta = members.get("delta")
    said = delta if isinstance(delta, dict) else members
    reason = said.get("stop_reason")
    return Finish(reason) if isinstance(reason, str) else NOT_SAID
