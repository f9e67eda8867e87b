"""What a user of pydantic-ai sees through the gateway; `OpenAIChatModel` with `OpenAIProvider(base_url=…)`."""

from collections.abc import AsyncIterable, Awaitable
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel, Field
from pydantic_ai import Agent, BinaryContent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ThinkingPart
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openrouter import OpenRouterProvider

from tests.clients.cases import KEY, LIMITED_KEY, PIXEL, QUESTION, TOLD, URL, Cases

QUICK = OpenAIChatModelSettings(extra_body={"sandbox": {"pace_ms": 1, "first_ms": 1}})
cases = Cases()


class Person(BaseModel):
    name: str
    age: int = Field(ge=18)
    nicknames: list[str]


def connect(name: str = "sandbox-small", path: str = "/v1", key: str = KEY) -> OpenAIChatModel:
    provider = OpenAIProvider(base_url=URL + path, api_key=key)
    # The package's own retries would hide what the gateway answered.
    provider.client.max_retries = 0
    return OpenAIChatModel(name, provider=provider, settings=QUICK)


def connect_openrouter(name: str = "acme/small") -> OpenRouterModel:
    client = AsyncOpenAI(base_url=f"{URL}/api/v1", api_key=KEY, max_retries=0)
    return OpenRouterModel(name, provider=OpenRouterProvider(openai_client=client), settings=QUICK)


def told(response: ModelResponse) -> dict[str, Any]:
    """A response as its user reads it."""
    return {
        "text": "".join(part.content for part in response.parts if isinstance(part, TextPart)),
        "thoughts": "".join(part.content for part in response.parts if isinstance(part, ThinkingPart)),
        "input_tokens": response.usage.input_tokens,
        "output_tokens": response.usage.output_tokens,
        "details": response.usage.details,
        "finish": response.finish_reason,
        "model": response.model_name,
        "id": response.provider_response_id,
        "provider_details": {
            name: value for name, value in (response.provider_details or {}).items() if name != "timestamp"
        },
    }


def last(messages: list[ModelMessage]) -> ModelResponse:
    response = messages[-1]
    assert isinstance(response, ModelResponse)
    return response


async def error_of(call: Awaitable[Any]) -> dict[str, Any]:
    """The error a call ends with; a call that succeeds is a failure."""
    try:
        await call
    except ModelHTTPError as error:
        return {"name": "ModelHTTPError", "status": error.status_code, "body": error.body}
    except ModelAPIError as error:
        return {"name": type(error).__name__, "message": str(error)}
    raise AssertionError("no error was raised")


async def plain(model: Model) -> dict[str, Any]:
    return told(last((await Agent(model).run(TOLD)).all_messages()))


async def streamed(model: Model, prompt: str = TOLD) -> dict[str, Any]:
    async with Agent(model).run_stream(prompt) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        return {"pieces": pieces, **told(last(result.all_messages()))}


def toolbox() -> tuple[list[Any], list[Any]]:
    """Two functions, and what they are called with."""
    called: list[Any] = []

    def get_weather(city: str, days: int) -> str:
        """The weather of a city."""
        called.append(["get_weather", {"city": city, "days": days}])
        return "drizzle-in-paris"

    def read_clock(zone: str) -> str:
        """The time of day."""
        called.append(["read_clock", {"zone": zone}])
        return "half-past-nine"

    return [get_weather, read_clock], called


async def tools() -> dict[str, Any]:
    functions, called = toolbox()
    result = await Agent(connect(), tools=functions).run(QUESTION)
    usage = result.usage
    return {"called": called, "text": result.output, "requests": usage.requests, "calls": usage.tool_calls}


async def tools_streamed() -> dict[str, Any]:
    functions, called = toolbox()
    kinds: list[str] = []

    async def note(_: Any, events: AsyncIterable[Any]) -> None:
        kinds.extend([type(event).__name__ async for event in events])

    result = await Agent(connect(), tools=functions).run(QUESTION, event_stream_handler=note)
    return {"called": called, "text": result.output, "kinds": sorted(set(kinds))}


async def structured(output: Any) -> dict[str, Any]:
    agent: Agent[None, Person] = Agent(connect("sandbox-large"), output_type=output)
    result = await agent.run("Describe a person")
    return {"person": result.output.model_dump(), "requests": result.usage.requests}


async def structured_streamed() -> dict[str, Any]:
    agent: Agent[None, Person] = Agent(connect("sandbox-large"), output_type=NativeOutput(Person))
    async with agent.run_stream("Describe a person") as result:
        partial = [each.model_dump() async for each in result.stream_output(debounce_by=None)]
        return {"partial": len(partial), "person": (await result.get_output()).model_dump()}


async def conversation() -> dict[str, Any]:
    agent = Agent(connect(), instructions="Be brief.")
    first = await agent.run("Hello there")
    second = await agent.run("And again", message_history=first.all_messages())
    return {"roles": [message.kind for message in second.all_messages()], "text": second.output}


async def image() -> dict[str, Any]:
    shown = await Agent(connect()).run(
        ["What is in this image?", BinaryContent(data=PIXEL, media_type="image/png")]
    )
    words = await Agent(connect()).run(["What is in this image?"])
    return {"text": shown.output, "shown": shown.usage.input_tokens, "words": words.usage.input_tokens}


async def no_reasoning() -> dict[str, Any]:
    settings = OpenAIChatModelSettings(openai_reasoning_effort="none", **QUICK)
    agent = Agent(connect("sandbox-reasoning"), model_settings=settings)
    return told(last((await agent.run("Why is the sky blue?")).all_messages()))


async def limit() -> dict[str, Any]:
    settings = OpenAIChatModelSettings(max_tokens=3, **QUICK)
    return told(last((await Agent(connect(), model_settings=settings).run(TOLD)).all_messages()))


async def rate_limit() -> dict[str, Any]:
    agent = Agent(connect(key=LIMITED_KEY))
    first = await agent.run(TOLD)
    return {"text": first.output, "error": await error_of(agent.run(TOLD))}


async def broken_stream(model: Model) -> dict[str, Any]:
    got: list[str] = []

    async def read() -> None:
        async with Agent(model).run_stream(TOLD) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                got.append(piece)  # noqa: PERF401 - a comprehension would lose what came before the error

    error = await error_of(read())
    return {"got": got, "error": error}


cases.add("plain /v1", lambda: plain(connect()))
cases.add("plain /api/v1", lambda: plain(connect(path="/api/v1")))
cases.add("stream", lambda: streamed(connect()))
cases.add("tools", tools)
cases.add("tools, streamed", tools_streamed)
cases.add("structured by tool", lambda: structured(ToolOutput(Person)))
cases.add("structured by schema", lambda: structured(NativeOutput(Person)))
cases.add("structured by schema, streamed", structured_streamed)
cases.add("conversation", conversation)
cases.add("image", image)
cases.add("reasoning", lambda: streamed(connect("sandbox-reasoning"), "Why is the sky blue?"))
cases.add("no reasoning", no_reasoning)
cases.add("output limit", limit)
cases.add("failover", lambda: streamed(connect("unlucky")))
cases.add("broken stream", lambda: broken_stream(connect("breaking")))
cases.add("openrouter", lambda: plain(connect_openrouter()))
cases.add("openrouter, streamed", lambda: streamed(connect_openrouter()))
cases.add("openrouter, broken stream", lambda: broken_stream(connect_openrouter("acme/breaking")))
cases.add("openrouter, unknown model", lambda: error_of(Agent(connect_openrouter("acme/smal")).run(TOLD)))
cases.add("wrong key", lambda: error_of(Agent(connect(key="test-key-0003-nobody")).run(TOLD)))
cases.add("unknown model", lambda: error_of(Agent(connect("sandbox-smal")).run(TOLD)))
cases.add("busy", lambda: error_of(Agent(connect("busy")).run(TOLD)))
cases.add("rate limit", rate_limit)
cases.run()
