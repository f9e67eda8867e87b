"""Keys that a gateway makes for itself."""

from pathlib import Path

import pytest

from proxy.assembly.kept import kept
from proxy.settings.load import Loaded, load


def loaded(directory: Path, text: str) -> Loaded:
    path = directory / "headgate.yaml"
    path.write_text(f"server: {{data_dir: {directory / 'data'}}}\n{text}")
    environ = {"HEADGATE_ADMIN_KEY": "an-admin-key-of-this-test"}
    return load(path, environ=environ, flags={}, default_models=b"{models: [], tiers: {}}")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("", True),
        ("keys: [{id: web, customer: acme, secret: env:NOT_SET}]", False),
        (f"keys: [{{id: web, customer: acme, secret: 'sha256:{'a' * 64}'}}]", False),
    ],
    ids=["no key is configured", "a key whose secret is missing", "a key"],
)
def test_a_key_without_limits_is_made_only_where_none_is_configured(
    tmp_path: Path, text: str, *, made: bool
) -> None:
    """A secret that could not be read must not open the gateway to whoever reads its log."""
    assert made == (kept(loaded(tmp_path, text)).local_key is not None)
    assert made == (tmp_path / "data" / "local-key").exists()
