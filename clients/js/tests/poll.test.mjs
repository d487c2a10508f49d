// The long poll over a `fetch` that is played, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, longPoll } from '../dist/index.js';
import { event, settle, VirtualClock } from './fakes.mjs';

const PAGE_BYTES_MAX = 1024 * 1024;

/** A client that polls; `play` gives the text of each answer, by the number of the question from 1. */
function begin(play) {
  const clock = new VirtualClock();
  const urls = [];
  const fetch = async (url, { signal }) => {
    urls.push(new URL(url));
    const text = play(urls.length);
    if (text !== null) return new Response(text, { headers: { 'content-type': 'application/json' } });
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))));
  };
  const client = new Client('http://bell/', { fetch, clock, random: () => 1, transport: longPoll() });
  const subscription = client.subscribe('a', { after: 'earliest' });
  const heard = [];
  subscription.addEventListener('event', ({ detail }) => heard.push(detail.data));
  subscription.addEventListener('ready', () => heard.push('ready'));
  return { clock, urls, client, subscription, heard };
}

/** A page of a server that does not say whether there is `more`, as long as pages become; data is put in as it was sent. */
function page(data) {
  const events = [];
  for (let bytes = 0, n = 1; bytes < PAGE_BYTES_MAX; n += 1) {
    const text = JSON.stringify(event(n)).replace(/"data":\d+/, `"data":${data}`);
    events.push(text);
    bytes += Buffer.byteLength(text);
  }
  return { text: `{"events":[${events}],"cursor":"e1-${events.length}"}`, count: events.length };
}

test('poll: an older server\'s full page is none to be ready behind, however many bytes its characters have', async () => {
  const spaces = `${' '.repeat(16_000)}1`;
  for (const data of ['x', '中', '\\u4e2d', '😀'].map((text) => `"${text.repeat(16_000 / Buffer.byteLength(text))}"`).concat(spaces)) {
    const { text, count } = page(data);
    assert.ok(count < 1_000);
    const last = JSON.stringify({ events: [event(count + 1)], cursor: `e1-${count + 1}` });
    const { urls, client, heard } = begin((n) => [text, last][n - 1] ?? null);
    await settle();
    await settle();
    assert.deepEqual([heard.length, heard.indexOf('ready')], [count + 2, count + 1], data.slice(0, 8));
    assert.deepEqual(urls.map(({ searchParams }) => searchParams.get('wait')), [null, '0s', '25s']);
    client.close();
  }
});

test('poll: what comes at once and is no full page is all there is', async () => {
  const { client, heard, urls } = begin((n) => (n === 1 ? JSON.stringify({ events: [event(1), event(2)], cursor: 'e1-2' }) : null));
  await settle();
  await settle();
  assert.deepEqual([heard, urls.length], [[1, 2, 'ready'], 2]);
  client.close();
});
