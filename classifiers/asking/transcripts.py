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
_SPEAKER: Final = "(?:(" + "|".join(_USER) + ")|" + "|".join(_ASSISTANT) + ")"
# "User: ...", "**AI 3:** ..."; "### User" or "[user]" on a line of its own; marks of chat templates.
_LABEL: Final = re2.compile(
    rf"(?im)^[ \t]{{0,4}}[>*#\[(]{{0,4}}[ ]?{_SPEAKER}[ ]?(?:\d{{1,3}})?[\])*]{{0,3}}[:：][*]{{0,2}}"
    rf"|^(?:#{{1,4}} |\*\*|\[){_SPEAKER}(?:\*\*|\])?[ \t]*$"
    rf"|<\|(?:im_start\|>)?{_SPEAKER}\b(?:\|>)?"
)
# Without one of these there is no label.
_MARKS: Final = (":", "：", "\n#", "\n[", "\n**", "<|")
_END_OF_TURN: Final = ("<|im_end|>", "<|end|>", "<|eot_id|>")
# Two of each make a conversation; one "Q:" and one "A:" may be the form of a single question.
_LEAST_TURNS: Final = 3
# Of a long one the last turns tell who speaks.
_MOST_TURNS: Final = 64


def last_turn(text: str) -> str:
    """The user's last words in a pasted transcript; the text itself when it is none."""
    if sum(map(f"\n{text}".count, _MARKS)) < _LEAST_TURNS:
        return text
    data = text.encode()  # as bytes: finding out where that is in the text is most of the cost of a match
    labels = list(_LABEL.finditer(data))
    recent = labels[-_MOST_TURNS:]
    users = [each for each in recent if _is_user(each)]
    if len(labels) < _LEAST_TURNS or not users or len(users) == len(recent):
        return text
    last = labels[-1]
    if _is_user(last):
        return _said(data[last.end() :]) or _turn(data, labels, users[-2] if len(users) > 1 else users[0])
    # The transcript ends with an answer (or an empty place for one). The ask stands after it, before it, or in it.
    answer = data[last.end() :].decode()
    blank = answer.rfind("\n\n")
    if blank >= 0 and (after := answer[blank:].strip()):
        return after
    before = data[: labels[0].start()].decode().strip()
    if before.endswith((":", "：")):  # its last paragraph only introduces the transcript
        before = before.rpartition("\n\n")[0].strip()
    if before:
        return before
    after = answer.strip().rpartition("\n")[2] if "\n" in answer.strip() else ""
    return _said(after.encode()) or _turn(data, labels, users[-1])


def _is_user(label: re2._Match) -> bool:
    return any(label.groups())


def _said(turn: bytes) -> str:
    said = turn.decode()
    for mark in _END_OF_TURN:
        said = said.replace(mark, "")
    return said.strip()


def _turn(data: bytes, labels: list[re2._Match], which: re2._Match) -> str:
    following = next((each.start() for each in labels if each.start() > which.start()), len(data))
    return _said(data[which.end() : following]) or data.decode()
