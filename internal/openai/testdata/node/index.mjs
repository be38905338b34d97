// The clients that people use, unmodified, against the API. A step that went well is a line "ok NAME".
import assert from "node:assert/strict";
import OpenAI from "openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { ChatOpenAI } from "@langchain/openai";

const { BASE_URL, SECOND_URL, CUTTING_URL } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: "sk-any" });
const second = new OpenAI({ baseURL: SECOND_URL, apiKey: "sk-any" });
const say = (content) => ({ model: "support", messages: [{ role: "user", content }] });

async function step(name, run) {
  await run();
  console.log("ok " + name);
}

await step("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.deepEqual(names, ["support", "vendor/sales:v1"]);
  assert.equal((await client.models.retrieve("vendor/sales:v1")).id, "vendor/sales:v1");
  await assert.rejects(client.models.retrieve("nobody"), OpenAI.NotFoundError);
});

await step("chat", async () => {
  const { data, request_id } = await client.chat.completions.create(say("hello")).withResponse();
  assert.equal(data.choices[0].message.content, "You said: hello");
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.equal(data.id, "chatcmpl-" + request_id);
  assert.equal(data.cozeq.task_id, request_id);
});

await step("chat stream", async () => {
  let text = "", usage = null;
  const stream = await client.chat.completions.create({ ...say("hello"), stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage ??= chunk.usage;
  }
  assert.equal(text, "You said: hello");
  assert.ok(usage.total_tokens > 0);
  const helper = client.chat.completions.stream(say("hello"));
  assert.equal(await helper.finalContent(), "You said: hello");
});

await step("reasoning", async () => {
  const data = await client.chat.completions.create(say("think [[mock:reasoning]]"));
  assert.ok(data.choices[0].message.reasoning_content.length > 0);
});

await step("errors", async () => {
  const refused = async (promise, type, want) => {
    const e = await promise.then(() => assert.fail("no error"), (e) => e);
    assert.ok(e instanceof type, `${e.constructor.name}: ${e.message}`);
    for (const [key, value] of Object.entries(want)) assert.equal(e[key], value, key);
  };
  await refused(client.chat.completions.create({ ...say("x"), model: "gpt-4o" }), OpenAI.NotFoundError, { code: "model_not_found", param: "model" });
  await refused(client.chat.completions.create({ ...say("x"), n: 2 }), OpenAI.BadRequestError, { code: "unsupported_parameter", param: "n" });
  await refused(client.chat.completions.create(say("x [[mock:code=4014]]")), OpenAI.BadRequestError, { code: "content_filter" });
  await refused(client.post("/embeddings", { body: {} }), OpenAI.NotFoundError, { code: "unknown_url" });
  await refused((async () => {
    for await (const _ of await client.chat.completions.create({ ...say("slow [[mock:fail=4004 pace=400ms]]"), stream: true }));
  })(), OpenAI.APIError, { code: "coze_4004" });
  await refused(client.responses.retrieve("resp_nothing"), OpenAI.NotFoundError, { code: "not_found" });
});

await step("responses", async () => {
  const first = await client.responses.create({ model: "support", input: "one", metadata: { k: "v" } });
  assert.equal(first.output_text, "You said: one");
  assert.equal(first.status, "completed");
  assert.deepEqual(first.metadata, { k: "v" });
  const next = await client.responses.create({ model: "support", input: "two", previous_response_id: first.id });
  assert.equal(next.cozeq.conversation_id, first.cozeq.conversation_id);
  assert.equal((await second.responses.retrieve(next.id)).output_text, "You said: two");
  const items = [];
  for await (const item of client.responses.inputItems.list(next.id, { order: "asc", limit: 1 })) items.push(item);
  assert.deepEqual(items.map((item) => [item.role, item.content[0].text]), [["user", "two"]]);
  await client.responses.delete(next.id);
  await assert.rejects(client.responses.retrieve(next.id), OpenAI.NotFoundError);
  const stream = client.responses.stream({ model: "support", input: "three" });
  let text = "";
  stream.on("response.output_text.delta", (event) => (text += event.delta));
  assert.equal((await stream.finalResponse()).output_text, "You said: three");
  assert.equal(text, "You said: three");
});

await step("reasoning of a response", async () => {
  const stream = client.responses.stream({ model: "support", input: "think [[mock:reasoning]]" });
  let reasoning = "";
  stream.on("response.reasoning_text.delta", (event) => (reasoning += event.delta));
  const { output, output_text } = await stream.finalResponse();
  assert.equal(output[0].content[0].text, reasoning);
  assert.ok(reasoning.length > 0);
  const next = await client.responses.create({ model: "support", input: [...output, { role: "user", content: "and now" }] });
  assert.equal(next.output_text, "You said: and now");
});

await step("background", async () => {
  let response = await client.responses.create({ model: "support", input: "later [[mock:pace=20ms]]", background: true });
  assert.equal(response.status, "queued");
  while (response.status === "queued" || response.status === "in_progress") {
    await new Promise((resolve) => setTimeout(resolve, 50));
    response = await second.responses.retrieve(response.id);
  }
  assert.equal(response.output_text, "You said: later");
});

await step("resumed on another serve", async () => {
  let text = "", id, at;
  const stream = await client.responses.create({ model: "support", input: "a longer question 长一点 [[mock:pace=150ms]]", background: true, stream: true });
  for await (const event of stream) {
    id ??= event.response?.id;
    at = event.sequence_number;
    if (event.type === "response.output_text.delta") {
      text += event.delta;
      if (text.length > 3) break; // hangs up
    }
  }
  let final;
  for await (const event of await second.responses.retrieve(id, { stream: true, starting_after: at })) {
    assert.ok(event.sequence_number > at, "grows");
    at = event.sequence_number;
    if (event.type === "response.output_text.delta") text += event.delta;
    if (event.type === "response.completed") final = event.response;
  }
  assert.equal(final.status, "completed");
  assert.equal(text, "You said: a longer question 长一点");
  const replay = second.responses.stream({ response_id: id, starting_after: 4 });
  assert.equal((await replay.finalResponse()).output_text, text);
});

await step("canceled", async () => {
  const response = await client.responses.create({ model: "support", input: "never [[mock:pace=20s]]", background: true });
  assert.equal((await client.responses.cancel(response.id)).status, "cancelled");
});

await step("a cut connection is one chat", async () => {
  const cut = new OpenAI({ baseURL: CUTTING_URL, apiKey: "sk-any" });
  assert.equal((await cut.chat.completions.create(say("cut once"))).choices[0].message.content, "You said: cut once");
});

await step("a time-out is one chat", async () => {
  const hasty = new OpenAI({ baseURL: BASE_URL, apiKey: "sk-any", timeout: 3000, maxRetries: 4 });
  assert.equal((await hasty.chat.completions.create(say("slow once [[mock:pace=600ms]]"))).choices[0].message.content, "You said: slow once");
});

await step("ai-sdk", async () => {
  const coze = createOpenAICompatible({ name: "coze", baseURL: BASE_URL, apiKey: "sk-any", includeUsage: true });
  assert.equal((await generateText({ model: coze("support"), prompt: "hello" })).text, "You said: hello");
  const stream = streamText({ model: coze("support"), prompt: "hello", temperature: 0 });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, "You said: hello");
  assert.ok((await stream.usage).totalTokens > 0);
});

await step("langchain", async () => {
  const model = new ChatOpenAI({ model: "support", apiKey: "sk-any", configuration: { baseURL: BASE_URL } });
  assert.equal((await model.invoke("hello")).content, "You said: hello");
  let text = "";
  for await (const chunk of await model.stream("hello")) text += chunk.content;
  assert.equal(text, "You said: hello");
});

// It pauses the account: last.
await step("quota", async () => {
  const e = await client.chat.completions.create(say("x [[mock:code=4028]]")).then(() => assert.fail("no error"), (e) => e);
  assert.ok(e.status === 429 || e.status === 503, e.message); // 503 if the pause is seen first
  assert.equal(e.code, "insufficient_quota");
});
