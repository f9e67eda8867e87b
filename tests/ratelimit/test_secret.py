"""The text of a key."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ratelimit.subjects.secret import PREFIX, digest_of, looks_like_key, make_secret


def test_shape() -> None:
    """A key is `sk-hg-` and at least 32 letters and digits; no two are alike."""
    secrets = {make_secret() for _ in range(200)}
    assert 200 == len(secrets)
    for secret in secrets:
        assert secret.startswith(PREFIX)
        body = secret.removeprefix(PREFIX)
        assert len(body) >= 32
        assert body.isascii()
        assert body.isalnum()
        assert looks_like_key(secret)


@given(st.data())
def test_a_mistyped_key_is_recognised(data: st.DataObject) -> None:
    """Any one changed, missing or added character is noticed, before a store is asked."""
    secret = make_secret()
    place = data.draw(st.integers(0, len(secret) - 1))
    other = data.draw(st.characters().filter(lambda character: character != secret[place]))
    assert not looks_like_key(secret[:place] + other + secret[place + 1 :])
    assert not looks_like_key(secret[:place] + secret[place + 1 :])
    assert not looks_like_key(secret + other)


def test_digest() -> None:
    """The digest is the plain SHA-256 of the text, as `sha256:` in a configuration file has it."""
    assert hashlib.sha256(b"test-key-0001-abcdef").digest() == digest_of("test-key-0001-abcdef")
    assert digest_of("test-key-0001-abcdef") == digest_of(b"test-key-0001-abcdef")
