// The transport over a `fetch` that is played, and what a client does with strange addresses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, Follower } from '../dist/index.js';
import { settle, VirtualClock } from './fakes.mjs';

const STREAM = { 'content-type': 'text/event-stream' };

/** A client that is given what `play` answers to each request, by its number from 1. */
function begin(play, options = {}) {
  const clock = new VirtualClock();
  const requests = [];
  const fetch = async (url, request) => {
    requests.push({ ...request, url });
    return play(requests.length, request);
  };
  return { clock, requests, client: new Client('http://bell', { fetch, clock, random: () => 1, ...options }) };
}

/** A body that tests write, in pieces. */
function body() {
  let control;
  const stream = new ReadableStream({ start: (given) => { control = given; } });
  return { stream, write: (bytes) => control.enqueue(Buffer.from(bytes)), end: () => control.close() };
}

test('sse: what is asked', async () => {
  const { requests, client } = begin(() => new Response(null, { status: 204 }), { token: 'k', credentials: 'include' });
  const subscription = client.subscribe(['chat/**', 'a b'], {
    after: 'e1-1', history: '15m', maxRate: 0.5, state: 'changes', queries: ['up > 1'], present: { name: 'Ada' }, presentId: 'x',
  });
  for await (const event of subscription) assert.fail(event);
  const [{ url, headers, credentials, cache }] = requests;
  assert.equal(url.pathname, '/v1/events');
  assert.deepEqual([...url.searchParams], [
    ['topic', 'chat/**'], ['topic', 'a b'], ['query', 'up > 1'], ['history', '15m'], ['max_rate', '0.5'], ['state', 'changes'],
    ['present', '{"name":"Ada"}'], ['present_id', 'x'], ['after', 'e1-1'], ['refusals', 'status'],
  ]);
  assert.deepEqual([headers.accept, headers.authorization, credentials, cache], ['text/event-stream', 'Bearer k', 'include', 'no-store']);
});

test('sse: letters that come in pieces', async () => {
  const { stream, write } = body();
  const { client } = begin(() => new Response(stream, { headers: STREAM }));
  const iterator = client.subscribe('a')[Symbol.asyncIterator]();
  const bytes = Buffer.from('data: {"topic":"a","time":0,"data":"né…😀"}\n\n');
  for (const byte of bytes) write([byte]);
  assert.equal((await iterator.next()).value.data, 'né…😀');
  client.close();
});

test('sse: what is no stream is no Bellwire', async () => {
  for (const page of [
    () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
    () => new Response('data: {"hello":1}\n\n', { headers: STREAM }),
    () => new Response('data: 7\n\n', { headers: STREAM }),
  ]) {
    const { client } = begin(page);
    await assert.rejects(client.subscribe('a').ready(), { name: 'ProtocolError', code: 'not_bellwire' });
  }
});

test('sse: a frame that is broken ends the connection, not the subscription', async () => {
  const second = body();
  const { clock, requests, client } = begin((n) => new Response(n === 1
    ? 'data: {"topic":"a","time":0,"cursor":"e1-1","data":1}\n\ndata: {"topic":"a","ti\n\n'
    : second.stream, { headers: STREAM }));
  const subscription = client.subscribe('a');
  const errors = [];
  subscription.addEventListener('status', ({ detail }) => errors.push(detail.error?.code));
  const iterator = subscription[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value.data, 1);
  await settle();
  assert.ok(errors.includes('frame_malformed'), `${errors}`);
  await clock.advance(1_000);
  assert.equal(requests[1].url.searchParams.get('after'), 'e1-1');
  second.write('data: {"topic":"a","time":0,"cursor":"e1-2","data":2}\n\n');
  assert.equal((await iterator.next()).value.data, 2);
  client.close();
});

test('sse: what nobody takes is not read', async () => {
  let pulled = 0;
  const stream = new ReadableStream({
    pull: (control) => {
      pulled += 1;
      control.enqueue(Buffer.from(`data: {"topic":"a","time":0,"data":${pulled}}\n\n`));
    },
  }, { highWaterMark: 0 });
  const { client } = begin(() => new Response(stream, { headers: STREAM }));
  const iterator = client.subscribe('a')[Symbol.asyncIterator]();
  while (pulled < 1_024) await settle();
  for (let count = 0; count < 100; count += 1) await settle();
  assert.equal(pulled, 1_024);
  for (let n = 1; n <= 2_000; n += 1) assert.equal((await iterator.next()).value.data, n);
  client.close();
});

test('sse: what is closed before its answer comes is not read, whatever the `fetch` looks at', async () => {
  let answer;
  let isCancelled = false;
  const stream = new ReadableStream({ cancel: () => { isCancelled = true; } });
  const { client } = begin(() => new Promise((resolve) => { answer = resolve; }));
  const subscription = client.subscribe('a');
  await settle();
  subscription.close();
  answer(new Response(stream, { headers: STREAM }));
  await settle();
  assert.ok(isCancelled);
});

test('client: addresses that are none, and filters that are none', () => {
  for (const url of ['bell', '', 'ftp://bell', 'ws://bell']) assert.throws(() => new Follower(url), TypeError, url);
  const client = new Follower('https://bell:8443/under/?x#y');
  assert.throws(() => client.subscribe([]), TypeError);
  assert.throws(() => client.state('a/*'), /name one topic/);
});

test('client: to make one connects to nothing', async () => {
  const { requests } = begin(() => assert.fail('asked'));
  await settle();
  assert.equal(requests.length, 0);
});
