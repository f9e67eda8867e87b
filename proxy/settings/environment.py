"""Which environment variables mean what. The environment itself is an argument everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.settings.problems import Problem
from proxy.settings.schema import Provider
from proxy.settings.secrets import OWN_KEY_PREFIX, Secret
from proxy.settings.validation import validate

CONFIG_VARIABLE: Final = "HEADGATE_CONFIG"
ADMIN_KEY_VARIABLE: Final = "HEADGATE_ADMIN_KEY"
PORT_VARIABLE: Final = "HEADGATE_PORT"

# Variable -> the key of the configuration it sets.
VARIABLES: Final[Mapping[str, str]] = {
    "HEADGATE_HOST": "server.host",
    PORT_VARIABLE: "server.port",
    "HEADGATE_REDIS_URL": "redis.url",
    "HEADGATE_LOG_LEVEL": "log.level",
}

# An admin key shorter than this can be guessed.
ADMIN_KEY_CHARACTERS: Final = 16

# Variable -> provider of the default configuration, which is also the name of its adapter.
KEY_VARIABLES: Final[Mapping[str, str]] = {
    "OPENAI_API_KEY": "openai",
    "ANTHROPIC_API_KEY": "anthropic",
    "GEMINI_API_KEY": "gemini",
    "OPENROUTER_API_KEY": "openrouter",
    "GROQ_API_KEY": "groq",
    "MISTRAL_API_KEY": "mistral",
    "DEEPSEEK_API_KEY": "deepseek",
    "DASHSCOPE_API_KEY": "dashscope",
    "XAI_API_KEY": "xai",
    "TOGETHER_API_KEY": "together",
    "FIREWORKS_API_KEY": "fireworks",
    "CEREBRAS_API_KEY": "cerebras",
    "PERPLEXITY_API_KEY": "perplexity",
    "MOONSHOT_API_KEY": "moonshot",
    "ZAI_API_KEY": "zai",
    "HF_TOKEN": "huggingface",
    "HUGGINGFACE_API_KEY": "huggingface",
    "COHERE_API_KEY": "cohere",
}
ADDRESS_VARIABLES: Final[Mapping[str, str]] = {"OLLAMA_BASE_URL": "ollama", "VLLM_BASE_URL": "vllm"}

SANDBOX: Final = "sandbox"


@dataclass(frozen=True, slots=True)
class Override:
    """A value from outside the file.

    Attributes:
        path: the dotted key it sets.
        origin: the variable, or words for the command line; shown when the value is refused.
    """

    path: str
    value: str | int
    origin: str


def overrides(environ: Mapping[str, str]) -> tuple[list[Override], list[Problem], list[Problem]]:
    """What the environment sets, the problems in it, and warnings. An empty variable counts as unset."""
    found: list[Override] = []
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for variable, path in VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        if variable != PORT_VARIABLE:
            found.append(Override(path, text, variable))
        elif text.isdecimal() and text.isascii():
            found.append(Override(path, int(text[:6]), variable))
        elif text.startswith("tcp://"):
            # Kubernetes puts this into every Pod beside a Service called `headgate`.
            warnings.append(Problem(variable, "ignored: Kubernetes' address of a Service, not a port"))
        else:
            problems.append(Problem(variable, "must be a whole number"))
    return found, problems, warnings


def admin_key(environ: Mapping[str, str]) -> tuple[Secret | None, list[Problem]]:
    """The administrator's key, if one is set, and a warning where it is easily guessed."""
    text = environ.get(ADMIN_KEY_VARIABLE, "").strip()
    if not text:
        return None, []
    if len(text) < ADMIN_KEY_CHARACTERS:
        return Secret(text), [
            Problem(ADMIN_KEY_VARIABLE, f"has fewer than {ADMIN_KEY_CHARACTERS} characters")
        ]
    return Secret(text), []


def default_providers(environ: Mapping[str, str]) -> tuple[dict[str, Provider], list[Problem]]:
    """The providers of a configuration that names none: one for each variable set, and the sandbox."""
    providers: dict[str, Provider] = {}
    warnings: list[Problem] = []
    for variable, name in KEY_VARIABLES.items():
        text = environ.get(variable, "").strip()
        if text.startswith(OWN_KEY_PREFIX):
            warnings.append(
                Problem(variable, f"ignored: a key that starts {OWN_KEY_PREFIX} is Headgate's own")
            )
        elif text and name not in providers:
            providers[name] = Provider(adapter=name, api_key=f"env:{variable}")
    for variable, name in ADDRESS_VARIABLES.items():
        address = environ.get(variable, "").strip()
        if not address:
            continue
        values: dict[str, Any] = {"adapter": name, "base_url": address}
        provider, problems = validate(Provider, values)
        if provider is not None:
            providers[name] = provider
        warnings.extend(Problem(variable, f"ignored: {problem.message}") for problem in problems)
    providers[SANDBOX] = Provider(adapter=SANDBOX)
    return providers, warnings
