// What a program of another runtime does with the package: it follows a topic over each transport,
// says what comes, publishes what it is to hear first, and ends with the last.

import { createRequire } from 'node:module';
import process from 'node:process';
import { Client, longPoll, sse, webSocket } from '@bellwire/client';

const [url] = process.argv.slice(2);

async function follow(transport) {
  const client = new Client(url, { transport, random: () => 0.02 });
  const subscription = client.subscribe(`lab/${transport.name}`, { after: 'earliest' });
  await subscription.ready();
  await client.publish(`lab/${transport.name}`, 'first');
  for await (const { data } of subscription) {
    console.log(transport.name, data);
    if (data === 'last') break;
  }
  client.close();
}

console.log('required', typeof createRequire(import.meta.url)('@bellwire/client').Client);
await Promise.all([sse, webSocket(), longPoll()].map(follow));
