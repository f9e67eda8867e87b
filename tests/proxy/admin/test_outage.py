"""The store goes away."""

from tests.proxy.admin.serving import Caller, gateway
from tests.support.valkey import PrivateServer


async def test_store_is_away() -> None:
    """While the store is away every request is answered with 503 and when to try again; nothing is half done."""
    with PrivateServer() as server:
        async with gateway(server.url) as served:
            call = Caller(served.app)
            assert 201 == (await call("POST", "/admin/v1/customers", {"id": "acme"})).status
            server.kill()
            for method, path, body in (
                ("POST", "/admin/v1/customers", {"id": "bolt"}),
                ("GET", "/admin/v1/customers", None),
                ("PATCH", "/admin/v1/customers/acme", {"name": "x"}),
                ("DELETE", "/admin/v1/customers/acme", None),
                ("POST", "/admin/v1/keys", {"customer": "acme"}),
                ("GET", "/admin/v1/keys", None),
                ("POST", "/admin/v1/keys/key-0/rotate", None),
                ("PATCH", "/admin/v1/customers/acme", {"limits": {"in_flight": 1}}),
                ("GET", "/admin/v1/customers/acme/limits", None),
                ("GET", "/admin/v1/usage", None),
                ("GET", "/admin/v1/usage?customer=acme", None),
                ("GET", "/admin/v1/ledger", None),
                ("GET", "/admin/v1/ledger/lost", None),
                ("POST", "/admin/v1/ledger/reconcile", None),
                ("POST", "/admin/v1/ledger/release", {"customer": "acme", "all": True}),
            ):
                refused = await call(method, path, body)
                assert (503, "limits_unavailable", None) == refused.error
                assert "1" == refused.headers["retry-after"]
