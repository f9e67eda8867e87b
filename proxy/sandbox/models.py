"""Which model names there are, and what a request's `model` asks for: an answer, or a failure."""

from collections.abc import Collection

from proxy.sandbox import failures
from proxy.sandbox.failures import Failure
from proxy.sandbox.fields import Fields, RequestError

REASONING_MODEL = "sandbox-reasoning"
CHAT_MODELS = ("sandbox-small", "sandbox-large", REASONING_MODEL)
EMBEDDING_MODELS = ("sandbox-embed",)
MODELS = (*CHAT_MODELS, *EMBEDDING_MODELS)


def read(body: Fields, served: Collection[str], fail_header: str | None) -> tuple[str, Failure | None]:
    """The model named in `body`, and the failure asked for by that name or, where it asks for none, the header.

    Args:
        served: the names this endpoint answers to; every failing name is good for every endpoint.

    Raises:
        RequestError: no model, one that is not served, or a failure that does not exist.
    """
    model = body.text("model")
    if not model:
        raise RequestError("you must provide a model parameter", param="model")
    if model.startswith(failures.PREFIX):
        return model, failures.of_model(model)
    if model not in served:
        raise _elsewhere(model, served) if model in MODELS else no_such_model(model)
    return model, None if fail_header is None else failures.of_header(fail_header)


def no_such_model(name: str) -> RequestError:
    return RequestError(
        f"The model `{name}` does not exist or you do not have access to it.",
        code="model_not_found",
        status=404,
    )


def _elsewhere(name: str, served: Collection[str]) -> RequestError:
    known = ", ".join(f"`{model}`" for model in served)
    return RequestError(
        f"The model `{name}` is not for this endpoint, which serves {known}.",
        param="model",
        code="model_not_found",
        status=404,
    )
