"""From a request to its plan: facts and wishes read, the moment frozen, the policy asked, its refusals worded."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from functools import partial
from typing import Final, NamedTuple, Protocol

from providers.endpoints import Operation
from providers.types import Canonical, RequestError
from proxy.exchange.choice.needs import needs_of
from proxy.exchange.errors import Refused
from proxy.exchange.money.bounds import longest_answer, measure, predicted_tokens
from proxy.exchange.upstream.backends import Providers
from proxy.routing.catalogue.types import Backend, Catalogue
from proxy.routing.filters import listed, within
from proxy.routing.names import admitted, meant, mode_asked
from proxy.routing.plans import Plan
from proxy.routing.policy import Policy
from proxy.routing.replay import Inputs
from proxy.routing.snapshot import NOBODY, Barred, Conditions, Settled, Snapshot, Warm
from proxy.routing.types import TAKES_ALL, UNDECIDED, AllowLists, Facts, Lacks, Priority, Unroutable, Verdict
from proxy.routing.wishes import NONE, WishError, Wishes, parse_wishes
from ratelimit.subjects.types import Subject

_PATH: Final = re.compile(r"[.\[]")
_WISHING: Final = frozenset({"models", "provider", "headgate"})
_ALL_NAMES: Final = (None, None)
_UNPRICED: Final = (
    "no backend with a known price serves this model, so that a key with a limit in dollars cannot use it"
)
_PRIORITIES: Final[Mapping[str, Priority]] = {"low": "low", "normal": "normal", "high": "high"}


class Log(Protocol):
    """A structured logger."""

    def error(self, event: str, **fields: object) -> object: ...


class Budget(NamedTuple):
    """What a subject's dollars allow.

    Attributes:
        dollars: there is a limit in dollars.
        spendable_microusd: what is left of it; `None`: only admission knows.
        lower: a soft limit is reached, and the customer goes down one tier then.
    """

    dollars: bool = False
    spendable_microusd: int | None = None
    lower: bool = False


NO_BUDGET: Final = Budget()


class Asking(NamedTuple):
    """A request on its way to a plan.

    Attributes:
        subject: `None` for a question of the gateway's own, which no list of names limits.
        customer_id, customer_regions: whom such a question is about.
    """

    request: Canonical
    operation: Operation
    subject: Subject | None
    request_id: str
    wishes: Wishes = NONE
    budget: Budget = NO_BUDGET
    customer_id: str = ""
    customer_regions: tuple[str, ...] = ()

    @property
    def regions(self) -> tuple[str, ...]:
        """Where it may be answered, in lower case; none means anywhere."""
        return self.customer_regions if self.subject is None else self.subject.regions

    @property
    def allow_lists(self) -> AllowLists:
        """A name must be in each."""
        return () if self.subject is None else allow_lists(self.subject)

    def under(self, budget: Budget) -> "Asking":
        """The same request with other money."""
        return self._replace(budget=budget)


class Conversation(NamedTuple):
    """What earlier requests of a conversation came to."""

    settled: Settled | None = None
    warm: Warm | None = None


NEW: Final = Conversation()

_UNKNOWN: Final = Conditions()


class Choosing:
    """Chooses for requests. One per process."""

    def __init__(
        self,
        catalogue: Catalogue,
        providers: Providers,
        log: Log,
        *,
        default_output_tokens: int,
        today: Callable[[], date],
        conditions: Callable[[], Conditions] = lambda: _UNKNOWN,
        usable: Callable[[str, str, str | None], bool] | None = None,
    ) -> None:
        """
        Args:
            default_output_tokens: of an answer whose client names no limit.
            today: the day by UTC.
            conditions: of all backends at this moment.
            usable: whether a provider has a key for a customer and a tier (`None`: a named model); `None`: all have.
        """
        self.catalogue = catalogue
        self._policy = Policy(catalogue)
        self._providers = providers
        self._log = log
        self._default_output_tokens = default_output_tokens
        self._today = today
        self._conditions = conditions
        self._usable = usable
        self._backends = {
            backend.id: backend for model in catalogue.models.values() for backend in model.backends
        }
        self._passed_on = frozenset(
            name for name, each in providers.items() if getattr(each.dialect, "openrouter_members", False)
        )
        self._logged: set[str] = set()

    def wishes(self, request: Canonical) -> Wishes:
        """What the caller asks of the choice.

        Raises:
            Refused: a wish cannot be meant.
        """
        if _WISHING.isdisjoint(request.members):
            return NONE
        try:
            return parse_wishes(request.members)
        except WishError as problem:
            raise Refused("invalid_request", str(problem), param=problem.param) from None

    def mode(self, asking: Asking) -> str | None:
        """The mode that a request leaves the choice of a tier to; `None`: it names a model, a tier or nothing.

        Raises:
            Refused: the mode may not be asked for.
        """
        name = asking.request.model
        if asking.wishes.tier is not None or asking.operation == "embeddings":
            return None
        mode = mode_asked(name, self.catalogue)
        if mode is not None:
            try:
                admitted(name, asking.allow_lists, self.catalogue)
            except Unroutable as problem:
                raise _refused(problem, asking.request) from None
        return mode

    def names(self, request: Canonical, wishes: Wishes) -> tuple[str, ...]:
        """All that a request may be answered under: names as written, and what these stand for.

        Limits of single names count them, so that none is walked around by writing another.
        """
        found: dict[str, None] = {}
        for name in (request.model, *wishes.models):
            found[name] = None
            stands_for = meant(name, self.catalogue)
            if stands_for is not None:
                found[stands_for.model or stands_for.mode or name] = None
        if wishes.tier is not None:
            found[wishes.tier] = None
        return tuple(found)

    def choose(self, asking: Asking, verdict: Verdict = UNDECIDED, conversation: Conversation = NEW) -> Plan:
        """The plan of a request.

        Raises:
            Refused: a name is unknown or may not be used, or no backend can serve the request.
        """
        lacks = _Looked(partial(self._lacks, asking))
        facts = self._facts(asking, lacks)
        budget = asking.budget
        snapshot = Snapshot(
            self._conditions(),
            self._today(),
            self._barred(asking.customer_id if asking.subject is None else asking.subject.customer_id),
            budget.dollars,
            budget.spendable_microusd,
            budget.lower,
            conversation.settled,
            conversation.warm,
        )
        try:
            return self._policy.plan(facts, asking.wishes, verdict, snapshot)
        except Unroutable as problem:
            unreadable = lacks.unreadable
            if problem.code == "no_capable_backend" and unreadable is not None:
                raise Refused(unreadable.code, unreadable.message, param=unreadable.param) from None
            raise _refused(problem, asking.request) from None
        except Exception as fault:  # noqa: BLE001 - a better choice is a convenience: no fault of ours in it may fail a request
            return self._in_order(facts, asking.wishes, verdict, budget, fault)

    def replayed(self, inputs: Inputs) -> Plan:
        """The plan of a past request's inputs, with the catalogue of now.

        Raises:
            Unroutable: nothing can be tried any more.
        """
        return self._policy.plan(*inputs)

    def expected(self, asking: Asking, tier: str) -> Backend | None:
        """Who would answer in a tier; `None` where nobody there can."""
        try:
            plan = self.choose(asking, conversation=Conversation(Settled(tier)))
        except Refused:
            return None
        return plan.attempts[0].backend if plan.tier == tier else None

    def _facts(self, asking: Asking, lacks: Lacks) -> Facts:
        request, subject = asking.request, asking.subject
        needs = needs_of(request, asking.operation)
        most_tokens: int | None = None
        most_output_tokens = images = predicted = 0
        if asking.wishes.max_cost_microusd is not None or asking.budget.spendable_microusd is not None:
            prompt = measure(request)
            most_tokens, images = prompt.most_tokens, prompt.images
            predicted = predicted_tokens(request)
            longest = longest_answer(request) or self._default_output_tokens
            most_output_tokens = 0 if asking.operation == "embeddings" else request.choices * longest
        return Facts(
            request.model,
            asking.operation,
            asking.request_id,
            asking.allow_lists,
            "normal" if subject is None else _PRIORITIES.get(subject.priority, "normal"),
            needs.prompt_tokens,
            needs.least_prompt_tokens,
            most_tokens,
            request.output_limit_tokens,
            most_output_tokens,
            request.choices,
            needs.can,
            lacks,
            _Looked(partial(self._drops, asking)) if asking.wishes.require_parameters else TAKES_ALL,
            self._passed_on,
            images,
            predicted,
            asking.regions,
        )

    def _lacks(self, asking: Asking, backend_id: str) -> tuple[str, ...]:
        backend = self._backends[backend_id]
        dialect = self._providers[backend.provider].speaking(asking.operation)
        return (asking.operation,) if dialect is None else dialect.lacks(asking.request, backend.model)

    def _drops(self, asking: Asking, backend_id: str) -> tuple[str, ...]:
        dialect = self._providers[self._backends[backend_id].provider].speaking(asking.operation)
        return () if dialect is None else dialect.drops(asking.request)

    def _barred(self, customer_id: str) -> Barred:
        usable = self._usable
        if usable is None:
            return NOBODY
        return _BarredFor(
            lambda tier: frozenset(
                provider for provider in self._providers if not usable(provider, customer_id, tier or None)
            )
        )

    def _in_order(
        self, facts: Facts, wishes: Wishes, verdict: Verdict, budget: Budget, fault: Exception
    ) -> Plan:
        kind = type(fault).__name__
        if kind not in self._logged:
            self._logged.add(kind)
            self._log.error("the policy failed; such requests run in the catalogue's order", exc_info=fault)
        try:
            plan = self._policy.in_order(facts, verdict)
        except Unroutable as problem:
            raise Refused(problem.code, problem.message, param=problem.param) from None
        # What was promised of a prompt's whereabouts and of money holds whatever has failed.
        for regions in filter(None, (facts.regions, wishes.regions)):
            plan = plan._replace(
                attempts=tuple(each for each in plan.attempts if within(each.backend, regions))
            )
            if not plan.attempts:
                raise Refused(
                    "no_capable_backend", f"no backend is known to be in {listed(regions)}", param="model"
                )
        if not budget.dollars:
            return plan
        priced = tuple(each for each in plan.attempts if each.backend.price is not None)
        if not priced:
            raise Refused("no_capable_backend", _UNPRICED, param="model")
        return plan._replace(attempts=priced)


class _Looked(Lacks):
    """Filled when somebody looks. `unreadable`: what the last dialect could not read of the request."""

    __slots__ = ("_of", "unreadable")

    def __init__(self, of: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self._of = of
        self.unreadable: RequestError | None = None

    def __missing__(self, backend_id: str) -> tuple[str, ...]:
        try:
            found = self._of(backend_id)
        except RequestError as problem:  # a dialect that has to read more of it than others do
            self.unreadable, found = problem, (problem.param or "messages",)
        self[backend_id] = found
        return found


class _BarredFor(Barred):
    """Filled when somebody looks."""

    __slots__ = ("_of",)

    def __init__(self, of: Callable[[str], frozenset[str]]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, tier: str) -> frozenset[str]:
        found = self[tier] = self._of(tier)
        return found


def allow_lists(subject: Subject) -> AllowLists:
    """The lists a name must be in."""
    lists: Collection[tuple[str, ...] | None] = (subject.key_models, subject.customer_models)
    return () if lists == _ALL_NAMES else tuple(names for names in lists if names is not None)


def _refused(problem: Unroutable, request: Canonical) -> Refused:
    param = problem.param
    if param == "max_tokens" and param not in request.members:
        param = "max_completion_tokens"
    # What is in the way may be no member: then it is the model that should have been another one.
    if _PATH.split(param, maxsplit=1)[0] not in request.members:
        param = "model"
    return Refused(
        problem.code,
        problem.message,
        param=param,
        retry_after_s=1.0 if problem.code == "overloaded" else None,
    )
