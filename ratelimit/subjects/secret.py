"""A key's text: how it is made, recognised and reduced to a digest."""

import hashlib
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "sk-hg-"
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS: Final = 36  # 214 bits
_CHECK_CHARACTERS: Final = 6  # 62**6 exceeds the 2**32 values of a CRC-32
_LENGTH: Final = len(PREFIX) + _RANDOM_CHARACTERS + _CHECK_CHARACTERS


def make_secret() -> str:
    """A new key: `sk-hg-`, 36 random characters, 6 that check them; all of base 62."""
    body = PREFIX + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM_CHARACTERS))
    return body + _check(body)


def make_key_id() -> str:
    """A new opaque id of a key."""
    return "key-" + "".join(secrets.choice(_DIGITS) for _ in range(16))


def looks_like_key(text: str) -> bool:
    """Was `text` made by `make_secret`? False for a mistyped or shortened one. Says nothing of its validity.

    Keys from a configuration file may have any form, so a False is a hint for a message, never a verdict.
    """
    return (
        len(text) == _LENGTH
        and text.startswith(PREFIX)
        and text.isascii()
        and _check(text[:-_CHECK_CHARACTERS]) == text[-_CHECK_CHARACTERS:]
    )


def digest_of(secret: str | bytes) -> bytes:
    """SHA-256 of a key's text, 32 bytes. The keys are long and random, so that a plain digest hides them."""
    return hashlib.sha256(secret if isinstance(secret, bytes) else secret.encode()).digest()


def _check(body: str) -> str:
    value = zlib.crc32(body.encode())
    characters = []
    for _ in range(_CHECK_CHARACTERS):
        value, index = divmod(value, len(_DIGITS))
        characters.append(_DIGITS[index])
    return "".join(reversed(characters))
