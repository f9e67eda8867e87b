"""AWS' signature, computed a second time after its specification, without botocore.

docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html, November 2026.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import pytest
from botocore.exceptions import CredentialRetrievalError

from providers.types import Canonical
from providers.upstreams.bedrock.dialect import BedrockConverse
from proxy.exchange.upstream.auth import sigv4
from proxy.exchange.upstream.auth.types import Credentials, Outgoing
from proxy.exchange.upstream.transport import make_target
from tests.support.foreign import asking

BASE: Final = "https://bedrock-runtime.eu-west-1.amazonaws.com"
HEADERS: Final = (("content-type", "application/json"),)
KEYS: Final = Credentials(
    access_key_id="test-access-key-0001", secret_access_key="test-secret-key-0001", region="eu-west-1"
)
TEMPORARY: Final = Credentials(
    access_key_id="test-access-key-0001",
    secret_access_key="test-secret-key-0001",
    session_token="test/session+token==",
    region="eu-west-1",
)
REQUEST: Final[Canonical] = asking([{"role": "user", "content": "Grüße"}])
MODELS: Final = (
    "us.anthropic.claude-sonnet-5",
    "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123",
)


def mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def authorization(outgoing: Outgoing, credentials: Credentials, signed: Mapping[str, str]) -> str:
    """The header, from the request as it is sent: each segment of its path is escaped once more."""
    address, moment = urlsplit(outgoing.url), signed["x-amz-date"]
    lines = {"host": address.netloc, **dict(outgoing.headers), **signed}
    names = sorted(name for name in lines if name != "authorization")
    canonical = "\n".join(
        (
            outgoing.method,
            "/".join(quote(segment, safe="-._~") for segment in address.path.split("/")),
            "",
            *(f"{name}:{lines[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(outgoing.body).hexdigest(),
        )
    )
    scope = f"{moment[:8]}/{credentials.region}/bedrock/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = mac(key, part)
    return (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={mac(key, to_sign).hex()}"
    )


def outgoing_to(model: str, base: str = BASE) -> Outgoing:
    made = BedrockConverse().encode(REQUEST, model)
    return Outgoing("POST", base + made.path, HEADERS, made.body)


@pytest.mark.parametrize("credentials", [KEYS, TEMPORARY], ids=["long-lived", "temporary"])
@pytest.mark.parametrize("model", MODELS)
def test_signatures(model: str, credentials: Credentials) -> None:
    """Path, headers, body and session token are signed as AWS will compute it from what it receives."""
    outgoing = outgoing_to(model)
    signed = dict(sigv4.headers(credentials, outgoing))
    assert authorization(outgoing, credentials, signed) == signed["authorization"]
    assert credentials.session_token == signed.get("x-amz-security-token")
    assert "content-type;host;x-amz-date" in signed["authorization"]
    assert not {"content-type", "host"} & signed.keys()


def test_another_port() -> None:
    """A port that is not the usual one is part of the signed host, as it is of the header."""
    outgoing = outgoing_to(MODELS[1], "http://127.0.0.1:8089")
    signed = dict(sigv4.headers(KEYS, outgoing))
    assert authorization(outgoing, KEYS, signed) == signed["authorization"]


@pytest.mark.parametrize("model", MODELS[1:])
async def test_the_signed_path_is_the_one_that_is_sent(model: str) -> None:
    """What leaves on the wire has the path that was signed, escapes and all."""
    outgoing = outgoing_to(model)
    target = make_target(outgoing.url, [])
    line = target.head.split(b"\r\n")[0].decode()
    assert f"POST {urlsplit(outgoing.url).path} HTTP/1.1" == line


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Iterator[None]:
    """An environment without any credentials of AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, f"{tmp_path}/none")
    sigv4._chain.cache_clear()
    yield
    sigv4._chain.cache_clear()


@pytest.mark.usefixtures("nobody")
def test_the_usual_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys in the configuration AWS' own places are asked, the environment first."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-access-key-0002")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret-key-0002")
    outgoing = outgoing_to(MODELS[0])
    signed = dict(sigv4.headers(Credentials(region="eu-west-1"), outgoing))
    found = Credentials(
        access_key_id="test-access-key-0002", secret_access_key="test-secret-key-0002", region="eu-west-1"
    )
    assert authorization(outgoing, found, signed) == signed["authorization"]


@pytest.mark.usefixtures("nobody")
def test_no_credentials_at_all() -> None:
    """Nobody has any: that is said, and nothing is sent unsigned."""
    with pytest.raises(LookupError):
        sigv4.headers(Credentials(region="eu-west-1"), outgoing_to(MODELS[0]))


def test_credentials_that_cannot_be_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have run out and nobody gives new ones: the attempt fails, the gateway does not."""

    class RunOut:
        def get_frozen_credentials(self) -> None:
            raise CredentialRetrievalError(provider="test", error_msg="gone")

    monkeypatch.setattr(sigv4, "_chain", RunOut)
    with pytest.raises(LookupError, match="cannot be renewed"):
        sigv4.headers(Credentials(region="eu-west-1"), outgoing_to(MODELS[0]))
