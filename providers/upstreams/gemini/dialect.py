"""Gemini's generateContent, as an upstream: requests out; answers, streams and errors in.

Google offers it at two places: the Gemini API (ai.google.dev/api, a key) and Vertex AI (cloud.google.com/vertex-ai,
a token, a project and a location). Both seen November 2026, with recorded exchanges of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self
from urllib.parse import quote

import orjson

from providers import events
from providers.types import Canonical, RequestError, UpstreamError, UpstreamRequest
from providers.upstreams.failures import Rule, classify
from providers.upstreams.gemini import requests
from providers.upstreams.gemini.answers import Answer, Decoder

_VERSIONS: Final = ("/v1", "/v1beta", "/v1alpha", "/v1beta1")


def versioned(base_url: str, version: str) -> str:
    """What paths begin with: the version, unless the base URL ends in one."""
    return "" if base_url.endswith(_VERSIONS) else f"/{version}"


def gemini_models(base_url: str) -> str:
    """Where the Gemini API keeps its models, behind a base URL."""
    return f"{versioned(base_url, 'v1beta')}/models/"


def vertex_models(base_url: str, project: str | None, location: str | None) -> str:
    """Where Vertex AI keeps Google's models, behind a base URL; without a project, as its express mode has them."""
    place = ""
    if project:
        place = f"/projects/{quote(project, safe='')}/locations/{quote(location or 'global', safe='')}"
    return f"{versioned(base_url, 'v1')}{place}/publishers/google/models/"


def vertex_host(location: str) -> str:
    """The base URL of a location of Vertex AI (page "locations", November 2026): `global`, `us`, `eu`, or a region."""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def path_of(models: str, model: str, method: str) -> str:
    """The path of a method. `models/` and `google/` before a model's name say what the path says anyway."""
    return f"{models}{quote(model.removeprefix('models/').removeprefix('google/'), safe='@')}:{method}"


@dataclass(frozen=True, slots=True)
class Gemini:
    """The dialect at one of its places.

    Attributes:
        models: what paths begin with, up to the model's name.
        call_ids: function calls have ids there; Vertex AI gives none, and its first version knows none.
        failures: what errors mean where their status misleads.
    """

    speaks: ClassVar[str] = "gemini"

    models: str = "/v1beta/models/"
    call_ids: bool = True
    failures: tuple[Rule, ...] = ()

    @classmethod
    def at(cls, base_url: str) -> Self:
        """The Gemini API behind a base URL."""
        return cls(models=gemini_models(base_url))

    @classmethod
    def at_vertex(cls, base_url: str, project: str | None, location: str | None) -> Self:
        """Vertex AI behind a base URL."""
        return cls(models=vertex_models(base_url, project, location), call_ids=False)

    def encode(self, request: Canonical, model: str) -> UpstreamRequest:
        """Google's request; that a stream is wanted stands in the path.

        Raises:
            RequestError: something in the client's request has the wrong type or no meaning.
        """
        made = requests.body(request, model, call_ids=self.call_ids)
        method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        try:
            body = orjson.dumps(made)
        except orjson.JSONEncodeError:
            raise RequestError("the request is nested too deeply to be passed on") from None
        return UpstreamRequest(path_of(self.models, model, method), body)

    def lacks(self, request: Canonical, model: str = "") -> tuple[str, ...]:
        """What this request needs and Gemini does not have, by path.

        Args:
            model: the provider's name of it; without one, only what no model has.
        """
        return tuple(dict.fromkeys(requests.lacking(request, model)))

    def drops(self, request: Canonical) -> tuple[str, ...]:
        """What is left out, because the answer is the same without it."""
        return tuple(requests.dropping(request))

    def read(self, body: bytes) -> Sequence[events.Event]:
        """A plain answer as events."""
        return Answer(self.failures).whole(body)

    def decoder(self) -> Decoder:
        """Events of a stream."""
        return Decoder(self.failures)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_epoch_s: float
    ) -> UpstreamError:
        """An answer whose status is not 200, in one form."""
        return classify(status, headers, body, now_epoch_s=now_epoch_s, rules=self.failures)
