// Drives a gateway through the `openai` package and prints what its user sees, one JSON object: case name to
// {"seen": …} or {"failed": stack}. It judges nothing; the Python test that starts it does.
// Environment: GATEWAY_BASE, GATEWAY_KEY, GATEWAY_LIMITED_KEY.

import OpenAI from "openai";

const { GATEWAY_BASE, GATEWAY_KEY, GATEWAY_LIMITED_KEY } = process.env;

const connect = (path = "/v1", apiKey = GATEWAY_KEY) =>
  new OpenAI({ baseURL: GATEWAY_BASE + path, apiKey, maxRetries: 0, timeout: 10_000 });
const client = connect();

const quick = { sandbox: { pace_ms: 1, first_ms: 1 } };
const hello = { messages: [{ role: "user", content: "Tell me about locks, please." }], ...quick };
const small = { model: "sandbox-small", ...hello };
const endless = { ...small, stream: true, sandbox: { pace_ms: 20, pieces: 20_000 } };
const withUsage = { stream: true, stream_options: { include_usage: true } };

const schema = {
  type: "object",
  properties: {
    name: { type: "string" },
    age: { type: "integer", minimum: 18 },
    nicknames: { type: "array", items: { type: "string" } },
  },
  required: ["name", "age", "nicknames"],
  additionalProperties: false,
};
const responseFormat = { type: "json_schema", json_schema: { name: "person", strict: true, schema } };

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer", minimum: 1 } },
      required: ["city", "days"],
      additionalProperties: false,
    },
  },
};
const clock = {
  type: "function",
  function: {
    name: "read_clock",
    parameters: { type: "object", properties: { zone: { type: "string" } }, required: ["zone"] },
  },
};
const question = { role: "user", content: "What is the weather in Paris and what does the clock say?" };

const pixel =
  "data:image/png;base64," +
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

async function chunksOf(openai, body) {
  const chunks = [];
  for await (const chunk of await openai.chat.completions.create(body)) chunks.push(chunk);
  return chunks;
}

async function plainOf(openai, body) {
  const { data, request_id: requestId } = await openai.chat.completions.create(body).withResponse();
  return { answer: data, requestId };
}

// The error a call ends with, as a program that catches it sees it; a call that succeeds is a failure.
async function errorOf(call) {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const { status, code, param, message, requestID: requestId, error: body } = error;
    const name = error.constructor.name;
    return { name, status, code, param, message, requestId, body, retryAfter: error.headers?.get("retry-after") };
  }
  throw new Error("no error was thrown");
}

async function tools() {
  const calls = [];
  const reasons = [];
  const body = { model: "sandbox-small", messages: [question], tools: [weather, clock], stream: true, ...quick };
  for await (const chunk of await client.chat.completions.create(body)) {
    const [choice] = chunk.choices;
    if (choice.finish_reason) reasons.push(choice.finish_reason);
    for (const part of choice.delta.tool_calls ?? []) {
      calls[part.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } };
      calls[part.index].id += part.id ?? "";
      calls[part.index].function.name += part.function?.name ?? "";
      calls[part.index].function.arguments += part.function?.arguments ?? "";
    }
  }
  const results = ["drizzle-in-paris", "half-past-nine"].map((content, index) => ({
    role: "tool",
    tool_call_id: calls[index].id,
    content,
  }));
  const messages = [question, { role: "assistant", tool_calls: calls }, ...results];
  const { answer } = await plainOf(client, { ...body, stream: false, messages });
  return { calls, reasons, answer };
}

// The package's own loop: it streams, calls the functions, sends their results and returns the last text.
async function runTools() {
  const called = [];
  const runner = client.chat.completions.runTools({
    model: "sandbox-small",
    messages: [question],
    stream: true,
    tools: [weather, clock].map((tool) => ({
      type: "function",
      function: {
        ...tool.function,
        parse: JSON.parse,
        function: (given) => {
          called.push([tool.function.name, given]);
          return `result-of-${tool.function.name}`;
        },
      },
    })),
    ...quick,
  });
  return { text: await runner.finalContent(), called };
}

async function streamHelper() {
  let text = "";
  const stream = client.chat.completions.stream({ ...small, ...withUsage });
  stream.on("content", (delta) => (text += delta));
  return { final: await stream.finalChatCompletion(), text };
}

async function image() {
  const text = "What is in this picture?";
  const picture = { type: "image_url", image_url: { url: pixel, detail: "low" } };
  const ask = (content) => plainOf(client, { model: "sandbox-large", messages: [{ role: "user", content }], ...quick });
  const shown = await ask([{ type: "text", text }, picture]);
  const told = await ask(text);
  return { shown: shown.answer, told: told.answer };
}

async function abort(leave) {
  const { data: stream, response } = await client.chat.completions.create(endless).withResponse();
  let seen = 0;
  for await (const chunk of stream) {
    if (chunk.choices[0].delta.content) {
      seen += 1;
      if (leave(stream) === "break") break;
    }
  }
  return { requestId: response.headers.get("x-request-id"), seen };
}

async function rateLimit() {
  const limited = connect("/v1", GATEWAY_LIMITED_KEY);
  const { response } = await limited.chat.completions.create(small).withResponse();
  const said = ["limit", "remaining"].map((name) => response.headers.get(`x-ratelimit-${name}-requests`));
  return { said, error: await errorOf(limited.chat.completions.create(small)) };
}

async function models(path) {
  const openai = connect(path);
  const listed = [];
  for await (const model of openai.models.list()) listed.push(model.id);
  const one = await openai.models.retrieve("sandbox-large");
  return { listed, one, error: await errorOf(openai.models.retrieve("sandbox-larg")) };
}

async function structured() {
  const body = {
    model: "sandbox-large",
    messages: [{ role: "user", content: "Describe Ada." }],
    response_format: responseFormat,
    ...quick,
  };
  const parsed = await client.chat.completions.parse(body);
  return { person: JSON.parse(parsed.choices[0].message.content), chunks: await chunksOf(client, { ...body, stream: true }) };
}

const logprobs = { ...small, logprobs: true, top_logprobs: 2 };
const reasoning = { ...hello, model: "sandbox-reasoning" };
const misspelt = { ...hello, model: "sandbox-smal" };

const cases = {
  "plain /v1": () => plainOf(client, small),
  "plain /api/v1": () => plainOf(connect("/api/v1"), small),
  "stream /v1": () => chunksOf(client, { ...small, stream: true }),
  "stream /api/v1": () => chunksOf(connect("/api/v1"), { ...small, stream: true }),
  "stream with usage": () => chunksOf(client, { ...hello, model: "sandbox-large", ...withUsage }),
  "stream helper": streamHelper,
  tools,
  "run tools": runTools,
  structured,
  image,
  "two choices": async () => ({
    plain: (await plainOf(client, { ...small, n: 2 })).answer,
    chunks: await chunksOf(client, { ...small, n: 2, stream: true }),
  }),
  logprobs: async () => ({
    plain: (await plainOf(client, logprobs)).answer,
    chunks: await chunksOf(client, { ...logprobs, stream: true }),
  }),
  reasoning: async () => ({
    chunks: await chunksOf(client, { ...reasoning, ...withUsage, reasoning_effort: "low" }),
    silent: (await plainOf(client, { ...reasoning, reasoning_effort: "none" })).answer,
  }),
  "abort by controller": () => abort((stream) => stream.controller.abort()),
  "abort by break": () => abort(() => "break"),
  "wrong key": () => errorOf(connect("/v1", "test-key-9999-wrong").chat.completions.create(small)),
  "unknown model": () => errorOf(client.chat.completions.create(misspelt)),
  "unknown model, streamed": () => errorOf(client.chat.completions.create({ ...misspelt, stream: true })),
  "bad request": () => errorOf(client.chat.completions.create({ ...small, temperature: 9 })),
  "rate limit": rateLimit,
  "models /v1": () => models("/v1"),
  "models /api/v1": () => models("/api/v1"),
};

const results = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    results[name] = { seen: await run() };
  } catch (error) {
    results[name] = { failed: error.stack ?? String(error) };
  }
}
process.stdout.write(JSON.stringify(results));
