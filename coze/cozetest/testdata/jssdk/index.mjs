// Drives the API at COZE_API_BASE with Coze's official JavaScript SDK: a line
// for each step, and exit status 1 at the first thing that is not as it is with Coze.
import assert from 'node:assert/strict';
import { createReadStream, writeFileSync } from 'node:fs';
import { CozeAPI, ChatEventType, RoleType } from '@coze/api';

const baseURL = process.env.COZE_API_BASE;
const token = process.env.COZE_API_TOKEN ?? 'pat_cozetest';
const bot_id = process.env.COZE_BOT_ID ?? '7379462189365198898';
assert.ok(baseURL, 'COZE_API_BASE is not set');

const client = new CozeAPI({ baseURL, token });
const ask = (content) => [{ role: RoleType.User, content, content_type: 'text' }];
const ok = (step, detail) => console.log(`ok ${step}: ${detail}`);

// collect reads a whole stream, and fails one that does not end with done.
async function collect(params, sdk = client) {
  const events = [];
  for await (const event of sdk.chat.stream({ bot_id, user_id: 'js', ...params })) {
    events.push(event);
  }
  return events;
}

async function createConversation() {
  const conversation = await client.conversations.create({ bot_id, meta_data: { from: 'js' } });
  assert.match(conversation.id, /^\d{19}$/);
  const again = await client.conversations.retrieve(conversation.id);
  assert.equal(again.id, conversation.id);
  assert.deepEqual(again.meta_data, { from: 'js' });
  ok('create conversation', conversation.id);
  return conversation.id;
}

async function streamChat(conversation_id) {
  const events = await collect({ conversation_id, additional_messages: ask('1+1 是多少？🙂') });
  const of = (type) => events.filter((e) => e.event === type);
  assert.equal(events[0].event, ChatEventType.CONVERSATION_CHAT_CREATED);
  assert.equal(events[0].data.conversation_id, conversation_id);
  assert.equal(events.at(-1).event, ChatEventType.DONE);
  const deltas = of(ChatEventType.CONVERSATION_MESSAGE_DELTA).map((e) => e.data.content);
  const completed = of(ChatEventType.CONVERSATION_MESSAGE_COMPLETED).map((e) => e.data);
  const answer = completed.find((m) => m.type === 'answer').content;
  assert.ok(deltas.length > 1, 'an answer of one piece is no stream');
  assert.equal(deltas.join(''), answer);
  assert.match(answer, /1\+1 是多少？🙂/);
  assert.equal(completed.filter((m) => m.type === 'follow_up').length, 3);
  const [end] = of(ChatEventType.CONVERSATION_CHAT_COMPLETED);
  assert.equal(end.data.status, 'completed');
  assert.equal(end.data.usage.token_count, end.data.usage.input_count + end.data.usage.output_count);
  ok('stream chat', `${deltas.length} deltas, ${end.data.usage.token_count} tokens`);
}

async function createAndPoll(conversation_id) {
  const { chat, messages } = await client.chat.createAndPoll({
    bot_id, user_id: 'js', conversation_id, additional_messages: ask('and 2+2?'),
  });
  assert.equal(chat.status, 'completed');
  const answer = messages.find((m) => m.type === 'answer');
  assert.match(answer.content, /and 2\+2\?.*turn 2/);
  ok('create and poll', answer.content);
  return chat;
}

async function listMessages(conversation_id) {
  await client.conversations.messages.create(conversation_id, {
    role: RoleType.User, content: 'a note', content_type: 'text', meta_data: { n: '1' },
  });
  const page = await client.conversations.messages.list(conversation_id, { order: 'asc', limit: 3 });
  assert.equal(page.data.length, 3);
  assert.equal(page.has_more, true);
  assert.deepEqual(page.data.map((m) => m.type), ['question', 'answer', 'question']);
  const rest = await client.conversations.messages.list(conversation_id, { order: 'asc', after_id: page.last_id });
  assert.equal(rest.data.at(-1).content, 'a note');
  assert.equal(rest.has_more, false);
  ok('list messages', `${page.data.length} + ${rest.data.length}`);
}

async function retrieve(chat) {
  const again = await client.chat.retrieve(chat.conversation_id, chat.id);
  assert.equal(again.status, 'completed');
  assert.equal(again.id, chat.id);
  ok('retrieve', again.status);
}

async function cancel() {
  const { id: conversation_id } = await client.conversations.create({});
  const chat = await client.chat.create({
    bot_id, user_id: 'js', conversation_id, additional_messages: ask('think long [[mock:pace=60s]]'),
  });
  assert.equal(chat.status, 'in_progress');
  const busy = await collect({ conversation_id, additional_messages: ask('me too') });
  assert.equal(busy.length, 1);
  assert.equal(busy[0].event, ChatEventType.ERROR);
  assert.equal(busy[0].data.code, 4016);
  await client.chat.cancel(conversation_id, chat.id);
  assert.equal((await client.chat.retrieve(conversation_id, chat.id)).status, 'canceled');
  const events = await collect({ conversation_id, additional_messages: ask('now me') });
  assert.equal(events.at(-1).event, ChatEventType.DONE);
  ok('cancel', 'busy with 4016 before, free after');
}

// The SDK's example answers a round of tool calls, and each further one, like this.
async function tools() {
  const outputs = [];
  let events = await collect({ additional_messages: ask('how warm? [[mock:action=get_weather,get_time rounds=2]]') });
  for (let end; (end = events.at(-2)).event === ChatEventType.CONVERSATION_CHAT_REQUIRES_ACTION;) {
    const { id: chat_id, conversation_id, required_action } = end.data;
    const calls = required_action.submit_tool_outputs.tool_calls;
    assert.deepEqual(calls.map((c) => c.function.name), ['get_weather', 'get_time']);
    const tool_outputs = calls.map((c) => ({ tool_call_id: c.id, output: `{"n":${outputs.push(c.id)}}` }));
    events = [];
    for await (const event of await client.chat.submitToolOutputs({ conversation_id, chat_id, tool_outputs, stream: true })) {
      events.push(event);
    }
  }
  assert.equal(new Set(outputs).size, 4);
  const answer = events.find((e) => e.event === ChatEventType.CONVERSATION_MESSAGE_COMPLETED && e.data.type === 'answer');
  assert.match(answer.data.content, /get_time gave \{"n":4\}/);
  ok('tools', answer.data.content);
}

async function files() {
  writeFileSync('note.pdf', 'a note');
  const file = await client.files.upload({ file: createReadStream('note.pdf') });
  assert.equal(file.bytes, 6);
  assert.equal(file.file_name, 'note.pdf');
  const content = JSON.stringify([{ type: 'text', text: 'what is this?' }, { type: 'file', file_id: file.id }]);
  const events = await collect({ additional_messages: [{ role: RoleType.User, content, content_type: 'object_string' }] });
  assert.equal(events.at(-2).event, ChatEventType.CONVERSATION_CHAT_COMPLETED);
  ok('files', file.id);
}

async function askBack() {
  const events = await collect({ additional_messages: ask('book a table [[mock:ask_back]]') });
  const { event, data } = events.at(-2);
  assert.equal(event, ChatEventType.CONVERSATION_CHAT_REQUIRES_ACTION);
  assert.deepEqual(data.required_action.submit_tool_outputs.tool_calls.map((c) => c.type), ['reply_message']);
  const reply = await collect({ conversation_id: data.conversation_id, additional_messages: ask('for two') });
  assert.equal(reply.at(-2).event, ChatEventType.CONVERSATION_CHAT_COMPLETED);
  ok('ask back', data.conversation_id);
}

async function refusals(chat) {
  const code = (code) => (err) => err.code === code && Boolean(err.logid);
  await assert.rejects(client.chat.cancel(chat.conversation_id, chat.id), code(4104));
  await assert.rejects(client.chat.retrieve(chat.conversation_id, '1'), code(4001));
  await assert.rejects(
    client.chat.create({ bot_id, user_id: 'js', additional_messages: ask('x [[mock:code=4013]]') }), code(4013));
  const stranger = new CozeAPI({ baseURL, token: 'pat_wrong' });
  await assert.rejects(stranger.conversations.create({}), (err) => err.status === 401 && err.code === 700012006);
  // The SDK hands the JSON that refuses a stream on as an error event.
  const [refused, ...more] = await collect({ additional_messages: ask('x') }, stranger);
  assert.equal(refused.event, ChatEventType.ERROR);
  assert.equal(refused.data.code, 4101);
  assert.equal(more.length, 0);
  ok('refusals', '4104, 4001, 4013, 700012006, 4101');
}

async function workflows() {
  const workflow_id = '73664689170551';
  const run = await client.workflows.runs.create({ workflow_id, parameters: { name: 'Ann' } });
  assert.equal(JSON.parse(run.data).name, 'Ann');
  assert.match(run.debug_url, /execute_id=/);
  const stream = async (name) => {
    const events = [];
    for await (const event of client.workflows.runs.stream({ workflow_id, parameters: { name } })) {
      events.push(event);
    }
    return events;
  };
  const events = await stream('Ann [[mock:answers=2]]');
  assert.deepEqual(events.map((e) => e.id), events.map((_, i) => i));
  assert.equal(events.at(-1).event, 'Done');
  const end = events.filter((e) => e.event === 'Message').at(-1).data;
  assert.equal(JSON.parse(end.content).name, 'Ann');
  const interrupt = (await stream('Ann [[mock:ask_back]]')).at(-1);
  assert.equal(interrupt.event, 'Interrupt');
  assert.equal(interrupt.data.interrupt_data.type, 2);
  const { event_id, type: interrupt_type } = interrupt.data.interrupt_data;
  const resumed = [];
  for await (const event of client.workflows.runs.resume({ workflow_id, event_id, interrupt_type, resume_data: 'Bob' })) {
    resumed.push(event.event);
  }
  assert.equal(resumed.at(-1), 'Done');
  const { execute_id } = await client.workflows.runs.create({ workflow_id, parameters: { name: 'Ann' }, is_async: true });
  let history;
  do { // a run is over in a moment
    [history] = await client.workflows.runs.history(workflow_id, execute_id);
    assert.equal(history.execute_id, execute_id);
  } while (history.execute_status === 'Running');
  assert.equal(history.execute_status, 'Success');
  const failed = (await stream('Ann [[mock:fail=720702085]]')).at(-1);
  assert.equal(failed.event, 'Error');
  assert.equal(failed.data.error_code, 720702085);
  await assert.rejects(client.workflows.runs.create({ workflow_id, parameters: { name: '[[mock:code=4200]]' } }),
    (err) => err.code === 4200);
  ok('workflows', `${events.length} events`);
}

async function chatflow() {
  const events = [];
  const params = { workflow_id: '73664689170551', bot_id, parameters: {}, additional_messages: ask('hello flow') };
  for await (const event of client.workflows.chat.stream(params)) {
    events.push(event);
  }
  const answer = events.find((e) => e.event === ChatEventType.CONVERSATION_MESSAGE_COMPLETED && e.data.type === 'answer');
  assert.match(answer.data.content, /hello flow/);
  assert.equal(events.at(-1).event, ChatEventType.DONE);
  ok('chatflow', answer.data.content);
}

try {
  const conversation = await createConversation();
  await streamChat(conversation);
  const chat = await createAndPoll(conversation);
  await listMessages(conversation);
  await retrieve(chat);
  await cancel();
  await tools();
  await files();
  await askBack();
  await refusals(chat);
  await workflows();
  await chatflow();
} catch (err) {
  console.error(`not ok: ${err.stack ?? err}`);
  process.exit(1);
}
