// What is sent, over a `fetch` that is played, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client, ProblemError, UnsentError } from '../dist/index.js';
import { systemClock } from '../dist/parts/clock.js';
import { FakeTransport, ready, settle, VirtualClock } from './fakes.mjs';

const answer = (status, body = { cursor: 'e1-1' }, headers = {}) => new Response(body === null ? null : JSON.stringify(body), {
  status, headers: { 'content-type': status < 400 ? 'application/json' : 'application/problem+json', ...headers },
});

/** A client whose requests are answered by `play`, which gets each with its number from 1. */
function begin(play, options = {}) {
  const clock = new VirtualClock();
  const requests = [];
  const fetch = async (url, request) => {
    requests.push({ ...request, url: new URL(url), headers: new Headers(request.headers) });
    const played = await play(requests.length, request);
    if (played instanceof Error) throw played;
    return played;
  };
  const client = new Client('http://bell/base', { fetch, clock, random: () => 1, ...options });
  return { clock, requests, client };
}

const cut = () => new TypeError('fetch failed');

/** The outcome of a promise that may be rejected later, so that it is never unhandled. */
const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));

test('outbox: an event is published with its headers and a key of its own', async () => {
  const { requests, client } = begin(() => answer(201, { cursor: 'e1-1' }));
  assert.deepEqual(await client.publish('chat/général room', { text: 'hé' }, { key: 'ключ', type: 'note', ttl: '30s' }), { cursor: 'e1-1' });
  const [{ url, method, headers, body }] = requests;
  assert.equal(url.href, 'http://bell/base/v1/topics/chat/g%C3%A9n%C3%A9ral%20room');
  assert.deepEqual([method, body], ['POST', '{"text":"hé"}']);
  assert.equal(Buffer.from(headers.get('bellwire-key'), 'latin1').toString(), 'ключ');
  assert.deepEqual(['bellwire-type', 'bellwire-ttl', 'content-type'].map((name) => headers.get(name)), ['note', '30s', 'application/json']);
  assert.match(headers.get('idempotency-key'), /^\d+(-\d+){3}$/);
  assert.equal(headers.get('authorization'), null);
});

test('outbox: what is sent is sent in its order, one at a time', async () => {
  let underWay = 0;
  const { requests, client } = begin(async () => {
    underWay += 1;
    assert.equal(underWay, 1);
    await settle();
    underWay -= 1;
    return answer(201);
  });
  await Promise.all([1, 2, 3].map((n) => client.publish('a', n)));
  assert.deepEqual(requests.map(({ body }) => body), ['1', '2', '3']);
  assert.equal(client.unsent, 0);
});

test('outbox: over a cut an event is sent again under the same key', async () => {
  const { clock, requests, client } = begin((n) => [cut(), answer(502, null), answer(503, { code: 'draining' }, { 'retry-after': '7' }), answer(201, { cursor: 'e1-1', duplicate: true })][n - 1]);
  const published = client.publish('a', 1);
  await clock.advance(1_000 + 2_000);
  assert.equal(requests.length, 3);
  await clock.advance(6_999);
  assert.equal(requests.length, 3, 'the server has asked for 7 s');
  await clock.advance(1);
  assert.deepEqual(await published, { cursor: 'e1-1', duplicate: true });
  assert.equal(new Set(requests.map(({ headers }) => headers.get('idempotency-key'))).size, 1);
});

test('outbox: what the server refuses is its error, and the next goes on', async () => {
  const { client } = begin((n) => (n === 1
    ? answer(412, { code: 'condition_failed', detail: 'no', status: 412, version: 's9-81' })
    : answer(201, { version: 's9-82' })));
  const [first, second] = await Promise.all([
    outcome(client.publish('a', 1, { key: 'k', ifVersion: 's9-77' })), outcome(client.publish('a', 2, { key: 'k' })),
  ]);
  assert.ok(first.error instanceof ProblemError);
  assert.deepEqual([first.error.code, first.error.version], ['condition_failed', 's9-81']);
  assert.deepEqual(second.value, { version: 's9-82' });
});

test('outbox: what may have been taken and does not do the same twice is handed back', async () => {
  const { clock, requests, client } = begin((n) => (n === 1 ? answer(429, { code: 'publishers_busy' }) : cut()));
  const sent = outcome(client.publish('a', 1, { key: 'k', ifAbsent: true }));
  await clock.advance(1_000);
  const { error } = await sent;
  assert.ok(error instanceof UnsentError);
  assert.deepEqual([error.code, error.mayBeTaken, requests.length], ['unanswered', true, 2], 'a refusal is certain, a cut is not');
});

test('outbox: a refusal that may have been taken is as uncertain as a cut', async () => {
  const refused = (more) => answer(503, { code: 'journal_unavailable', ...more });
  for (const [more, mayBeTaken] of [[{ may_be_taken: true }, true], [{}, true], [{ may_be_taken: false }, false]]) {
    const { clock, client } = begin(() => refused(more));
    const sent = outcome(client.publish('a', 1, { timeoutMs: 13_000 }));
    await clock.advance(13_000);
    const { error } = await sent;
    assert.deepEqual([error.code, error.mayBeTaken], ['unanswered', mayBeTaken], JSON.stringify(more));
  }
  const { clock, client } = begin((n) => (n === 1 ? refused({ may_be_taken: true }) : answer(404, { code: 'key_not_found' })));
  const deleted = client.delete('a', 'k');
  await clock.advance(1_000);
  assert.equal(await deleted, undefined, 'what was to go is gone');
});

test('outbox: a refusal for good of what an earlier try may have done says so', async () => {
  const forbidden = () => answer(403, { code: 'forbidden', status: 403 });
  for (const [plays, options, mayBeTaken] of [
    [[cut, forbidden], {}, true],
    [[() => answer(503, { code: 'journal_unavailable' }), forbidden], {}, true],
    [[cut, forbidden, forbidden], { token: () => 't' }, true],
    [[() => answer(404, null)], {}, true],
    [[() => answer(429, { code: 'publishers_busy' }), forbidden], {}, false],
    [[forbidden], {}, false],
    [[() => answer(403, { code: 'forbidden', may_be_taken: true })], {}, true],
  ]) {
    const { clock, requests, client } = begin((n) => plays[n - 1](), options);
    const sent = outcome(client.publish('a', 1));
    await clock.advance(5_000);
    const { error } = await sent;
    assert.ok(error instanceof ProblemError);
    assert.deepEqual([error.mayBeTaken ?? false, requests.length], [mayBeTaken, plays.length], `${plays} ${error.code}`);
  }
});

test('outbox: samples without a time of their own are not sent twice', async () => {
  const { clock, requests, client } = begin(() => cut());
  const bare = outcome(client.samples([{ name: 'a', value: 1 }]));
  await clock.advance(0);
  assert.equal((await bare).error.code, 'unanswered');
  const timed = outcome(client.samples([{ name: 'a', value: 1, timestamp: 1 }]));
  await clock.advance(60_000);
  assert.equal((await timed).error.code, 'unanswered');
  assert.equal((await timed).error.cause.code, 'connection_failed', 'why the last try has failed');
  assert.ok(requests.length > 3, `${requests.length}`);
});

test('outbox: what has no answer in time is handed back with its key', async () => {
  const { clock, client } = begin((n, { signal }) => new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(new DOMException('aborted', 'AbortError')));
  }));
  const [first, second] = [outcome(client.publish('a', 1, { idempotencyKey: 'one', timeoutMs: 5_000 })), outcome(client.publish('a', 2, { timeoutMs: 4_000 }))];
  await clock.advance(5_000);
  assert.deepEqual([(await first).error.code, (await first).error.idempotencyKey, (await first).error.mayBeTaken], ['unanswered', 'one', true]);
  assert.equal((await second).error.mayBeTaken, false, 'it was never sent');
  assert.equal(client.unsent, 0);
  assert.equal(clock.waiting, 0);
});

test('outbox: a try that hangs is given up, and is made again under the same key', async () => {
  const { clock, requests, client } = begin((n, { signal }) => (n > 1 ? answer(201, { cursor: 'e1-1' }) : new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(new DOMException('aborted', 'AbortError')));
  })));
  const published = client.publish('a', 1);
  await clock.advance(14_999);
  assert.equal(requests.length, 1);
  await clock.advance(1 + 1_000);
  assert.deepEqual(await published, { cursor: 'e1-1' });
  assert.equal(requests[0].headers.get('idempotency-key'), requests[1].headers.get('idempotency-key'));
  assert.equal(clock.waiting, 0);
});

test('outbox: once a subscription is back, what waits is tried at once', async () => {
  const transport = new FakeTransport();
  const { clock, requests, client } = begin((n) => (n < 5 ? cut() : answer(n < 6 ? 503 : 201, undefined, n < 6 ? { 'retry-after': '20' } : {})), { transport });
  client.subscribe('a');
  const published = client.publish('a', 1);
  await clock.advance(1_000 + 2_000 + 4_000);
  assert.equal(requests.length, 4, 'the next try is 8 s away');
  transport.newest.give(ready(0, 0));
  await settle();
  assert.equal(requests.length, 5);
  transport.newest.give(ready(0, 0));
  await clock.advance(19_999);
  assert.equal(requests.length, 5, 'what the server asks for is not cut short');
  await clock.advance(1);
  await published;
  client.close();
});

test('outbox: it is bounded', async () => {
  const { client } = begin(() => new Promise(() => {}), { outboxMax: 2 });
  const sent = [1, 2, 3].map((n) => outcome(client.publish('a', n)));
  const { error } = await sent[2];
  assert.deepEqual([error.code, error.mayBeTaken], ['queue_full', false]);
  assert.equal(client.unsent, 2);
  client.close();
  assert.deepEqual(await Promise.all(sent.map(async (one) => (await one).error.code)), ['closed', 'closed', 'queue_full']);

  const large = begin(() => new Promise(() => {}));
  const text = 'x'.repeat(9 * 1024 * 1024);
  void outcome(large.client.publish('a', text));
  assert.equal((await outcome(large.client.publish('a', text))).error.code, 'queue_full', 'by its length, too');
});

test('outbox: a signal takes back what waits', async () => {
  const control = new AbortController();
  const { requests, clock, client } = begin(() => cut());
  const first = outcome(client.publish('a', 1));
  const sent = outcome(client.publish('a', 2, { signal: control.signal }));
  await clock.advance(500);
  control.abort();
  assert.deepEqual([(await sent).error.code, (await sent).error.mayBeTaken], ['aborted', false]);
  assert.equal((await outcome(client.publish('a', 3, { signal: control.signal }))).error.code, 'aborted');
  client.close();
  await first;
  assert.equal(requests.length, 1);
});

test('outbox: a key that an answer was lost for is deleted, and one that never was is not', async () => {
  const missing = { code: 'key_not_found', detail: '', status: 404 };
  const { clock, client } = begin((n) => (n === 2 ? cut() : answer(404, missing)));
  assert.equal((await outcome(client.delete('a', 'k'))).error.code, 'key_not_found');
  const deleted = outcome(client.delete('a', 'k'));
  await clock.advance(1_000);
  assert.deepEqual(await deleted, { value: undefined });
});

test('outbox: a refused token is replaced once', async () => {
  let given = 0;
  const { requests, client } = begin((n) => (n === 2 ? answer(204, null) : answer(401, { code: 'credential_invalid' })), { token: () => `t${(given += 1)}` });
  await client.delete('a', 'k', { ifVersion: 's9-1' });
  assert.deepEqual(requests.map(({ headers }) => headers.get('authorization')), ['Bearer t1', 'Bearer t2']);
  assert.equal(requests[1].url.search, '?key=k&if_version=s9-1');
  const { error } = await outcome(client.publish('a', 1));
  assert.equal(error.code, 'credential_invalid');
});

test('outbox: what is no JSON is refused where it is given', () => {
  const { client } = begin(() => answer(201));
  assert.throws(() => client.publish('a', () => {}), TypeError);
  assert.throws(() => client.publish('a', 1n), TypeError);
});

test('outbox: a topic of which an address would make another is refused where it is given', async () => {
  const { client, requests } = begin(() => answer(201));
  for (const topic of ['a/../b', '../session/token', '.', 'a/..']) {
    assert.throws(() => client.publish(topic, 1), { name: 'TypeError', message: /segment/ }, topic);
    await assert.rejects(client.delete(topic, 'k'), TypeError, topic);
  }
  await Promise.all(['a/...', '.a/b.', 'a.b/..c'].map((topic) => client.publish(topic, 1)));
  assert.deepEqual(requests.map(({ url }) => url.pathname), ['a/...', '.a/b.', 'a.b/..c'].map((topic) => `/base/v1/topics/${topic}`));
});

test('outbox: what is to be tried without end is tried', async () => {
  const { client } = begin(async () => {
    await setTimeout(20);
    return answer(201, { cursor: 'e1-1' });
  }, { clock: systemClock });
  assert.deepEqual(await client.publish('a', 1, { timeoutMs: Infinity }), { cursor: 'e1-1' });
});
