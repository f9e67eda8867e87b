"""What other people's words may not carry out: credentials, control characters, length."""

import string
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.redaction import MAX_CHARS, presentable, redact

# Where providers, their proxies and their SDKs have been seen to put a key.
PHRASES: Final = (
    "Incorrect API key provided: {}. You can find your API key at https://platform.example/account/api-keys.",
    "Incorrect API key provided ({})",
    "Invalid API Key '{}'",
    "invalid api key {} for this project",
    "Your api key: {} is invalid",
    "API key not valid: {}",
    "API key ID: {}, Model: grok",
    "the subscription key {} has expired",
    "The access token `{}` has expired",
    "key {} was revoked",
    "unknown token: {}",
    "Authorization: Bearer {}",
    'headers: {{"authorization": "Bearer {}"}}',
    "x-api-key: {}",
    "X-Goog-Api-Key: {}; accept: */*",
    '{{"api_key": "{}"}}',
    "api_key={}&model=m",
    "POST /v1beta/models/m:generate?key={} failed",
    "GET https://host.example/v1/models?key={} returned 403",
    "cannot reach https://user:{}@host.example/v1",
    "see https://host.example/v1#access_token={}",
    "password={}",
    "client_secret = '{}'",
    "Bearer {}",
)
BEGINNINGS: Final = (
    "sk-",
    "sk-proj-",
    "sk-ant-api03-",
    "sk-or-v1-",
    "gsk_",
    "csk-",
    "xai-",
    "hf_",
    "fw_",
    "pplx-",
)
SECRETS: Final = st.text(string.ascii_letters + string.digits + "-_", min_size=20, max_size=60).filter(
    lambda text: text[0] not in "-_" and text[-1] not in "-_" and any(char.isdigit() for char in text)
)


@given(SECRETS, st.sampled_from(PHRASES), st.text(max_size=15))
def test_a_key_does_not_come_out(secret: str, phrase: str, before: str) -> None:
    """A key in any phrase a provider uses for one is masked, whatever stands before it."""
    assert secret not in redact(phrase.format(secret))
    assert secret not in presentable(f"{before} {phrase.format(secret)}")


@given(SECRETS, st.sampled_from(BEGINNINGS), st.text(string.ascii_lowercase + " .,:", max_size=40))
def test_a_key_that_says_what_it_is(secret: str, beginning: str, words: str) -> None:
    """A key with a known beginning is masked wherever it stands."""
    assert secret not in redact(f"{words} {beginning}{secret} {words}")
    assert secret not in redact(f"({beginning}{secret})")


@given(SECRETS, st.sampled_from(PHRASES), st.integers(3, 12))
def test_half_a_key(secret: str, phrase: str, stars: int) -> None:
    """A key that the provider masked in part is masked whole."""
    shown = redact(phrase.format(f"{secret[:8]}{'*' * stars}{secret[-8:]}"))
    assert secret[:8] not in shown
    assert secret[-8:] not in shown


@given(SECRETS, st.integers(1, 19), st.sampled_from("\u200b\u200d\u2060\ufeff\u00ad"))
def test_invisible_characters_do_not_hide_a_key(secret: str, at: int, hidden: str) -> None:
    """A key with an invisible character inside is masked all the same."""
    assert secret not in presentable(f"Bearer {secret[:at]}{hidden}{secret[at:]}")


def test_the_end_of_a_long_message_holds_no_half_of_a_key() -> None:
    """A key is not cut in two before it is looked for."""
    secret = "Zq8vT2mNc4KpR7wXy1LdBa"
    for length in range(1_970, 2_010):
        assert secret[:6] not in presentable(f"{'x ' * (length // 2)}Bearer {secret}")
    for length in range(7_960, 8_010):
        assert secret[:6] not in presentable(f"{'*** ' * (length // 4)}Bearer {secret}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Incorrect API key provided: bad-key-**********test. Try", "Incorrect API key provided: ***. Try"),
        ("Your api key: ****-key is invalid", "Your api key: *** is invalid"),
        ("provided: sk-...abcd.", "provided: ***."),
        ("at https://u:p@host.example/a/b?x=1#f now", "at https://host.example/a/b now"),
        ("at https://host.example/a/b?x=1 now", "at https://host.example/a/b now"),
        ("account org-e664b178c0f74d818f6b62f8<ak-f3t8pfk16fki11gzh6i1> at max", "account ***<***> at max"),
        ("in organization `org_01j2g5d88hfvjrgw64hnapqk8y` on TPM", "in organization `***` on TPM"),
    ],
)
def test_what_is_left(text: str, expected: str) -> None:
    """Only the credential goes; the sentence stays readable."""
    assert expected == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "However, you requested 1250025 tokens (1250025 in the messages, 0 in the completion). Please reduce them.",
        "Unsupported parameter: 'stop' is not supported with this model.",
        "Unknown key: messages.0.content must be a string",
        "tool call validation failed: parameters for tool add did not match schema: errors: [`/a`: expected integer]",
        "You can find your API key at https://platform.example/account/api-keys.",
        "max_tokens=100000 is too large; max_completion_tokens: 128000",
        "Missing key 'name' in object",
        "Invalid token: 'abc' at position 5",
        "Bearer authentication is required",
        "Basic information is missing",
        "prompt too long; exceeded max context length by 1119046 tokens (ref: 96164522-08b2-4cbf-886e-e5a38961a688)",
        "`inputs` tokens + `max_new_tokens` must be <= 4097",
        "no API key for model gpt-4o-mini",
        "The model `org/model-7b-instruct-v0.3` does not exist",
        "ask the risk-averse task-force",
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 204800]",
    ],
)
def test_words_stay(text: str) -> None:
    """A message without credentials is shown as it came."""
    assert text == redact(text)
    assert text == presentable(text)


def test_one_line_of_printable_characters() -> None:
    """Control characters and line ends become blanks, invisible ones nothing."""
    assert "a b c d" == presentable("\x00a\r\n\tb\x1b\x7fc\u2028d\n")
    assert "abc" == presentable("a\u202eb\u200bc")


@given(st.text(max_size=300))
def test_presentable_text_stays_presentable(text: str) -> None:
    """Nothing raises; there is no control character, and nothing is longer than allowed."""
    made = presentable(text, max_chars=100)
    assert len(made) <= 100
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in made)


def test_length() -> None:
    """A provider cannot fill our answers, with words or without any blank between."""
    assert "x" * MAX_CHARS == presentable("x" * 5_000)
    assert "x" * MAX_CHARS == presentable("x" * 50_000)
    assert MAX_CHARS == len(presentable("word " * 10_000))
