// What a user of the AI SDK sees through the gateway with `@openrouter/ai-sdk-provider`, pointed at `…/api/v1`.

import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { generateText, Output, stepCountIs, streamText } from "ai";
import { answerOf, errorOf, key, limitedKey, person, pixel, question, read, run, told, toolbox, url } from "./cases.mjs";

const connect = (apiKey = key) =>
  createOpenRouter({
    baseURL: `${url}/api/v1`,
    apiKey,
    compatibility: "strict",
    extraBody: { sandbox: { pace_ms: 1, first_ms: 1 } },
  });
const wish = (model = "sandbox-small", settings = {}, provider = connect()) => ({
  model: provider(model, settings),
  maxRetries: 0,
  onError: () => {}, // the parts of the stream have it; the default prints it
});
const hello = (...where) => ({ ...wish(...where), prompt: told });

async function toolsWith(ask) {
  const { tools, called } = toolbox();
  return { called, ...(await ask({ ...wish(), prompt: question, tools, stopWhen: stepCountIs(5) })) };
}

async function partialsOf(result) {
  const partials = [];
  for await (const partial of result.partialOutputStream) partials.push(partial);
  return { partials: partials.length, output: await result.output };
}

const described = () => ({ ...wish("sandbox-large"), prompt: "Describe a person", output: Output.object({ schema: person }) });

await run({
  plain: async () => answerOf(await generateText(hello())),
  "model with an author": async () => answerOf(await generateText(hello("acme/small"))),
  stream: () => read(streamText(hello())),
  "stream, usage asked for otherwise": () => read(streamText(hello("sandbox-small", { usage: { include: true } }))),
  tools: () => toolsWith(async (asked) => answerOf(await generateText(asked))),
  "tools, streamed": () => toolsWith((asked) => read(streamText(asked))),
  structured: async () => ({ output: (await generateText(described())).output }),
  "structured, streamed": () => partialsOf(streamText(described())),
  reasoning: async () => answerOf(await generateText(hello("sandbox-reasoning"))),
  "reasoning, streamed": () => read(streamText(hello("sandbox-reasoning"))),
  image: async () => {
    const content = [
      { type: "text", text: "What is in this image?" },
      { type: "image", image: pixel, mediaType: "image/png" },
    ];
    return answerOf(await generateText({ ...wish(), messages: [{ role: "user", content }] }));
  },
  // Members of OpenRouter's own request: they mean something to the gateway or nothing, and harm neither way.
  "routing members": async () => {
    const settings = { models: ["sandbox-large"], provider: { order: ["sandbox"] }, user: "somebody" };
    return answerOf(await generateText(hello("sandbox-small", settings)));
  },
  "output limit": async () => answerOf(await generateText({ ...hello(), maxOutputTokens: 3 })),
  failover: async () => answerOf(await generateText(hello("unlucky"))),
  "failover, streamed": () => read(streamText(hello("unlucky"))),
  "broken stream": () => read(streamText(hello("breaking"))),
  "wrong key": () => errorOf(() => generateText(hello("sandbox-small", {}, connect("test-key-0003-nobody")))),
  "unknown model": () => errorOf(() => generateText(hello("sandbox-smal"))),
  "unknown model, streamed": () => read(streamText(hello("sandbox-smal"))),
  "bad request": () => errorOf(() => generateText({ ...hello(), temperature: 9 })),
  busy: () => errorOf(() => generateText(hello("busy"))),
  "rate limit": async () => {
    const limited = hello("sandbox-small", {}, connect(limitedKey));
    const { text } = await generateText(limited);
    return { text, error: await errorOf(() => generateText(limited)) };
  },
});
