"""`headgate models` against a real gateway."""

from pathlib import Path

import orjson
from click.testing import CliRunner

from proxy.cli.models import models
from tests.support.gateway import ADMIN_KEY, config_for, running


def test_models(tmp_path: Path) -> None:
    """A line for each backend; JSON has all that the catalogue says of it. What cannot be reached is left out."""
    here = {"provider": "scripted", "model": "m", "region": "eu", "data_policy": "zdr"}
    config = {
        **config_for("http://127.0.0.1:9/v1"),
        "models": [
            {
                "id": "small",
                "backends": [
                    here,
                    {"provider": "scripted", "model": "n"},
                    {"provider": "keyless", "model": "m"},
                ],
                "price": {"input": 0.25, "output": 2, "cache_read": 0.025, "per_request_usd": 0.001},
                "context_tokens": 1000,
                "can": ["tools"],
                "quality": {"other": 60},
            }
        ],
        "tiers": {"frugal": {"models": ["small"]}},
    }
    config["providers"]["keyless"] = {
        "adapter": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "env:NOT_SET"
    }  # fmt: skip
    environ = {"HEADGATE_ADMIN_KEY": ADMIN_KEY}
    with running(tmp_path, config) as gateway:
        shown = CliRunner().invoke(models, ["--url", gateway.base], env=environ)
        found = CliRunner().invoke(models, ["--url", gateway.base, "--json"], env=environ)
    assert (
        "MODEL  BACKEND     REGION  INPUT  OUTPUT  CONTEXT  TIERS\n"
        "small  scripted/m  eu      0.25   2       1000     frugal\n"
        "small  scripted/n  -       0.25   2       1000     frugal\n"
    ) == shown.stdout
    (row,) = orjson.loads(found.stdout)["data"]
    price = {"input": 0.25, "output": 2.0, "cache_read": 0.025, "per_request_usd": 0.001}
    assert {
        "id": "scripted/m",
        "provider": "scripted",
        "region": "eu",
        "data_policy": "zdr",
        "quantization": None,
        "price": price,
    } == row["backends"][0]
    assert (["frugal"], ["tools"], {"other": 60.0}) == (row["tiers"], row["can"], row["quality"])
