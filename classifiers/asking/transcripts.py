"""A conversation pasted into one message: the ask is its last user turn, or what stands outside it."""

from typing import Final

import re2

_USER: Final = (
    "user", "human", "usuario", "usuário", "utilisateur", "benutzer", "nutzer", "пользователь", "用户", "使用者",
    "ユーザー", "사용자", "المستخدم", "उपयोगकर्ता", "me", "q", "customer",
)  # fmt: skip
_ASSISTANT: Final = (
    "assistant", "ai", "bot", "chatgpt", "gpt", "claude", "gemini", "model", "system", "asistente", "assistente",
    "assistent", "ассистент", "助手", "助理", "アシスタント", "어시스턴트", "المساعد", "सहायक", "a", "agent",
)  # fmt: skip
_LABEL: Final = re2.compile(
    r"(?im)^[ \t]{0,4}[>*#\[(]{0,4}[ ]?(?:("
    + "|".join(_USER)
    + ")|"
    + "|".join(_ASSISTANT)
    + r")[ ]?(?:\d{1,3})?[\])*]{0,3}[:：][*]{0,2}"
)
# Two of each make a conversation; one "Q:" and one "A:" may be the form of a single question.
_LEAST_TURNS: Final = 3


def last_turn(text: str) -> str:
    """The user's last words in a pasted transcript; the text itself when it is none."""
    if text.count(":") + text.count("：") < _LEAST_TURNS:
        return text
    labels = list(_LABEL.finditer(text))
    users = [each for each in labels if each[1]]
    if len(labels) < _LEAST_TURNS or not users or len(users) == len(labels):
        return text
    last = labels[-1]
    if last[1]:
        return text[last.end() :].strip() or _turn(text, labels, users[-2] if len(users) > 1 else users[0])
    # The transcript ends with an answer (or an empty place for one). The ask stands after it, before it, or in it.
    answer = text[last.end() :]
    blank = answer.rfind("\n\n")
    if blank >= 0 and (after := answer[blank:].strip()):
        return after
    before = text[: labels[0].start()].strip()
    if before.endswith((":", "：")):  # its last paragraph only introduces the transcript
        before = before.rpartition("\n\n")[0].strip()
    if before:
        return before
    return _turn(text, labels, users[-1])


def _turn(text: str, labels: list[re2._Match], which: re2._Match) -> str:
    following = next((each.start() for each in labels if each.start() > which.start()), len(text))
    return text[which.end() : following].strip() or text
