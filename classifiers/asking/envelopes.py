"""Cuts what agents and editors wrap around their user's words.

The tags are those that Claude Code, Codex, Cline, Roo Code, Cursor, Copilot and aider send (their public sources and
recorded requests, seen to November 2026).
"""

import re
from typing import Final

# Their content is the ask itself.
_WRAPPERS: Final = (
    "user_query", "userRequest", "user_message", "user_request", "task", "feedback", "question", "prompt", "my_request",
)  # fmt: skip
# Their content is not the user's.
_ENVELOPES: Final = (
    "system-reminder", "system_reminder", "system", "system_prompt", "system-prompt", "local-command-stdout",
    "local-command-stderr", "local-command-caveat", "command-name", "command-message", "command-contents",
    "command-args", "bash-input", "bash-stdout", "bash-stderr", "user-prompt-submit-hook", "environment_details",
    "environment_context", "environment", "user_instructions", "INSTRUCTIONS", "instructions", "user_info",
    "git_status", "project_layout", "workspace_info", "editorContext", "reminderInstructions", "context",
    "conversation_summary", "summary", "rules", "user_rules", "attachments", "attachment", "attached_files",
    "additional_data", "current_file", "open_and_recently_viewed_files", "file_contents", "file_content", "file",
    "files", "folder_content", "document", "documents", "source", "search_results", "tool_result", "tool_response",
    "tool_output", "function_results", "function_response", "repo_map", "memory", "ide_selection",
    "ide_opened_file", "terminal_output", "transcript", "conversation", "history", "chat_history", "example",
    "examples",
)  # fmt: skip
_OPENING: Final = re.compile("<(" + "|".join(_ENVELOPES) + r")(?: [^<>\n]{0,200})?>")
_MOST_CUTS: Final = 64
_CLOSING_CHARS: Final = 80
# What remains is judged by its two ends; nobody's ask is longer than this together.
HEAD_CHARS: Final = 4_000
TAIL_CHARS: Final = 3_000
# A wrapper of the ask closes near the end: little comes after what the user said.
_WRAPPED_CHARS: Final = 64_000


def stripped(text: str) -> str:
    """The user's own words, at most HEAD_CHARS + TAIL_CHARS of them.

    Envelopes left open are kept: what cannot be told apart is the user's. Costs a few searches for fixed strings over
    the whole text and a scan of the two ends.
    """
    inside = _unwrapped(text)
    if len(inside) <= HEAD_CHARS + TAIL_CHARS:
        return _without_envelopes(inside, len(inside)).strip()
    head = _without_envelopes(inside, HEAD_CHARS)
    if len(head) <= HEAD_CHARS:  # envelopes were all that made it long
        return head.strip()
    tail = _without_closing(head[HEAD_CHARS:])
    return (head[:HEAD_CHARS] + "\n\n" + tail[-TAIL_CHARS:]).strip() if tail else head[:HEAD_CHARS].strip()


def _unwrapped(text: str) -> str:
    if "</" not in text[-_WRAPPED_CHARS:]:
        return text
    for name in _WRAPPERS:
        end = text.rfind(f"</{name}>", max(0, len(text) - _WRAPPED_CHARS))
        if end < 0:
            continue
        start = text.rfind(f"<{name}>", 0, end)
        if start >= 0 and (inside := text[start + len(name) + 2 : end].strip()):
            return inside
    return text


def _without_envelopes(text: str, wanted_chars: int) -> str:
    """Cut envelopes that open within the first `wanted_chars` kept characters; the rest follows as it is."""
    kept: list[str] = []
    kept_chars = position = 0
    for _ in range(_MOST_CUTS):
        found = _OPENING.search(text, position, position + wanted_chars - kept_chars)
        if found is None:
            break
        closing = f"</{found[1]}>"
        end = text.find(closing, found.end())
        if end < 0:
            kept.append(text[position : found.end()])
            kept_chars += found.end() - position
            position = found.end()
        else:
            kept.append(text[position : found.start()])
            kept_chars += found.start() - position
            position = end + len(closing)
        if kept_chars >= wanted_chars:
            break
    kept.append(text[position:])
    return "".join(kept)


def _without_closing(text: str) -> str:
    """Cut envelopes that end at the very end, however long they are."""
    end = len(text)  # rather than a shorter copy per envelope
    for _ in range(_MOST_CUTS):
        last = text[max(0, end - TAIL_CHARS) : end]
        end -= len(last) - len(last.rstrip())
        if not text.endswith(">", 0, end):
            break
        closing = text.rfind("</", max(0, end - _CLOSING_CHARS), end)
        name = text[closing + 2 : end - 1] if closing >= 0 else ""
        start = text.rfind(f"<{name}", 0, end) if name in _ENVELOPES else -1
        if start < 0:
            break
        end = start
    return text[:end].rstrip()
