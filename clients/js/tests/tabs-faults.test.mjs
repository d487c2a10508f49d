// One connection for all tabs, while the server is away, refuses, or is another one, and tokens end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError, ProblemError } from '../dist/index.js';
import { follow, run, setUp } from './tabs.mjs';

/** Tabs that follow the same, one after the other: the first one leads. */
async function followInTabs({ clock, browser, server }, count, options = {}) {
  const followed = [];
  for (let n = 0; n < count; n += 1) {
    followed.push(follow(browser.open(server, options), 'a/**'));
    await run(clock);
  }
  return followed;
}

const statusOf = ({ subscription }) => subscription.status;

test('where the server is away when another tab takes the lead, all say so and wait ever longer', async () => {
  const at = setUp();
  const { clock, server } = at;
  const followed = await followInTabs(at, 3, { random: () => 1 });
  server.refuse = () => new ConnectionError('connection_failed', 'there is nobody');
  followed[0].tab.crash();
  await run(clock, 2_000);
  const others = followed.slice(1);
  for (const { statuses } of others) assert.ok(statuses.includes('waiting'), `${statuses}`);
  const before = server.opened;
  await run(clock, 120_000, 200);
  assert.ok(server.opened - before < 30, `${server.opened - before} tries in two minutes`);
  server.refuse = () => null;
  server.publish('a/1', 1);
  await run(clock, 60_000, 200);
  assert.deepEqual(others.map(statusOf), ['live', 'live']);
  assert.deepEqual(others.map(({ data }) => data), [[1], [1]]);
  assert.equal(server.connections.size, 1);
});

test('where the one that takes the lead has a token that counts no more, a newer one is asked for', async () => {
  const at = setUp();
  const { clock, server } = at;
  let newest = 0;
  const followed = await followInTabs(at, 3, { token: () => `${newest}` });
  newest = 1;
  server.refuseToken = (token) => (token === '1' ? null : 401);
  followed[0].tab.crash();
  server.publish('a/1', 1);
  await run(clock, 10_000, 100);
  const others = followed.slice(1);
  assert.deepEqual(others.map(statusOf), ['live', 'live']);
  assert.deepEqual(others.map(({ data }) => data), [[1], [1]]);
  assert.deepEqual([...server.connections].map(({ token }) => token), ['1']);
});

test('the shared connection is opened anew with the token under which it was renewed', async () => {
  const { clock, browser, server } = setUp();
  let newest = 0;
  const token = () => `${newest}`;
  const leads = browser.open(server, { token });
  const followed = [follow(leads, 'a/**'), follow(leads, 'b/**')];
  await run(clock);
  newest = 1;
  for (const connection of server.connections) connection.say({ control: 'renew', expires_in_ms: 60_000, renews: 'bwr_1' });
  await run(clock);
  server.refuseToken = (token) => (token === '1' ? null : 401);
  followed.push(follow(browser.open(server, { token }), 'c/**'));
  await run(clock);
  assert.deepEqual(followed.map(({ statuses }) => statuses), Array(3).fill(['connecting', 'live']));
  assert.deepEqual([...server.connections].map(({ token }) => token), ['1']);
});

test('a page that is not looked at gets a newer token, too', async (t) => {
  const { clock, browser, server } = setUp();
  globalThis.document = Object.assign(new EventTarget(), { hidden: true, visibilityState: 'hidden' });
  t.after(() => delete globalThis.document);
  server.refuseToken = (token) => (token === '1' ? null : 401);
  let asked = 0;
  const followed = follow(browser.open(server, { token: () => `${asked++}` }), 'a/**');
  await run(clock);
  assert.equal(followed.subscription.status, 'live');
  assert.equal(asked, 2);
});

test('a server that says later to who somebody is is asked later', async () => {
  const { clock, browser, server } = setUp();
  server.whoami = 503;
  const followed = [0, 1].map(() => follow(browser.open(server, { random: () => 0.5 }), 'a/**'));
  await run(clock);
  assert.deepEqual(followed.map(statusOf), ['waiting', 'waiting']);
  server.whoami = 200;
  await run(clock, 5_000);
  assert.deepEqual(followed.map(statusOf), ['live', 'live']);
  assert.equal(server.connections.size, 1);
});

test('who waits for a turn waits, however long those before take', async () => {
  const { clock, browser, server } = setUp();
  for (let n = 0; n < 5_000; n += 1) server.publish('a/1', n);
  // There is so much for these that they do not end soon.
  for (let n = 0; n < 2; n += 1) follow(browser.open(server), 'a/**', { after: 'earliest' });
  await run(clock, 1_000);
  const followed = follow(browser.open(server), 'b/**');
  await run(clock, 45_000, 100);
  assert.deepEqual(followed.statuses, ['connecting', 'live']);
});

test('a query goes on in a stream that comes back at its cursor', async () => {
  const { clock, browser, server } = setUp();
  const got = [0, 1].map(() => browser.open(server)).map((tab) => ({ tab, query: tab.follower.query('up') }));
  server.set('{}', { value: 1 }, 'query/up');
  await run(clock);
  // Nothing changes meanwhile.
  for (const { tab } of got) for (const subscription of tab.follower.subscriptions) subscription.wake('online');
  await run(clock);
  server.set('{}', { value: 2 }, 'query/up');
  await run(clock);
  assert.deepEqual(got.map(({ query }) => query.get('{}')), [{ value: 2 }, { value: 2 }]);
  assert.equal(server.connections.size, 1);
});

test('no more is asked for together than a connection takes, also where it does not say why it is refused', async () => {
  const { clock, browser, server } = setUp();
  server.refuse = ({ filters }) => (filters.length > 64 ? new ConnectionError('connection_lost', '1006') : null);
  const followed = ['a', 'b', 'c'].map((name) => follow(browser.open(server), Array.from({ length: 30 }, (_, n) => `${name}/${n}`)));
  await run(clock, 1_000);
  for (const name of ['a', 'b', 'c']) server.publish(`${name}/7`, name);
  await run(clock);
  assert.deepEqual(followed.map(({ data }) => data), [['a'], ['b'], ['c']]);
  assert.ok(followed.every(({ statuses }) => !statuses.includes('waiting')));
  assert.equal(server.connections.size, 2);
});

test('where the journal is another one while another tab takes the lead, each has its gap and all behind it', async () => {
  const at = setUp();
  const { clock, browser, server } = at;
  for (let n = 0; n < 50; n += 1) server.publish('a/1', n);
  const followed = await followInTabs(at, 3);
  const gaps = followed.map(({ subscription }) => {
    const told = [];
    subscription.addEventListener('gap', ({ detail }) => told.push(detail.reason));
    return told;
  });
  followed[0].tab.crash();
  server.restart();
  for (let n = 100; n < 110; n += 1) server.publish('a/1', n);
  // It knows of the new journal alone, and comes while the others wait for who leads.
  const newest = follow(browser.open(server), 'a/**');
  await run(clock, 100, 400);
  await run(clock, 10_000, 200);
  server.publish('a/1', 110);
  await run(clock);
  const all = Array.from({ length: 11 }, (_, n) => n + 100);
  assert.deepEqual([...followed.slice(1), newest].map(({ data }) => data), [all, all, [110]]);
  assert.deepEqual(gaps.slice(1), [['epoch'], ['epoch']]);
  assert.equal(server.connections.size, 1);
});

test('a server that is overloaded for a moment is given no more connections for that', async () => {
  const at = setUp();
  const { clock, server } = at;
  const followed = await followInTabs(at, 5);
  server.refuse = () => {
    server.refuse = () => null;
    return new ProblemError(503, { code: 'connections_exhausted' }, 1_000);
  };
  followed[0].tab.crash();
  server.publish('a/1', 1);
  await run(clock, 60_000, 200);
  assert.deepEqual(followed.slice(1).map(({ data }) => data), Array(4).fill([1]));
  assert.equal(server.connections.size, 1);
});
