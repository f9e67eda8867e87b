"""What administrators are shown, as types: the answers' side of the API's description, here of the gateway itself."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from proxy.settings.section import Section

_WRONG: Final[dict[str, Any]] = {"path": "models[0].price.input", "message": "must be >= 0"}


class OpenApiDocument(BaseModel):
    """The description itself."""

    model_config = ConfigDict(extra="allow")

    openapi: str


class StoreAccepted(Section):
    """`accepted` is false when the store was in use already."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"accepted": True}]})

    accepted: bool


class ConfigurationProblem(Section):
    """`path`: where in the configuration."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WRONG]})

    path: str
    message: str


class ReloadAnswer(Section):
    """`changed`: paths of what is served otherwise now; `needs_restart`: of what stays as it is until one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "changed": ["providers.openai (secret)", "models.gpt-5-mini.price.input"],
                    "needs_restart": ["server.port"],
                    "warnings": [],
                }
            ]
        }
    )

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    warnings: tuple[ConfigurationProblem, ...]


class ErrorFacts(Section):
    """`param`: the path of the member or the parameter at fault; `problems`: of a configuration."""

    message: str
    type: str
    param: str | None
    code: str
    source: Literal["gateway"]
    request_id: str
    problems: tuple[ConfigurationProblem, ...] = ()


class ErrorBlock(Section):
    attempts: tuple[Any, ...] = Field(max_length=0)


class ErrorAnswer(Section):
    """Why it was not done; `message` names every problem."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": 'limits.usd_per_dy: unknown member; did you mean "usd_per_day"?',
                        "type": "invalid_request_error",
                        "param": "limits.usd_per_dy",
                        "code": "invalid_request",
                        "source": "gateway",
                        "request_id": "req-0123456789abcdef01234567",
                    },
                    "headgate": {"attempts": []},
                }
            ]
        }
    )

    error: ErrorFacts
    headgate: ErrorBlock
