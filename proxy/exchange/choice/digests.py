"""Names of what is remembered: they tell nothing of what they stand for to whoever lacks the key."""

from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Final

_BYTES: Final = 16


class Digests:
    """Keyed digests, scoped to a customer: equal texts of two customers have nothing in common."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """`secret`: the same in all gateways that are to remember together; kept nowhere with what is remembered."""
        self._key = sha256(b"headgate memory\0" + secret).digest()

    def of(self, customer_id: str, kind: str, *texts: str) -> str:
        """32 hexadecimal digits. Different texts, or differently parted ones, give different digests."""
        parted = "".join([f"{len(text)}:{text}" for text in (customer_id, kind, *texts)])
        encoded = parted.encode("utf-8", "surrogatepass")
        return blake2b(encoded, key=self._key, digest_size=_BYTES).hexdigest()


def beginning(messages: Sequence[object], *, head_chars: int) -> list[str]:
    """Of a conversation what does not change: all up to the first thing the user said, each by its beginning."""
    said: list[str] = []
    for message in messages:
        if not isinstance(message, dict):
            continue
        role, content = message.get("role"), message.get("content")
        texts = content if isinstance(content, list) else [content]
        said.append(str(role))
        for part in texts:
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str):
                said += (str(len(text)), text[:head_chars])
        if role == "user":
            break
    return said
