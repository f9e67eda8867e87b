"""Where a provider's operations lie: what is appended to its base URL."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

Operation = Literal["chat/completions", "completions", "embeddings"]
"""As OpenAI spells its paths."""

# The newest dated version that is generally available (learn.microsoft.com/azure/ai-foundry/openai/reference,
# November 2026), and the one recorded exchanges with `/models` used.
AZURE_DEPLOYMENTS_VERSION: Final = "2024-10-21"
AZURE_MODELS_VERSION: Final = "2024-05-01-preview"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the paths of one provider are made.

    Attributes:
        deployments: the model stands in the path, as the name of a deployment.
        api_version: goes into the query; `None` where the provider needs none.
    """

    deployments: bool = False
    api_version: str | None = None

    def path_for(self, operation: Operation, model: str) -> str:
        """Path and query of an operation, to be appended to a base URL without a slash at its end."""
        if not self.deployments and self.api_version is None:  # nearly all
            return "/" + operation
        path = "/" + operation
        if self.deployments:
            path = f"/openai/deployments/{quote(model, safe='')}{path}"
        return path if self.api_version is None else f"{path}?api-version={quote(self.api_version, safe='')}"


DEFAULT: Final = Endpoint()


def azure(base_url: str, api_version: str | None) -> Endpoint:
    """The endpoint of a resource on Azure, by the end of its base URL.

    `https://NAME.openai.azure.com` has a path per deployment and a dated version. What ends in `/openai/v1` is called
    like OpenAI and needs no version (learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle). What ends in
    `/models` takes the model from the body, with a version of its own (recorded 2025). All seen November 2026.
    """
    if base_url.endswith("/openai/v1"):
        return Endpoint(api_version=api_version)
    if base_url.endswith("/models"):
        return Endpoint(api_version=api_version or AZURE_MODELS_VERSION)
    return Endpoint(deployments=True, api_version=api_version or AZURE_DEPLOYMENTS_VERSION)
