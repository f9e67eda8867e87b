"""Bodies that are not JSON objects, and methods and paths that are not there."""

import pytest

from proxy.admin.reading import MAX_BODY_BYTES
from tests.proxy.admin.serving import Caller

CUSTOMERS = "/admin/v1/customers"


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"id": "acme"', b"{'id': 'acme'}", b'{"id": NaN}', b"\xff", b'{"a":"\\ud800"}']
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_not_json(call: Caller, method: str, raw: bytes) -> None:
    """A body that is not JSON is refused as such."""
    path = CUSTOMERS if method == "POST" else f"{CUSTOMERS}/acme"
    refused = await call(method, path, raw=raw)
    assert (400, "invalid_request", None) == refused.error
    assert refused.message.startswith("the body is not valid JSON: ")


@pytest.mark.parametrize("raw", [b"null", b"[]", b'"acme"', b"5"])
async def test_not_an_object(call: Caller, raw: bytes) -> None:
    """JSON that is no object is refused as such."""
    refused = await call("POST", CUSTOMERS, raw=raw)
    assert "the body must be a JSON object" == refused.message


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"id": "a", "id": "b"}', "id"),
        (b'{"id": "a", "i\\u0064" : "b"}', "id"),
        (b'{"id":"a","limits":{"usd_total":1,"in_flight":2,"usd_total":3}}', "limits.usd_total"),
        (b'{"id":"a","metadata":{"l":[{"x":1},{"y":{"z":1,"z":2}}]}}', "metadata.l.y.z"),
        (b'{"id":"a","metadata":{"a\\\\":1,"b":"\\"","a\\\\":2}}', 'metadata["a\\"]'),
    ],
)
async def test_named_twice(call: Caller, raw: bytes, path: str) -> None:
    """A member that stands twice in an object is refused wherever it is, however it is spelt."""
    refused = await call("POST", CUSTOMERS, raw=raw)
    assert (400, "invalid_request", path) == refused.error
    assert f"{path}: is given twice" == refused.message


async def test_same_names_in_different_places(call: Caller) -> None:
    """Names may be the same in different objects, and texts may look like members."""
    metadata = b'{"id":"id","l":[{"id":1},{"id":2},"id","id"],"m":{"id":{"id":1}}}'
    raw = b'{"id":"a","name":"{\\"id\\":1","metadata":' + metadata + b"}"
    made = await call("POST", CUSTOMERS, raw=raw)
    assert (201, {"id": "id", "l": [{"id": 1}, {"id": 2}, "id", "id"], "m": {"id": {"id": 1}}}) == (
        made.status,
        made.json["metadata"],
    )


async def test_too_large(call: Caller) -> None:
    """A body beyond the limit is refused."""
    refused = await call("POST", CUSTOMERS, raw=b" " * (MAX_BODY_BYTES + 1))
    assert (413, "request_too_large", None) == refused.error


async def test_content_type(call: Caller) -> None:
    """JSON is taken by its own content types alone; merge patches have one of their own."""
    form = Caller(call.app, headers={"content-type": "application/x-www-form-urlencoded"})
    assert (415, "unsupported_media_type", None) == (await form("POST", CUSTOMERS, raw=b"id=acme")).error
    await call("POST", CUSTOMERS, {"id": "acme"})
    merge = Caller(call.app, headers={"content-type": "application/merge-patch+json"})
    assert 200 == (await merge("PATCH", f"{CUSTOMERS}/acme", {"name": "x"})).status


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (CUSTOMERS, {"GET", "HEAD", "POST"}),
        (f"{CUSTOMERS}/acme", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/admin/v1/keys", {"GET", "HEAD", "POST"}),
        ("/admin/v1/keys/key-1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/admin/v1/keys/key-1/rotate", {"POST"}),
        ("/admin/v1/openapi.json", {"GET", "HEAD"}),
    ],
)
async def test_methods(call: Caller, path: str, allowed: set[str]) -> None:
    """A method that is not there is refused with all that are."""
    refused = await call("PUT", path, {})
    assert (405, "method_not_allowed", None) == refused.error
    assert allowed == set(refused.headers["allow"].split(", "))


async def test_head(call: Caller) -> None:
    """HEAD answers as GET does."""
    assert 200 == (await call("HEAD", CUSTOMERS)).status


async def test_other_paths(call: Caller) -> None:
    """There is nothing else."""
    assert (404, "not_found", None) == (await call("GET", "/admin/v1/nothing")).error
