// OpenAI's JavaScript SDK against the real suite that tests/with-suite started.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const { RIXIN_URL, RIXIN_KEY, RIXIN_MODEL: model } = process.env;
const client = new OpenAI({ baseURL: `${RIXIN_URL}/v1`, apiKey: RIXIN_KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France? Answer in one word." }];
const weather = {
  type: "object",
  properties: { city: { type: "string", maxLength: 20 }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};

test("plain and streamed answers are the same", async () => {
  const plain = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 24 });
  assert.match(plain.choices[0].message.content, /Paris/);
  let text = "";
  const stream = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 24, stream: true });
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, plain.choices[0].message.content);
});

test("the stream helper assembles a tool call", async () => {
  const tools = [{ type: "function", function: { name: "get_weather", parameters: weather } }];
  const final = await client.chat.completions
    .stream({ model, messages: [{ role: "user", content: "Weather in Beijing?" }], tools, tool_choice: "required", temperature: 0, max_tokens: 128 })
    .finalChatCompletion();
  const call = final.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), ["city", "unit"]);
});

test("JSON schema", async () => {
  const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
  const reply = await client.chat.completions.create({
    model, messages, temperature: 0, max_tokens: 32,
    response_format: { type: "json_schema", json_schema: { name: "flag", schema, strict: true } },
  });
  assert.equal(typeof JSON.parse(reply.choices[0].message.content).ok, "boolean");
});

test("embeddings, whose base64 the SDK decodes by itself", async () => {
  const reply = await client.embeddings.create({ model, input: ["one", "two"] });
  assert.equal(reply.data.length, 2);
  const norm = reply.data[0].embedding.reduce((sum, x) => sum + x * x, 0);
  assert.ok(Math.abs(norm - 1) < 1e-3);
});

test("responses, streamed", async () => {
  const stream = await client.responses.create({ model, input: "Say hello.", temperature: 0, max_output_tokens: 16, stream: true });
  let text = "", last;
  for await (const event of stream) {
    last = event;
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.ok(["response.completed", "response.incomplete"].includes(last.type));
  assert.ok(text.length > 0);
});

test("errors have a code and a status", async () => {
  await assert.rejects(client.chat.completions.create({ model: "no-such-model", messages }), (error) => error.status === 404 && error.code === "model_not_found");
  await assert.rejects(client.chat.completions.create({ model, messages: "x" }), (error) => error.status === 400 && error.param === "messages");
});

test("an aborted stream frees its slot", async () => {
  const abort = new AbortController();
  const stream = await client.chat.completions.create(
    { model, messages: [{ role: "user", content: "Tell me a very long story." }], max_tokens: 4000, stream: true },
    { signal: abort.signal },
  );
  let seen = 0;
  try {
    for await (const _ of stream) if (++seen === 5) abort.abort();
  } catch (error) {
    assert.equal(error.name, "APIUserAbortError");
  }
  for (let wait = 0; ; wait++) {
    const reply = await fetch(`${RIXIN_URL}/api/replicas`, { headers: { Authorization: `Bearer ${RIXIN_KEY}` } });
    const mine = (await reply.json()).data.filter((r) => r.model === model);
    if (mine.every((r) => r.active === 0)) break;
    assert.ok(wait < 100, "the slot is still taken after 20 s");
    await new Promise((done) => setTimeout(done, 200));
  }
});
