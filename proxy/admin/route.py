"""How a request would be routed, asked by an administrator: nothing is sent, admitted or kept."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from providers.clients.openai_chat import OpenAIChat
from providers.types import RequestError
from proxy.admin.answers import answer
from proxy.admin.reading import MAX_BODY_BYTES, read_query
from proxy.exchange.choice.choosing import Asking, Budget, Choosing
from proxy.exchange.choice.judging import Judge
from proxy.exchange.errors import Refused
from proxy.http.body import read_json_body
from proxy.routing.explain import explained
from proxy.routing.replay import plan_inputs_of
from proxy.routing.types import UNDECIDED
from ratelimit.subjects.directory import Directory
from ratelimit.subjects.records import subject_of
from ratelimit.subjects.types import Key, Subject

ADMINISTRATOR: Final = "-administrator"
"""Whom a request is from that names neither customer nor key: nothing limits it."""

_CLIENT: Final = OpenAIChat()


class RouteDesk:
    """Its endpoint."""

    def __init__(self, choosing: Choosing, judge: Judge, directory: Directory) -> None:
        self._choosing = choosing
        self._judge = judge
        self._directory = directory

    async def explain(self, request: Request) -> Response:
        """The plan of a chat request, told. It stands in no conversation, and no micro-classifier is asked."""
        asked = read_query(request, ("customer", "key"))
        body = await read_json_body(request.scope, request.receive, max_bytes=MAX_BODY_BYTES)
        try:
            parsed = _CLIENT.parse(body)
        except RequestError as problem:
            raise Refused(problem.code, problem.message, param=problem.param) from None
        subject = await self._subject(asked.get("customer"), asked.get("key"))
        dollars = subject is not None and any(
            limit.startswith("usd_") for scope in subject.scopes for limit in scope.limits
        )
        asking = Asking(
            parsed,
            _CLIENT.operation,
            subject,
            "explain",
            self._choosing.wishes(parsed),
            Budget(dollars),
            ADMINISTRATOR,
        )
        mode = self._choosing.mode(asking)
        verdict = UNDECIDED
        if mode is not None:
            verdict = self._judge.of(mode, self._choosing.catalogue.modes[mode], parsed.members).verdict
        plan = self._choosing.choose(asking, verdict)
        return answer(request, {**explained(plan), "inputs": plan_inputs_of(plan)})

    async def _subject(self, customer_id: str | None, key_id: str | None) -> Subject | None:
        if key_id is not None:
            key = await self._directory.get_key(key_id)
            if customer_id is not None and key.customer != customer_id:
                raise Refused("not_found", f"customer `{customer_id}` has no key `{key_id}`", param="key")
            return subject_of(key, await self._directory.get_customer(key.customer))
        if customer_id is None:
            return None
        customer = await self._directory.get_customer(customer_id)
        return subject_of(_any_key(customer_id), customer)


def _any_key(customer_id: str) -> Key:
    """A key that adds nothing to what its customer may do."""
    return Key(
        "-any", customer_id, "", {}, None, None, disabled=False, managed="api", created_at="", digest=""
    )
