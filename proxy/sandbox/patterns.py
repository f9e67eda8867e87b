"""A text that matches a regular expression, for the expressions JSON schemas use.

Literals, classes, groups, alternatives and repeats are understood; look-around and back-references are not.
"""

from dataclasses import dataclass, field

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_WORDLIKE = _LOWER + _LOWER.upper() + _DIGITS + "_"
_BLANKS = " \t"
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F)) + " "
_ESCAPED_CLASSES = {
    "d": _DIGITS,
    "w": _WORDLIKE,
    "s": _BLANKS,
    "D": _LOWER,
    "W": " -.,:;/",
    "S": _WORDLIKE,
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_HEX_DIGITS = {"x": 2, "u": 4}
_LONGEST = 10_000
_DEEPEST = 50


class PatternError(ValueError):
    """The expression is malformed, or uses something not understood here."""


def example(pattern: str, *, variant: int = 0, more: int = 0) -> str:
    """A text `pattern` matches from end to end.

    Args:
        pattern: as in a schema; `^` and `$` are taken to stand at its ends.
        variant: another number gives another text, where a character class leaves the choice.
        more: how often open repeats go on beyond their minimum.

    Raises:
        PatternError: see the class; also when the text would be longer than 10,000 characters.
    """
    reader = _Reader(pattern, variant, more)
    text = reader.alternatives()
    if reader.position < len(pattern):
        raise PatternError(f"unbalanced ')' in {pattern!r}")
    return text


@dataclass(slots=True)
class _Reader:
    pattern: str
    variant: int
    more: int
    position: int = field(default=0)
    depth: int = field(default=0)

    def peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def take(self) -> str:
        if self.position >= len(self.pattern):
            raise PatternError(f"{self.pattern!r} ends too early")
        self.position += 1
        return self.pattern[self.position - 1]

    def accept(self, text: str) -> bool:
        if self.pattern.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def alternatives(self) -> str:
        """The first alternative; the others are read past."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise PatternError("groups are nested too deeply")
        first = self.sequence()
        while self.accept("|"):
            self.sequence()
        self.depth -= 1
        return first

    def sequence(self) -> str:
        parts: list[str] = []
        length = 0
        while self.peek() not in ("", "|", ")"):
            atom = self.atom()
            times = self.repeats()
            length += len(atom) * times
            if length > _LONGEST:
                raise PatternError(f"a text longer than {_LONGEST} characters is needed")
            parts.append(atom * times)
        return "".join(parts)

    def atom(self) -> str:
        character = self.take()
        if character in "^$":
            return ""
        if character == "(":
            return self.group()
        if character == "[":
            return self.pick(self.char_class())
        if character == "\\":
            return self.pick(self.escape())
        if character == ".":
            return self.pick(_LOWER)
        if character in "*+?{":
            raise PatternError(f"nothing to repeat at {self.position} in {self.pattern!r}")
        return character

    def pick(self, members: str) -> str:
        if not members:
            raise PatternError(f"an empty class in {self.pattern!r}")
        return members[self.variant % len(members)]

    def group(self) -> str:
        if self.accept("?") and not self.accept(":"):
            self.accept("P")
            if not self.accept("<") or self.peek() in ("=", "!"):
                raise PatternError("look-around and inline flags are not supported")
            while self.take() != ">":
                pass
        inside = self.alternatives()
        if not self.accept(")"):
            raise PatternError(f"a group is not closed in {self.pattern!r}")
        return inside

    def escape(self) -> str:
        """The characters an escape stands for."""
        character = self.take()
        if character in _ESCAPED_CLASSES:
            return _ESCAPED_CLASSES[character]
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character in _HEX_DIGITS:
            digits = "".join(self.take() for _ in range(_HEX_DIGITS[character]))
            try:
                return chr(int(digits, 16))
            except ValueError as error:
                raise PatternError(f"\\{character}{digits} is not a character") from error
        if character.isalnum():
            raise PatternError(f"\\{character} is not supported")
        return character

    def char_class(self) -> str:
        negated = self.accept("^")
        members: list[str] = []
        while not (self.peek() == "]" and (members or negated)):
            first = self.class_member()
            if (
                len(first) == 1
                and self.peek() == "-"
                and self.pattern[self.position + 1 : self.position + 2] != "]"
            ):
                self.take()
                last = self.class_member()
                if len(last) != 1 or last < first:
                    raise PatternError(f"a bad range in {self.pattern!r}")
                # The first few of a range are choice enough.
                first = "".join(chr(code) for code in range(ord(first), min(ord(last), ord(first) + 255) + 1))
            members.append(first)
        self.take()
        if negated:
            excluded = set("".join(members))
            return "".join(c for c in _LOWER + _DIGITS + _PRINTABLE if c not in excluded)
        return "".join(members)

    def class_member(self) -> str:
        character = self.take()
        if character == "\\":
            return "\b" if self.accept("b") else self.escape()
        return character

    def repeats(self) -> int:
        """How often the atom just read is to occur."""
        minimum, maximum = self.quantifier()
        self.accept("?")
        wished = minimum + self.more
        return wished if maximum is None else min(wished, maximum)

    def quantifier(self) -> tuple[int, int | None]:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.accept(sign):
                return bounds
        if self.peek() != "{":
            return 1, 1
        end = self.pattern.find("}", self.position)
        inside = self.pattern[self.position + 1 : end]
        low, comma, high = inside.partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()):
            raise PatternError(f"a bad repeat in {self.pattern!r}")
        self.position = end + 1
        maximum = int(high) if high else (None if comma else int(low))
        if maximum is not None and maximum < int(low):
            raise PatternError(f"a bad repeat in {self.pattern!r}")
        return int(low), maximum
