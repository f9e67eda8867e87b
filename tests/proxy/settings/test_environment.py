"""What the environment sets and adds."""

import pytest

from proxy.settings.environment import (
    KEY_VARIABLES,
    Override,
    admin_key,
    default_providers,
    overrides,
)
from proxy.settings.problems import Problem


def test_each_variable_sets_its_key() -> None:
    """A port becomes a number; an empty variable counts as unset."""
    environ = {
        "HEADGATE_HOST": "0.0.0.0",
        "HEADGATE_PORT": "9000",
        "HEADGATE_REDIS_URL": "redis://a",
        "HEADGATE_LOG_LEVEL": " ",
    }
    expected = [
        Override("server.host", "0.0.0.0", "HEADGATE_HOST"),
        Override("server.port", 9000, "HEADGATE_PORT"),
        Override("redis.url", "redis://a", "HEADGATE_REDIS_URL"),
    ]
    assert (expected, [], []) == overrides(environ)


def test_a_port_that_is_no_number_is_a_problem() -> None:
    """It is never silently replaced by the default."""
    assert ([], [Problem("HEADGATE_PORT", "must be a whole number")], []) == overrides(
        {"HEADGATE_PORT": "web"}
    )


def test_the_port_that_kubernetes_injects_is_ignored_with_a_warning() -> None:
    """A Service called `headgate` must not keep the Pods beside it from starting."""
    found, problems, warnings = overrides({"HEADGATE_PORT": "tcp://10.0.0.1:8080"})
    assert ([], []) == (found, problems)
    assert ["HEADGATE_PORT"] == [warning.path for warning in warnings]


def test_an_admin_key_is_hidden_and_a_short_one_warned_of() -> None:
    """The warning does not repeat it."""
    assert (None, []) == admin_key({"HEADGATE_ADMIN_KEY": ""})
    key, warnings = admin_key({"HEADGATE_ADMIN_KEY": "test-admin"})
    assert key is not None
    assert "test-admin" == key.reveal()
    assert ["HEADGATE_ADMIN_KEY: has fewer than 16 characters"] == [str(each) for each in warnings]
    assert [] == admin_key({"HEADGATE_ADMIN_KEY": "test-admin-0001-abcdef"})[1]


@pytest.mark.parametrize(("variable", "name"), KEY_VARIABLES.items())
def test_a_key_adds_its_provider(variable: str, name: str) -> None:
    """Named like its adapter; the key itself stays in the environment."""
    providers, warnings = default_providers({variable: "test-key-0001-abcdef"})
    assert [name, "sandbox"] == list(providers)
    assert (name, f"env:{variable}") == (providers[name].adapter, providers[name].api_key)
    assert [] == warnings


@pytest.mark.parametrize(("variable", "name"), [("OLLAMA_BASE_URL", "ollama"), ("VLLM_BASE_URL", "vllm")])
def test_an_address_adds_its_provider(variable: str, name: str) -> None:
    """Without a key."""
    providers, warnings = default_providers({variable: "http://10.0.0.5:8000/v1/"})
    assert ("http://10.0.0.5:8000/v1", None) == (providers[name].base_url, providers[name].api_key)
    assert [] == warnings


def test_an_address_that_is_none_is_ignored_with_a_warning() -> None:
    """The sandbox starts all the same."""
    providers, warnings = default_providers({"OLLAMA_BASE_URL": "localhost:11434"})
    assert ["sandbox"] == list(providers)
    assert ["OLLAMA_BASE_URL"] == [warning.path for warning in warnings]


def test_headgates_own_keys_are_never_a_providers() -> None:
    """Machines where clients of Headgate run have them in OPENAI_API_KEY."""
    providers, warnings = default_providers({"OPENAI_API_KEY": "sk-hg-test-0001"})
    assert ["sandbox"] == list(providers)
    assert ["OPENAI_API_KEY: ignored: a key that starts sk-hg- is Headgate's own"] == [
        str(w) for w in warnings
    ]
