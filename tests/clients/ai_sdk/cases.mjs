// How a script tells what it saw: one JSON object in the file HEADGATE_RESULTS, case name to {"seen": …} or
// {"failed": stack}. A script judges nothing; the Python test that starts it does.

import { writeFileSync } from "node:fs";
import { jsonSchema, tool } from "ai";
import { z } from "zod";

export const { HEADGATE_URL: url, HEADGATE_KEY: key, HEADGATE_LIMITED_KEY: limitedKey } = process.env;

export const told = "Tell me about locks, please.";
export const question = "What is the weather in Paris and what does the clock say?";
export const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

export const person = z.object({
  name: z.string(),
  age: z.number().int().min(18),
  nicknames: z.array(z.string()),
});

// Two tools, one described with zod and one with JSON Schema, and what they are called with.
export function toolbox() {
  const called = [];
  const answering = (name, answer) => (input) => {
    called.push([name, input]);
    return answer;
  };
  const tools = {
    get_weather: tool({
      description: "The weather of a city.",
      inputSchema: z.object({ city: z.string(), days: z.number().int().min(1) }),
      execute: answering("get_weather", "drizzle-in-paris"),
    }),
    read_clock: tool({
      description: "The time of day.",
      inputSchema: jsonSchema({ type: "object", properties: { zone: { type: "string" } }, required: ["zone"] }),
      execute: answering("read_clock", { time: "half-past-nine" }),
    }),
  };
  return { tools, called };
}

// The error a call ends with, as a program that catches it sees it; a call that succeeds is a failure.
export async function errorOf(call) {
  try {
    await call();
  } catch (error) {
    return toldError(error);
  }
  throw new Error("no error was thrown");
}

export function toldError(error) {
  const { name, message, statusCode: status, isRetryable: retryable, data, responseHeaders: headers } = error;
  return { name, message, status, retryable, data, retryAfter: headers?.["retry-after"] };
}

// A stream as its user reads it, part by part; errors are parts too.
export async function read(result) {
  const parts = [];
  for await (const part of result.fullStream) parts.push(part);
  const text = (type) => parts.filter((part) => part.type === type).map((part) => part.text).join("");
  const finish = parts.findLast((part) => part.type === "finish");
  const step = parts.findLast((part) => part.type === "finish-step");
  return {
    kinds: [...new Set(parts.map((part) => part.type))],
    pieces: parts.filter((part) => part.type === "text-delta").length,
    text: text("text-delta"),
    thoughts: text("reasoning-delta"),
    finish: finish && { reason: finish.finishReason, raw: finish.rawFinishReason, usage: finish.totalUsage },
    step: step && { usage: step.usage, metadata: step.providerMetadata, response: step.response },
    errors: parts.filter((part) => part.type === "error").map((part) => toldError(asError(part.error))),
  };
}

const asError = (error) => (error instanceof Error ? error : { name: typeof error, message: JSON.stringify(error) });

// An answer as its user reads it.
export function answerOf(result) {
  return {
    text: result.text,
    thoughts: result.reasoningText ?? "",
    finish: result.finishReason,
    lastUsage: result.usage,
    metadata: result.providerMetadata,
    body: result.response.body,
    requestId: result.response.headers?.["x-request-id"],
    steps: result.steps.length,
    warnings: result.warnings ?? [],
  };
}

export async function run(cases) {
  const results = {};
  for (const [name, play] of Object.entries(cases)) {
    try {
      results[name] = { seen: await play() };
    } catch (error) {
      results[name] = { failed: error.stack ?? String(error) };
    }
  }
  writeFileSync(process.env.HEADGATE_RESULTS, JSON.stringify(results));
}
