"""Price lists of others: read in one form, or refused with the row named."""

from typing import Any

import orjson
import pytest

from proxy.routing.catalogue.offers import Malformed, Offer, read_offers, snapshot_line

LITELLM: dict[str, Any] = {
    "sample_spec": {"litellm_provider": "one of …", "input_cost_per_token": 0.0},
    "gpt-a": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_read_input_token_cost": 2.5e-07,
        "cache_creation_input_token_cost": 0.0,
        "input_cost_per_token_above_272k_tokens": 5e-06,
        "input_cost_per_token_above_272k_tokens_batches": 1e-06,
        "output_cost_per_token_above_272k_tokens": 2.25e-05,
        "deprecation_date": "2027-04-01",
    },
    "claude-a": {
        "litellm_provider": "anthropic",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 5e-06,
        "cache_creation_input_token_cost": 1.25e-06,
        "cache_creation_input_token_cost_above_1hr": 2e-06,
        "deprecation_date": "someday",
    },
    "gemini/g": {
        "litellm_provider": "gemini",
        "input_cost_per_token": 3e-07,
        "output_cost_per_token": 1e-06,
        "input_cost_per_audio_token": 1e-06,
    },
    "dashscope/q": {
        "litellm_provider": "dashscope",
        "tiered_pricing": [
            {"range": [0, 256000.0], "input_cost_per_token": 4e-07, "output_cost_per_token": 1.6e-06},
            {
                "range": [256000.0, 1000000.0],
                "input_cost_per_token": 1.2e-06,
                "output_cost_per_token": 4.8e-06,
            },
        ],
    },
    "mistral/embed": {"litellm_provider": "mistral", "mode": "embedding", "input_cost_per_token": 1e-07},
    "perplexity/sonar": {
        "litellm_provider": "perplexity",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.005},
    },
    "groq/unpriced": {"litellm_provider": "groq"},
    "elsewhere/m": {
        "litellm_provider": "elsewhere",
        "input_cost_per_token": 1.0,
        "output_cost_per_token": 1.0,
    },
}

MODELS_DEV_ROW: dict[str, Any] = {
    "provider": "google",
    "model": "g",
    "cost": {
        "input": 2.0,
        "output": 12,
        "cache_read": 0.2,
        "cache_write": 0.375,
        "input_audio": 1.0,
        "tiers": [{"tier": {"size": 200000}, "input": 4.0, "output": 18.0, "cache_read": 0.4}],
    },
}


def _prices(data: bytes) -> dict[str, Any]:
    offers = read_offers(data, "f")
    return {"/".join(place): offer.price.model_dump(exclude_defaults=True) for place, offer in offers.items()}


def test_litellm() -> None:
    """Steps, an hour's cache, sound, fees and ranges; what is not a standard price or not ours is left out."""
    expected = {
        "openai/gpt-a": {
            "input": 2.5,
            "output": 15.0,
            "cache_read": 0.25,
            "steps": ({"above_context_tokens": 272000, "input": 5.0, "output": 22.5},),
        },
        "anthropic/claude-a": {"input": 1.0, "output": 5.0, "cache_write": 1.25, "cache_write_1h": 2.0},
        "gemini/g": {"input": 0.3, "output": 1.0, "audio_input": 1.0},
        "dashscope/q": {
            "input": 0.4,
            "output": 1.6,
            "steps": ({"above_context_tokens": 256000, "input": 1.2, "output": 4.8},),
        },
        "mistral/embed": {"input": 0.1, "output": 0.0},
        "perplexity/sonar": {"input": 1.0, "output": 1.0, "per_request_usd": 0.005},
    }
    assert expected == _prices(orjson.dumps(LITELLM))


def test_litellms_days() -> None:
    """The day a model ends; words instead of one say nothing."""
    offers = read_offers(orjson.dumps(LITELLM), "f")
    assert "2027-04-01" == str(offers["openai", "gpt-a"].deprecated_on)
    assert offers["anthropic", "claude-a"].deprecated_on is None


def test_models_dev_in_both_forms() -> None:
    """Its API and its rows say the same; a fee below fresh input is no price of writing to a cache."""
    expected = {
        "gemini/g": {
            "input": 2.0,
            "output": 12.0,
            "cache_read": 0.2,
            "audio_input": 1.0,
            "steps": ({"above_context_tokens": 200000, "input": 4.0, "output": 18.0, "cache_read": 0.4},),
        }
    }
    free = {"provider": "google", "model": "image", "cost": None}
    rows = orjson.dumps(MODELS_DEV_ROW) + b"\n\n" + orjson.dumps(free) + b"\n"
    cost = {**MODELS_DEV_ROW["cost"]}
    (step,) = cost.pop("tiers")
    older = {"context_over_200k": {key: each for key, each in step.items() if key != "tier"}}
    assert expected == _prices(orjson.dumps({**MODELS_DEV_ROW, "cost": cost | older}))
    api = {"google": {"id": "google", "models": {"g": {"cost": MODELS_DEV_ROW["cost"]}, "image": {}}}}
    assert expected == _prices(rows)
    assert expected == _prices(orjson.dumps(api))


def test_a_snapshot_reads_as_it_was_written() -> None:
    """An offer survives its line."""
    (offer,) = read_offers(orjson.dumps(MODELS_DEV_ROW), "f").values()
    line = snapshot_line(Offer(offer.place, offer.price, "models.dev@2026"))
    (again,) = read_offers(line, "f").values()
    assert line == snapshot_line(again)
    assert "models.dev@2026" == again.source


def _row(**cost: Any) -> bytes:
    return orjson.dumps({"provider": "openai", "model": "m", "cost": cost})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "f: holds no price of a provider that Headgate knows"),
        (b"[1]", "f: is no list of prices"),
        (b'{"a": 1}', 'f, "a": must be an object'),
        (b'{"a": {"b": 1}}', "f: is neither models.dev's list nor LiteLLM's"),
        (_row(input=1, output=2) + b"\nnonsense", "f, line 2: is no JSON"),
        (_row(input=1, output=2) + b"\n[]", "f, line 2: must be an object"),
        (b'{"provider": "openai", "model": "m", "cost": {"input": NaN}}', "f, line 1: is no JSON"),
        (_row(input="1", output=2), 'f, line 1: `input` must be a number, not "1"'),
        (_row(input=True, output=2), "f, line 1: `input` must be a number, not true"),
        (_row(input=-1, output=2), "f, line 1: input: must be >= 0"),
        (_row(input=1), "f, line 1: output: required"),
        (_row(input=1, output=2, tiers=[{"input": 1}]), "f, line 1: `tiers` without a whole `tier.size`"),
        (
            _row(input=1, output=2, context_over_200k=5),
            "f, line 1: `tiers` must be a list, `context_over_200k`",
        ),
        (orjson.dumps({"provider": "openai", "cost": {}, "model": ""}), "f, line 1: `model` is missing"),
        (_row(input=1, output=2) + b"\n" + _row(input=1, output=3), "f, line 2: openai/m is there already"),
        (
            orjson.dumps({**LITELLM, "o1": {"litellm_provider": "openai", "input_cost_per_token": "x"}}),
            'f, "o1": `input_cost_per_token` must be a number',
        ),
        (orjson.dumps({"openai": {"models": {"m": 5}}}), 'f, "openai", "m": must be an object'),
    ],
)
def test_malformed(data: bytes, expected: str) -> None:
    """Refused whole; the message says where."""
    with pytest.raises(Malformed) as refused:
        read_offers(data, "f")
    assert str(refused.value).startswith(expected)
