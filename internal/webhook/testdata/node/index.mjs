// Verifies the deliveries in the file DELIVERIES with the libraries that receivers have: standardwebhooks and OpenAI's SDK.
// A line for each that was verified, and exit status 1 at the first that was not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Webhook } from 'standardwebhooks';
import OpenAI from 'openai';

const deliveries = JSON.parse(readFileSync(process.env.DELIVERIES, 'utf8'));
const client = new OpenAI({ apiKey: 'none' });

for (const { header, body } of deliveries) {
  const headers = Object.fromEntries(Object.entries(header).map(([name, values]) => [name.toLowerCase(), values[0]]));
  for (const secret of process.env.SECRETS.split(' ')) {
    const event = new Webhook(secret).verify(body, headers);
    assert.equal(event.data.id.replaceAll('.', '~'), headers['webhook-id']);
    console.log('ok standardwebhooks', event.type, event.data.id);
    const unwrapped = await client.webhooks.unwrap(body, headers, secret);
    assert.deepEqual(unwrapped, event);
    console.log('ok openai', unwrapped.type, unwrapped.data.id);
  }
  assert.throws(() => new Webhook(process.env.STRANGER).verify(body, headers));
  await assert.rejects(client.webhooks.unwrap(body, headers, process.env.STRANGER));
  assert.throws(() => new Webhook(process.env.SECRETS.split(' ')[0]).verify(body + ' ', headers));
  console.log('ok refusals');
}
