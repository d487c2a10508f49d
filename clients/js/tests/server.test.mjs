// The client against the real binary: what it promises, while the server is killed, hangs, drains and
// the network is cut.

import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import {
  eventually, proves, provesWithConfig, provesWithConfigOf, provesWithFlags, provesWithKeys, provesWithRules, range,
} from '../../../tests/clients/bellwire.mjs';
import { Client, echo, ProblemError } from '../dist/index.js';
import { issuing } from './issuer.mjs';
import { randomOf, SEED, startWire } from './wire.mjs';

console.error(`BELLWIRE_TEST_SEED=${SEED}`);

/** Comes back soon, so that a test with many cuts is short. */
const SOON = { random: () => 0.02 };

function clientOf(server, atEnd, options = {}) {
  const client = new Client(server.url, { ...SOON, ...options });
  atEnd(() => client.close());
  return client;
}

/** The data of so many events. */
async function take(subscription, count) {
  const taken = [];
  for await (const { data } of subscription) {
    taken.push(data);
    if (taken.length === count) break;
  }
  return taken;
}

proves('events come once and in order while the server is killed and the network is cut', async (server, atEnd) => {
  const random = randomOf(SEED);
  const wire = await startWire(server, atEnd);
  const client = clientOf(wire, atEnd);
  const subscription = client.subscribe('lab/**', { after: 'earliest' });
  let gaps = 0;
  subscription.addEventListener('gap', () => { gaps += 1; });
  const count = 150;
  let isDone = false;
  const publishing = (async () => {
    for (const n of range(1, count)) await client.publish(`lab/${n % 3}`, n);
    isDone = true;
  })();
  const breaking = (async () => {
    for (let round = 0; !isDone; round += 1) {
      await setTimeout(random() * 60);
      if (round % 8 === 7) {
        await server.end('SIGKILL');
        await server.start();
      } else {
        wire.cut();
      }
    }
  })();
  assert.deepEqual(await take(subscription, count), range(1, count));
  await Promise.all([publishing, breaking]);
  assert.equal(gaps, 0);
  assert.ok(wire.connections > 8, `${wire.connections} connections`);
});

provesWithFlags('what is gone is told as a gap, in its place', ['--journal', 'memory'], async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  const subscription = client.subscribe('lab/a', { controls: true });
  const iterator = subscription[Symbol.asyncIterator]();
  const next = async () => (await iterator.next()).value;
  assert.equal((await next()).control, 'ready');
  await client.publish('lab/a', 1);
  assert.equal((await next()).data, 1);
  // Another life of the journal.
  await server.end('SIGKILL');
  await server.start();
  await client.publish('lab/a', 2);
  const came = [];
  while (came.at(-1) !== 2) {
    const item = await next();
    came.push(item.control ?? item.data);
  }
  assert.equal(came.filter((one) => one === 'gap').length, 1, `${came}`);
  assert.ok(came.indexOf('gap') < came.indexOf(2), `${came}`);
});

provesWithFlags('a server that hangs is left, and met again where it goes on', ['--heartbeat-interval', '200ms'], async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  const subscription = client.subscribe('lab/a');
  const errors = [];
  subscription.addEventListener('status', ({ detail }) => { if (detail.error) errors.push(detail.error.code); });
  await subscription.ready();
  server.signal('SIGSTOP');
  await eventually('silence to be noticed', () => errors.includes('connection_silent'));
  server.signal('SIGCONT');
  const iterator = subscription[Symbol.asyncIterator]();
  await client.publish('lab/a', 'still here');
  assert.equal((await iterator.next()).value.data, 'still here');
});

proves('a server that drains says when to come back', async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  const subscription = client.subscribe('lab/a');
  await subscription.ready();
  const byes = [];
  const waits = [];
  subscription.addEventListener('bye', ({ detail }) => byes.push(detail));
  subscription.addEventListener('status', ({ detail }) => waits.push(detail.retryInMs));
  await server.end('SIGTERM');
  await eventually('the bye', () => byes.length > 0 && waits.length > 0);
  assert.equal(byes[0].reason, 'drain');
  assert.ok(waits[0] >= byes[0].retry_ms, `${waits[0]} of ${byes[0].retry_ms}`);
  await server.start();
  await subscription.ready();
});

proves('a topic that ends ends the iteration, and so does who comes back to it', async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  const subscription = client.subscribe('jobs/7', { after: 'earliest' });
  await client.publish('jobs/7', 50);
  await client.publish('jobs/7', 100, { end: true });
  const seen = [];
  for await (const { data } of subscription) seen.push(data);
  assert.deepEqual(seen, [50, 100]);
  assert.equal(subscription.error, null);
  for await (const event of client.subscribe('jobs/7', { after: subscription.cursor })) assert.fail(event);
  await assert.rejects(client.publish('jobs/7', 101), { name: 'ProblemError', code: 'topic_ended', status: 409 });
});

const ON_DISK = `
[[topic]]
match = "places/**"
kind = "state"
durability = "disk"

[[topic]]
match = "tickers/**"
kind = "state"
`;

provesWithConfig('a state is current over cuts and kills, deletions included', ON_DISK, async (server, atEnd) => {
  const wire = await startWire(server, atEnd);
  const near = clientOf(server, atEnd);
  const state = clientOf(wire, atEnd).state('places/oslo');
  for (const key of ['a', 'b', 'ключ']) await near.publish('places/oslo', key, { key });
  await state.ready();
  await eventually('the values', () => state.size === 3);
  assert.equal(state.get('ключ'), 'ключ');
  wire.cut();
  await near.delete('places/oslo', 'a');
  await near.publish('places/oslo', 'new', { key: 'c' });
  await eventually('what has changed', () => !state.has('a') && state.get('c') === 'new');
  await server.end('SIGKILL');
  await server.start();
  await near.delete('places/oslo', 'b');
  await eventually('what has changed since', () => !state.has('b') && state.size === 2);

  // In memory: gone with the process.
  const tickers = near.state('tickers/x');
  const { version } = await near.publish('tickers/x', 1.07, { key: 'EURUSD' });
  await eventually('the value', () => tickers.get('EURUSD') === 1.07);
  await assert.rejects(near.publish('tickers/x', 1, { key: 'EURUSD', ifAbsent: true }), { code: 'condition_failed', version });
  await near.publish('tickers/x', 1.08, { key: 'EURUSD', ifVersion: version });
  await eventually('the newer value', () => tickers.get('EURUSD') === 1.08);
  await server.end('SIGKILL');
  await server.start();
  await eventually('its end', () => tickers.size === 0);
});

proves('a query is followed, over a restart, too', async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  const hot = client.query('sum by (site) (temperature) > 90');
  await hot.ready();
  await eventually('what it says of itself', () => hot.info?.mode === 'stream');
  assert.equal(hot.info.query, 'sum by (site) (temperature) > 90');
  const measure = (site, celsius) => client.samples([{ name: 'temperature', labels: { site }, value: celsius }]);
  assert.deepEqual(await measure('oslo', 93.5), { accepted: 1 });
  await measure('rome', 20);
  await eventually('the element', () => hot.get('{site="oslo"}')?.value === 93.5);
  assert.equal(hot.size, 1);
  await server.end('SIGKILL');
  await server.start();
  // A query begins with what comes once it is followed.
  await eventually('its newest value', async () => {
    await measure('oslo', 95);
    return hot.get('{site="oslo"}')?.value === 95;
  });
  await measure('oslo', 20);
  await eventually('its end', () => hot.size === 0);
  await assert.rejects(client.query('sum by (').ready(), { name: 'ProblemError', code: 'query_invalid', status: 400 });
});

const RULES = `groups:
  - name: boilers
    rules:
      - alert: BoilerHot
        expr: boiler_temperature_celsius > 90
        labels: {severity: critical}
`;

provesWithRules('alerts are on the board, and are acknowledged', RULES, async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  const alerts = client.alerts();
  await client.samples([{ name: 'boiler_temperature_celsius', labels: { site: 'oslo' }, value: 93.5 }]);
  await eventually('the alert', () => alerts.size === 1);
  const [[fingerprint, alert]] = [...alerts];
  assert.deepEqual([alert.state, alert.labels.site, alert.value], ['firing', 'oslo', 93.5]);
  const { acknowledged } = await client.acknowledge(fingerprint, { by: 'ada', note: 'on it' });
  assert.equal(acknowledged.by, 'ada');
  await eventually('it on the board', () => alerts.get(fingerprint).state === 'acknowledged');
  await client.unacknowledge(fingerprint);
  await eventually('it taken back', () => alerts.get(fingerprint).state === 'firing');
  await assert.rejects(client.acknowledge('0000000000000000', { by: 'ada' }), { code: 'alert_not_found', status: 404 });
});

provesWithFlags('who follows a room is seen', ['--presence', 'rooms/**'], async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  const present = client.presence('rooms/a');
  const subscription = client.subscribe('rooms/a', { present: { name: 'Ada' }, presentId: '0b6f2a' });
  await subscription.ready();
  const shown = () => [...present].map(([, { shown }]) => shown?.name).filter(Boolean);
  await eventually('Ada', () => shown().includes('Ada'));
});

proves('what cannot be followed is refused with its reason', async (server, atEnd) => {
  const client = clientOf(server, atEnd);
  for (const [topic, options, code] of [
    ['a//b', {}, 'topic_invalid'], ['a', { after: 'yesterday' }, 'cursor_invalid'], ['a', { maxRate: 1e9 }, 'parameter_invalid'],
  ]) {
    const iteration = client.subscribe(topic, options)[Symbol.asyncIterator]();
    await assert.rejects(iteration.next(), (error) => error instanceof ProblemError && error.code === code, code);
  }
  await assert.rejects(client.publish('alerts/active', 1), { code: 'topic_reserved', status: 403 });
  const [repeated, again] = [await client.publish('a', 1, { idempotencyKey: 'one' }), await client.publish('a', 1, { idempotencyKey: 'one' })];
  assert.deepEqual(again, { ...repeated, duplicate: true });
  await client.publish('a', new Uint8Array([1, 2, 255]), { contentType: 'image/x' });
  const [, binary] = await take(client.subscribe('a', { after: 'earliest' }), 2);
  assert.equal(binary, Buffer.from([1, 2, 255]).toString('base64'));
});

const KEYS = { roles: `
[[access.role]]
name = "team"
subscribe = ["teams/{sub}/**"]
publish = ["teams/{sub}/**"]
`, subjects: { red: ['team'] } };

provesWithKeys('a key is shown, and one that does not count ends it', KEYS, async (server, atEnd, { red }) => {
  const client = clientOf(server, atEnd, { token: red });
  const narrowed = [];
  const subscription = client.subscribe(['teams/red/a', 'teams/blue/a']);
  subscription.addEventListener('narrowed', ({ detail }) => narrowed.push(detail.topics));
  await subscription.ready();
  assert.deepEqual(narrowed, [['teams/red/a']]);
  await assert.rejects(client.publish('teams/blue/a', 1, { echo }), { code: 'not_followed' });
  await client.publish('teams/red/a', 1);
  assert.deepEqual(await take(subscription, 1), [1]);
  let asked = 0;
  const wrong = clientOf(server, atEnd, { token: () => `wrong${(asked += 1)}` });
  await assert.rejects(wrong.subscribe('teams/red/a').ready(), { code: 'credential_invalid', status: 401 });
  assert.equal(asked, 2, 'one more is asked for, and no other');
  await assert.rejects(clientOf(server, atEnd).publish('teams/red/a', 1), { code: 'credential_missing', status: 401 });
});

provesWithConfigOf('a stream goes on under newer tokens, without a break', issuing, async (server, atEnd, { token }) => {
  let asked = 0;
  const client = clientOf(server, atEnd, { token: () => token((asked += 1) < 3 ? '2s' : '1h') });
  const subscriptions = [client.subscribe('lab/a'), client.subscribe('lab/b')];
  const statuses = [];
  for (const subscription of subscriptions) {
    await subscription.ready();
    subscription.addEventListener('status', ({ detail }) => statuses.push(detail.status));
  }
  await eventually('the last token', () => asked === 3);
  await setTimeout(2_000);
  assert.deepEqual(statuses, [], 'beyond the end of the tokens before');
  assert.equal(asked, 3, 'one renewal is for both streams');
  await client.publish('lab/a', 1);
  assert.deepEqual(await take(subscriptions[0], 1), [1]);
});
