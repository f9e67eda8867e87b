// What a user of the AI SDK sees through the gateway with `@ai-sdk/openai-compatible`.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText } from "ai";
import { answerOf, errorOf, key, limitedKey, person, pixel, question, read, run, told, toolbox, url } from "./cases.mjs";

// Headgate's block, from a plain answer or from the chunk of a stream that has it.
const metadataExtractor = {
  extractMetadata: async ({ parsedBody }) => ({ headgate: parsedBody.headgate }),
  createStreamExtractor: () => {
    let facts;
    return {
      processChunk: (chunk) => (facts = chunk?.headgate ?? facts),
      buildMetadata: () => (facts ? { headgate: facts } : undefined),
    };
  },
};
const connect = (path = "/v1", apiKey = key) =>
  createOpenAICompatible({
    name: "headgate",
    baseURL: url + path,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
    metadataExtractor,
  });
const wish = (model = "sandbox-small", provider = connect()) => ({
  model: provider(model),
  maxRetries: 0,
  onError: () => {}, // the parts of the stream have it; the default prints it
  providerOptions: { headgate: { sandbox: { pace_ms: 1, first_ms: 1 } } },
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

const described = (model) => ({ ...wish(model), prompt: "Describe a person", output: Output.object({ schema: person }) });

await run({
  plain: async () => answerOf(await generateText(hello())),
  "plain /api/v1": async () => answerOf(await generateText(hello("sandbox-small", connect("/api/v1")))),
  stream: () => read(streamText(hello())),
  "stream, usage asked for otherwise": () => {
    const provider = createOpenAICompatible({ name: "headgate", baseURL: `${url}/v1`, apiKey: key, metadataExtractor });
    return read(streamText(hello("sandbox-small", provider)));
  },
  tools: () => toolsWith(async (asked) => answerOf(await generateText(asked))),
  "tools, streamed": () => toolsWith((asked) => read(streamText(asked))),
  structured: async () => ({ output: (await generateText(described("sandbox-large"))).output }),
  "structured, streamed": () => partialsOf(streamText(described("sandbox-large"))),
  reasoning: async () => answerOf(await generateText(hello("sandbox-reasoning"))),
  "reasoning, streamed": () => read(streamText(hello("sandbox-reasoning"))),
  image: async () => {
    const content = [
      { type: "text", text: "What is in this image?" },
      { type: "image", image: pixel, mediaType: "image/png" },
    ];
    return answerOf(await generateText({ ...wish(), messages: [{ role: "user", content }] }));
  },
  "output limit": async () => answerOf(await generateText({ ...hello(), maxOutputTokens: 3 })),
  failover: async () => answerOf(await generateText(hello("unlucky"))),
  "failover, streamed": () => read(streamText(hello("unlucky"))),
  "broken stream": () => read(streamText(hello("breaking"))),
  "wrong key": () => errorOf(() => generateText(hello("sandbox-small", connect("/v1", "test-key-0003-nobody")))),
  "unknown model": () => errorOf(() => generateText(hello("sandbox-smal"))),
  "unknown model, streamed": () => read(streamText(hello("sandbox-smal"))),
  "bad request": () => errorOf(() => generateText({ ...hello(), temperature: 9 })),
  busy: () => errorOf(() => generateText(hello("busy"))),
  "rate limit": async () => {
    const limited = hello("sandbox-small", connect("/v1", limitedKey));
    const { text } = await generateText(limited);
    return { text, error: await errorOf(() => generateText(limited)) };
  },
});
