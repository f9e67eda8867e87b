"""A mode's requests are classified: the verdict decides the tier, and the answer says so."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from tests.support.gateway import RunningGateway, running

COMMIT: list[Any] = [
    {"role": "user", "content": "Write a commit message for this change: renamed a variable."}
]
ARCHITECTURE: list[Any] = [
    {
        "role": "user",
        "content": "Design a multi-region event-sourced payment platform with exactly-once settlement, "
        "zero-downtime schema migration and tenant isolation. Compare the trade-offs of the "
        "consistency models and justify the failure handling.",
    }
]
MODELS = {"frugal": "small", "balanced": "middle", "premium": "large"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Three tiers with a model each, answered by the sandbox."""
    with running(tmp_path_factory.mktemp("classification"), configuration()) as process:
        yield process


def configuration() -> dict[str, Any]:
    prices = {"small": 0.1, "middle": 1.0, "large": 10.0}
    return {
        "providers": {"sandbox": {"adapter": "sandbox"}},
        "models": [
            {
                "id": name,
                "backends": [{"provider": "sandbox", "model": "sandbox-small"}],
                "price": {"input": price, "output": 2 * price},
                "quality": {"other": 80},
            }
            for name, price in prices.items()
        ],
        "tiers": {tier: {"models": [name]} for tier, name in MODELS.items()},
        "keys": [{"id": "test", "customer": "tester", "secret": "env:TEST_KEY"}],
        "routing": {
            "aliases": {"auto": "balanced"},
            "classifier": {
                "rules": [
                    {
                        "name": "house-style",
                        "pattern": r"\bhouse style\b",
                        "complexity": "complex",
                        "task_type": "code_review",
                        "example": "Is this in house style?",
                    }
                ]
            },
        },
    }


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=gateway.key, base_url=f"{gateway.base}/v1", max_retries=0, timeout=10.0
    ) as connected:
        yield connected


async def block_of(client: openai.AsyncOpenAI, model: str, messages: list[Any]) -> dict[str, Any]:
    """The `headgate` member of the last chunk."""
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model=model,
            messages=messages,
            stream=True,
            extra_body={"sandbox": {"pace_ms": 0, "first_ms": 0}},
        )
    ]
    block: dict[str, Any] = orjson.loads(chunks[-1].model_dump_json())["headgate"]
    return block


async def test_a_commit_message_is_frugal_and_an_architecture_premium(client: openai.AsyncOpenAI) -> None:
    """One name, two tiers; the last chunk says which rule or scorer decided."""
    commit = await block_of(client, "balanced", COMMIT)
    assert ("frugal", "small") == (commit["tier"], commit["model"])
    assert ("rules", "simple") == (commit["decision"]["source"], commit["decision"]["complexity"])
    assert commit["decision"]["rule"]
    assert not commit["decision"]["raised"]
    design = await block_of(client, "balanced", ARCHITECTURE)
    assert ("premium", "large") == (design["tier"], design["model"])
    assert "complex" == design["decision"]["complexity"]
    assert design["decision"]["source"] in {"rules", "scorer"}
    assert 0 < design["decision"]["confidence"] <= 1


@pytest.mark.parametrize("name", ["balanced", "headgate/balanced", "auto"])
async def test_every_name_of_a_mode_is_classified(client: openai.AsyncOpenAI, name: str) -> None:
    """Bare, prefixed or by alias."""
    assert "frugal" == (await block_of(client, name, COMMIT))["tier"]


@pytest.mark.parametrize("mode", ["frugal", "premium"])
async def test_a_direct_mode_has_one_tier(client: openai.AsyncOpenAI, mode: str) -> None:
    """Judged all the same, because kinds of task differ in which model is good."""
    for messages in (COMMIT, ARCHITECTURE):
        block = await block_of(client, mode, messages)
        assert mode == block["tier"]
        assert block["decision"]["source"] in {"rules", "scorer"}


async def test_a_named_model_is_not_judged(client: openai.AsyncOpenAI) -> None:
    """Nobody had to decide."""
    decision = (await block_of(client, "small", ARCHITECTURE))["decision"]
    assert "named" == decision["source"]
    assert decision["complexity"] is None


async def test_nothing_said_is_the_middle(client: openai.AsyncOpenAI) -> None:
    """No signal is undecided, never simple, and never raised."""
    block = await block_of(client, "balanced", [{"role": "user", "content": "??"}])
    assert ("balanced", "default") == (block["tier"], block["decision"]["source"])
    assert (0.0, False) == (block["decision"]["confidence"], block["decision"]["raised"])


async def test_own_rules_are_heard_first(client: openai.AsyncOpenAI) -> None:
    """The operator's word stands in the answer."""
    block = await block_of(
        client, "balanced", [{"role": "user", "content": "Commit message in HOUSE STYLE please"}]
    )
    assert ("premium", "house-style") == (block["tier"], block["decision"]["rule"])
    assert "code_review" == block["decision"]["task_type"]


def test_check_names_a_rule_that_misses_its_example(tmp_path: Path) -> None:
    """Found before a request is."""
    from click.testing import CliRunner

    from proxy.cli.main import main

    made = configuration()
    made["routing"]["classifier"]["rules"][0]["example"] = "Is this in our style?"
    made["keys"] = []
    path = tmp_path / "headgate.yaml"
    path.write_bytes(orjson.dumps(made))
    result = CliRunner().invoke(main, ["check", "--config", str(path), "--json"])
    assert 2 == result.exit_code
    (problem,) = orjson.loads(result.stdout)["problems"]
    assert "routing.classifier.rules[0].example" == problem["path"]
    assert "house-style" in problem["message"]
