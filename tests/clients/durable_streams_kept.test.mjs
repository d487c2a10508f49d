// Durable Streams over this server's own topics: what outlives a kill, what retention leaves, and who may
// do what.

import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { eventually, proves, provesWithConfig, provesWithKeys, publish, range } from './bellwire.mjs';

const JSON_TYPE = { 'content-type': 'application/json' };
const TEXT_TYPE = { 'content-type': 'text/plain' };

/** Asks of a stream; gives status, headers by name, and the body as text. */
async function ask(server, path, init = {}) {
  const response = await fetch(`${server.url}/v1/ds/${path}`, init);
  const { status, headers } = response;
  return { status, headers: Object.fromEntries(headers), text: await response.text() };
}

const put = (server, path, headers, body) => ask(server, path, { method: 'PUT', headers, body });
const post = (server, path, headers, body) => ask(server, path, { method: 'POST', headers, body });

proves('a topic that nobody has created is a stream of JSON, whatever was published', async (server) => {
  assert.equal((await ask(server, 'lab/a')).status, 404);
  await publish(server, 'lab/a', [1]);
  for (const [type, body] of [['text/plain', 'it is "hot"'], ['image/png', '\u0001']]) {
    const response = await fetch(`${server.url}/v1/topics/lab/a`, {
      method: 'POST', headers: { 'content-type': type }, body,
    });
    assert.equal(response.status, 201);
  }
  const read = await ask(server, 'lab/a');
  assert.equal(read.headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(read.text), [
    { count: 1 }, 'it is "hot"', { encoding: 'base64', data: 'AQ==', content_type: 'image/png' },
  ]);
  assert.equal((await put(server, 'lab/a', TEXT_TYPE)).status, 409);
  assert.equal((await put(server, 'lab/a', JSON_TYPE)).status, 200);
  // What is appended here is an event there.
  assert.equal((await post(server, 'lab/a', JSON_TYPE, '[2,3]')).status, 204);
  const page = await (await fetch(`${server.url}/v1/topics/lab/a`)).json();
  assert.deepEqual(page.events.slice(-2).map(({ data }) => data), [2, 3]);
  // A stream that is longer than a page is read on from where the page ends.
  await post(server, 'lab/a', JSON_TYPE, JSON.stringify(range(4, 2_500)));
  const counts = [];
  let offset = read.headers['stream-next-offset'];
  for (;;) {
    const { headers, text } = await ask(server, `lab/a?offset=${offset}`);
    counts.push(...JSON.parse(text));
    assert.ok(headers['stream-next-offset'] >= offset, 'offsets sort as places do');
    offset = headers['stream-next-offset'];
    if (headers['stream-up-to-date'] === 'true') break;
  }
  assert.deepEqual(counts, range(2, 2_500));
});

proves('what streams are outlives a kill', async (server) => {
  const at = '2099-01-01T00:00:00Z';
  const created = {
    idle: await put(server, 'lab/idle', { ...TEXT_TYPE, 'stream-ttl': '3600' }, 'begun '),
    until: await put(server, 'lab/until', { 'content-type': 'image/png', 'stream-expires-at': at }),
    closed: await put(server, 'lab/closed', { ...JSON_TYPE, 'stream-closed': 'true' }, '[1]'),
    gone: await put(server, 'lab/gone', TEXT_TYPE, 'x'),
  };
  for (const [name, { status }] of Object.entries(created)) assert.equal(status, 201, name);
  const write = (sequence, text) => post(server, 'lab/idle', { ...TEXT_TYPE, 'stream-seq': sequence }, text);
  assert.equal((await write('b', 'one ')).status, 204);
  const producer = { ...TEXT_TYPE, 'producer-id': 'p', 'producer-epoch': '3', 'producer-seq': '0' };
  assert.equal((await post(server, 'lab/idle', producer, 'two')).status, 200);
  assert.equal((await ask(server, 'lab/gone', { method: 'DELETE' })).status, 204);
  const offset = created.gone.headers['stream-next-offset'];

  await server.end('SIGKILL');
  await server.start();
  const head = async (name) => (await ask(server, `lab/${name}`, { method: 'HEAD' })).headers;
  const [idle, until, closed] = [await head('idle'), await head('until'), await head('closed')];
  assert.deepEqual([idle['content-type'], idle['stream-ttl']], ['text/plain', '3600']);
  assert.deepEqual([until['content-type'], until['stream-expires-at']], ['image/png', at]);
  assert.equal(until['stream-next-offset'], created.until.headers['stream-next-offset']);
  assert.equal(closed['stream-closed'], 'true');
  assert.equal((await put(server, 'lab/closed', { ...JSON_TYPE, 'stream-closed': 'true' })).status, 200);

  const late = await write('b', 'again');
  assert.deepEqual([late.status, JSON.parse(late.text).code], [409, 'sequence_stale']);
  assert.equal((await post(server, 'lab/idle', producer, 'two')).status, 204, 'it is known');
  assert.equal((await post(server, 'lab/idle', { ...producer, 'producer-epoch': '2' }, 'x')).status, 403);
  assert.equal((await write('c', '.')).status, 204);
  assert.equal((await ask(server, 'lab/idle')).text, 'begun one two.');

  assert.equal((await ask(server, 'lab/gone')).status, 404, 'it stays deleted');
  assert.equal((await put(server, 'lab/gone', JSON_TYPE, '[]')).status, 201);
  assert.equal((await ask(server, 'lab/gone')).text, '[]');
  assert.equal((await ask(server, `lab/gone?offset=${offset}`)).status, 410);
  // Its producers begin anew, too.
  const first = { ...JSON_TYPE, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' };
  assert.equal((await post(server, 'lab/gone', first, '[1]')).status, 200);
});

proves('who was at the end of a stream that was deleted is told so, though there is another one', async (server) => {
  const gone = async (path, offset) => {
    for (const live of ['', '&live=long-poll', '&live=sse']) {
      const { status, text } = await ask(server, `${path}?offset=${offset}${live}`);
      assert.deepEqual([status, JSON.parse(text).code], [410, 'offset_gone'], `${path} ${live}`);
    }
  };
  const follow = async (path) => {
    const following = await fetch(`${server.url}/v1/ds/${path}?offset=-1&live=sse`);
    // Its last words are where it was.
    return async () => (await following.text()).match(/streamNextOffset":"([^"]+)/g).at(-1).split('"').at(-1);
  };
  // Nothing else happens on this server meanwhile, so that the one begins where the other ended.
  assert.equal((await put(server, 'lab/a', JSON_TYPE, '[1]')).status, 201);
  let last = await follow('lab/a');
  assert.equal((await ask(server, 'lab/a', { method: 'DELETE' })).status, 204);
  assert.equal((await put(server, 'lab/a', TEXT_TYPE, 'another')).status, 201);
  await gone('lab/a', await last());
  assert.equal((await ask(server, 'lab/a')).text, 'another');

  await publish(server, 'lab/b', [1]);
  last = await follow('lab/b');
  assert.equal((await ask(server, 'lab/b', { method: 'DELETE' })).status, 204);
  const offset = await last();
  await publish(server, 'lab/b', [2]);
  await gone('lab/b', offset);
  assert.equal((await ask(server, 'lab/b')).text, '[{"count":2}]');
});

const SHORT = '[[topic]]\nmatch = "lab/**"\nretention_age = "1s"\n';

/** Longer than the server waits before it looks for what may be forgotten. */
const SWEEP_MS = 6_000;

provesWithConfig('who wrote a stream that was deleted is nobody to a later one, though nothing is left of it', SHORT, async (server) => {
  const producer = { ...JSON_TYPE, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' };
  const ordered = (sequence) => ({ ...JSON_TYPE, 'stream-seq': sequence });
  await publish(server, 'lab/a', [1]);
  assert.equal((await post(server, 'lab/a', producer, '2')).status, 200);
  assert.equal((await post(server, 'lab/a', ordered('9'), '3')).status, 204);
  assert.equal((await ask(server, 'lab/a', { method: 'DELETE' })).status, 204);
  await eventually('retention', async () => {
    const { topics } = await (await fetch(`${server.url}/v1/topics?prefix=lab/`)).json();
    return topics.every(({ events }) => events === 0);
  });
  await setTimeout(SWEEP_MS);
  // Nobody creates it.
  await publish(server, 'lab/a', [4]);
  assert.equal((await post(server, 'lab/a', producer, '5')).status, 200, 'it is not one that is known');
  assert.equal((await post(server, 'lab/a', ordered('1'), '6')).status, 204);
});

const FEW = '[[topic]]\nmatch = "lab/**"\nretention_events_max = 3\n\n[[topic]]\nmatch = "state/**"\nkind = "state"\n';

provesWithConfig('what retention has removed is gone for who asks for it', FEW, async (server) => {
  const { headers } = await put(server, 'lab/few', JSON_TYPE, '[1]');
  await post(server, 'lab/few', JSON_TYPE, '[2,3,4,5]');
  const beginning = headers['stream-next-offset'];
  await eventually('retention', async () => (await ask(server, 'lab/few')).text === '[3,4,5]');
  for (const live of ['', '&live=long-poll', '&live=sse']) {
    const gone = await ask(server, `lab/few?offset=${beginning}${live}`);
    assert.deepEqual([gone.status, JSON.parse(gone.text).code], [410, 'offset_gone'], live);
  }
  const foreign = beginning.replace(/^\d+/, '0000000001');
  assert.equal((await ask(server, `lab/few?offset=${foreign}`)).status, 410, 'of another epoch');
  // State topics are none of these.
  const refused = await put(server, 'state/a', JSON_TYPE);
  assert.deepEqual([refused.status, JSON.parse(refused.text).code], [409, 'kind_mismatch']);
  assert.equal((await put(server, 'alerts/mine', JSON_TYPE)).status, 403, "the server's own");
});

const SLOW = `
[[access.role]]
name = "slow"
subscribe = ["lab/**"]
publish = ["lab/**"]
limits = { events_per_second = 1 }
`;

provesWithKeys('that there is a stream counts as an event, and so does that it is closed', { roles: SLOW, subjects: { eve: ['slow'] } }, async (server, atEnd, keys) => {
  const headers = { ...JSON_TYPE, authorization: `Bearer ${keys.eve}` };
  const untilRefused = async (make) => {
    for (const number of range(1, 500)) {
      const { status } = await make(number);
      if (status === 429) return;
      assert.ok(status < 300, `${status}`);
    }
    assert.fail('never refused');
  };
  await untilRefused((number) => put(server, `lab/${number}`, headers));
  await untilRefused(() => post(server, 'lab/1', { ...headers, 'stream-closed': 'true' }));
});

const ROLES = `
[[access.role]]
name = "team"
subscribe = ["teams/{sub}/**"]
publish = ["teams/{sub}/**"]

[[access.role]]
name = "reader"
subscribe = ["teams/**"]
`;

const TEAMS = { red: ['team'], blue: ['team'], eve: ['reader'] };

provesWithKeys('who may read or write a topic may do so with its stream', { roles: ROLES, subjects: TEAMS }, async (server, atEnd, keys) => {
  const as = (subject, headers = {}) => ({ ...headers, authorization: `Bearer ${keys[subject]}` });
  const [url, path] = [`${server.url}/v1/ds/teams/red/log`, 'teams/red/log'];
  assert.equal((await put(server, path, JSON_TYPE)).status, 401);
  for (const subject of ['blue', 'eve']) {
    for (const method of ['PUT', 'POST', 'DELETE']) {
      const body = method === 'DELETE' ? undefined : '[1]';
      const { status } = await ask(server, path, { method, headers: as(subject, JSON_TYPE), body });
      assert.equal(status, 403, `${subject} ${method}`);
    }
  }
  assert.equal((await put(server, path, as('red', JSON_TYPE), '[1]')).status, 201);
  for (const query of ['', '?offset=-1&live=long-poll', '?offset=-1&live=sse']) {
    assert.equal((await ask(server, path + query, { headers: as('blue') })).status, 403, query);
  }
  assert.equal((await ask(server, path, { method: 'HEAD', headers: as('blue') })).status, 403);
  const read = await ask(server, path, { headers: as('eve') });
  assert.equal(read.text, '[1]');
  // What somebody may read can change: nothing is kept without asking.
  assert.equal(read.headers['cache-control'], 'private, no-cache');
  const held = await ask(server, path, { headers: { ...as('eve'), 'if-none-match': read.headers.etag } });
  assert.deepEqual([held.status, held.text], [304, '']);

  const control = new AbortController();
  atEnd(() => control.abort());
  const live = await fetch(`${url}?offset=now&live=sse`, { headers: as('eve'), signal: control.signal });
  let seen = '';
  const reading = (async () => {
    for await (const piece of live.body.pipeThrough(new TextDecoderStream())) seen += piece;
  })().catch(() => {});
  await eventually('where it is', () => seen.includes('upToDate'));
  // A producer's name is its subject's own.
  const producer = { ...JSON_TYPE, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' };
  assert.equal((await post(server, path, as('red', producer), '{"n":2}')).status, 200);
  await eventually('what was appended', () => seen.includes('data:[{"n":2}]'));
  assert.equal((await ask(server, path, { method: 'DELETE', headers: as('red') })).status, 204);
  await reading;
  assert.ok(!seen.includes('streamClosed'), 'what is deleted is not at its end');
  assert.equal((await ask(server, `${path}?offset=-1`, { headers: as('eve') })).status, 404);
});
