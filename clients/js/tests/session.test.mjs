// A session in virtual time: how it comes back, how long it waits, when it stops.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, Backoff } from '../dist/parts/backoff.js';
import { ConnectionError, ProblemError, ProtocolError } from '../dist/parts/errors.js';
import { CONNECT_MS, GRACE_MS, HEARTBEATS_MISSED } from '../dist/parts/link.js';
import { HEALTHY_MS, Session } from '../dist/parts/session.js';
import { Token } from '../dist/parts/token.js';
import { event, FakeTransport, gap, ready, settle, VirtualClock } from './fakes.mjs';

const lost = () => new ConnectionError('connection_lost', 'cut');
const refused = (status, retryAfterMs = null, code = undefined) => new ProblemError(status, code ? { code } : {}, retryAfterMs);
/** A draw that is the bound itself, so that waits are known. */
const FULL = 1;

async function begin({ after = null, topics = null, token, random = () => FULL } = {}) {
  const clock = new VirtualClock();
  const transport = new FakeTransport();
  const statuses = [];
  const items = [];
  const renewals = [];
  const source = new Token(token);
  const setting = {
    asking: {}, clock, transport, token: source,
    backoff: () => new Backoff(random),
    renew: (renew, shown) => {
      renewals.push([renew.renews, shown]);
      return source.refresh(shown);
    },
  };
  const receiver = {
    item: (item) => items.push(item),
    room: () => receiver.full,
    full: null,
    status: (change) => statuses.push(change),
    moved() {},
  };
  const session = new Session(setting, { url: new URL('http://bell/v1/events?topic=a'), after, topics }, receiver);
  session.open();
  await settle();
  return { clock, transport, session, statuses, items, renewals, receiver, newest: () => statuses.at(-1) };
}

test('session: it comes back behind the last cursor that it was given', async () => {
  const { clock, transport, items, statuses } = await begin({ after: 'earliest' });
  assert.equal(transport.newest.after, 'earliest');
  transport.newest.give(event(1), event(2));
  transport.newest.end(lost());
  await clock.advance(BACKOFF_FIRST_MS);
  assert.equal(transport.newest.after, 'e1-2');
  transport.newest.give(ready(2), event(5), { control: 'heartbeat', cursor: 'e1-9' });
  transport.newest.end(lost());
  await clock.advance(2 * BACKOFF_FIRST_MS);
  assert.equal(transport.newest.after, 'e1-9');
  assert.deepEqual(items.filter((item) => item.topic).map((item) => item.data), [1, 2, 5]);
  assert.deepEqual(statuses.map(({ status }) => status), [
    'connecting', 'waiting', 'connecting', 'live', 'waiting', 'connecting',
  ]);
});

test('session: where a gap ends is no place to come back to', async () => {
  const { clock, transport } = await begin({ after: 'e1-1' });
  transport.newest.give(gap(1, 50));
  transport.newest.end(lost());
  await clock.advance(BACKOFF_FIRST_MS);
  assert.equal(transport.newest.after, 'e1-1');
});

test('session: events without a cursor leave it where it is', async () => {
  const { clock, transport } = await begin();
  transport.newest.give(ready(3), { topic: 's', key: 'k', time: 0, data: 1 });
  transport.newest.end(lost());
  await clock.advance(BACKOFF_FIRST_MS);
  assert.equal(transport.newest.after, 'e1-3');
});

test('session: what comes of a connection that was left is not given', async () => {
  const { transport, session, items } = await begin();
  const [first] = transport.opened;
  first.give(ready(1), event(2));
  session.close();
  first.give(event(3));
  first.end(lost());
  assert.ok(first.isClosed);
  assert.deepEqual(items.map(({ cursor }) => cursor), ['e1-1', 'e1-2']);
  assert.equal(transport.opened.length, 1);
});

test('session: waits are drawn below bounds that double up to 30 s', async () => {
  const { clock, transport, newest } = await begin();
  const waits = [];
  for (let count = 0; count < 8; count += 1) {
    transport.newest.end(lost());
    waits.push(newest().retryInMs);
    await clock.advance(newest().retryInMs);
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, BACKOFF_MAX_MS, BACKOFF_MAX_MS, BACKOFF_MAX_MS]);
  const none = await begin({ random: () => 0 });
  none.transport.newest.end(lost());
  assert.equal(none.newest().retryInMs, 0, 'full jitter: none of it is certain');
});

test('session: only a spell that was healthy makes the next fault a first one', async () => {
  const { clock, transport, newest } = await begin();
  const cutAfter = async (ms) => {
    transport.newest.give(ready(1));
    await clock.advance(ms);
    transport.newest.end(lost());
    const wait = newest().retryInMs;
    await clock.advance(wait);
    return wait;
  };
  assert.equal(await cutAfter(0), 1_000);
  assert.equal(await cutAfter(HEALTHY_MS - 1), 2_000, 'live is not healthy yet');
  assert.equal(await cutAfter(HEALTHY_MS - 1), 4_000);
  assert.equal(await cutAfter(HEALTHY_MS), 1_000);
});

test('session: Retry-After is the least it waits', async () => {
  const { clock, transport, session, newest } = await begin();
  for (const [status, askedMs, expected] of [[503, 9_120, 9_120], [429, 500, 2_000], [502, null, 4_000]]) {
    transport.newest.end(refused(status, askedMs));
    assert.equal(newest().retryInMs, expected);
    assert.equal(newest().error.status, status);
    const opened = transport.opened.length;
    session.wake('shown');
    await settle();
    assert.equal(transport.opened.length, askedMs ? opened : opened + 1, 'a page that is shown may not come sooner');
    if (askedMs) await clock.advance(expected);
  }
});

test('session: what another try does not change ends it', async () => {
  for (const [status, lasts] of [
    [400, true], [404, true], [406, true], [421, true], [401, true], [403, true],
    [408, false], [425, false], [429, false], [500, false], [502, false], [503, false], [507, false],
  ]) {
    const { clock, transport, newest } = await begin({ token: 'fixed' });
    transport.newest.end(refused(status));
    assert.equal(newest().status, lasts ? 'closed' : 'waiting', `${status}`);
    assert.equal(newest().error.status, status);
    await clock.advance(BACKOFF_FIRST_MS);
    assert.equal(transport.opened.length, lasts ? 1 : 2, `${status}`);
  }
});

test('session: no content, and the ends of all topics, end it', async () => {
  const none = await begin({ after: 'e1-5' });
  none.transport.newest.end(null);
  assert.deepEqual([none.newest().status, none.newest().error], ['closed', null]);

  const named = await begin({ topics: ['a', 'b'] });
  const end = (topic, n) => ({ control: 'end', topic, cursor: `e1-${n}` });
  named.transport.newest.give(ready(1), end('a', 2), { control: 'reopened', topic: 'a', cursor: 'e1-3' }, end('b', 4));
  named.transport.newest.end(lost());
  assert.equal(named.newest().status, 'waiting', 'one goes on');
  await named.clock.advance(BACKOFF_FIRST_MS);
  assert.equal(named.transport.newest.after, 'e1-4');
  named.transport.newest.give(end('a', 5));
  assert.equal(named.newest().status, 'connecting', 'until it is ready');
  named.transport.newest.give(ready(5));
  assert.ok(named.transport.newest.isClosed, 'a WebSocket would stay');
  assert.deepEqual([named.newest().status, named.newest().error], ['closed', null]);

  const wild = await begin({ topics: null });
  wild.transport.newest.give(ready(1), end('a', 2));
  wild.transport.newest.end(lost());
  assert.equal(wild.newest().status, 'waiting', 'others may come');
});

test('session: silence beyond two and a half heartbeats is an end', async () => {
  const { clock, transport, newest } = await begin();
  const [first] = transport.opened;
  first.give(ready(1, 10_000));
  const patience = 10_000 * HEARTBEATS_MISSED;
  await clock.advance(patience - 1);
  assert.equal(newest().status, 'live');
  first.sign();
  await clock.advance(patience - 1);
  assert.equal(newest().status, 'live', 'a heartbeat is a sign');
  await clock.advance(1);
  assert.equal(newest().error.code, 'connection_silent');
  assert.ok(first.isClosed);
  await clock.advance(newest().retryInMs);
  assert.equal(transport.newest.after, 'e1-1');
});

test('session: a connection from which nothing comes at all is left sooner', async () => {
  const { clock, transport, newest } = await begin();
  await clock.advance(CONNECT_MS);
  assert.equal(newest().error.code, 'connection_silent');
  await clock.advance(newest().retryInMs);
  transport.newest.sign();
  await clock.advance(CONNECT_MS);
  assert.equal(newest().status, 'connecting', 'values of before may take their time');
});

test('session: what this side does not read is no silence', async () => {
  const { clock, transport, receiver, newest } = await begin();
  const [first] = transport.opened;
  first.give(ready(1, 10_000));
  let makeRoom;
  receiver.full = new Promise((resolve) => { makeRoom = resolve; });
  void first.sink.room();
  await clock.advance(600_000);
  assert.equal(newest().status, 'live');
  makeRoom();
  await settle();
  await clock.advance(24_999);
  assert.equal(newest().status, 'live');
  await clock.advance(1);
  assert.equal(newest().error.code, 'connection_silent');
});

test('session: after a sleep what has come meanwhile is read before the connection is given up', async () => {
  const { clock, transport, session, newest } = await begin();
  transport.newest.give(ready(1, 10_000));
  clock.jump(3_600_000);
  await clock.advance(25_000);
  assert.equal(newest().status, 'live', 'a timer that comes so late has slept');
  transport.newest.sign();
  await clock.advance(GRACE_MS);
  assert.equal(newest().status, 'live', 'it was there');

  clock.jump(3_600_000);
  session.wake('shown');
  await clock.advance(GRACE_MS - 1);
  assert.equal(newest().status, 'live');
  await clock.advance(1);
  assert.equal(newest().error.code, 'connection_silent');
});

test('session: a clock that is set back ends nothing, and silence is noticed all the same', async () => {
  const { clock, transport, newest } = await begin();
  transport.newest.give(ready(1, 10_000));
  clock.jump(-3_600_000);
  await clock.advance(25_000);
  assert.equal(newest().status, 'live', 'how long it was silent is not known');
  await clock.advance(25_000);
  assert.equal(newest().error.code, 'connection_silent');
});

test('session: a network that is back opens it anew, at once', async () => {
  const { transport, session, newest } = await begin();
  const [first] = transport.opened;
  first.give(ready(1), event(2));
  session.wake('online');
  await settle();
  assert.ok(first.isClosed);
  assert.equal(transport.newest.after, 'e1-2');
  transport.newest.end(lost());
  assert.equal(newest().status, 'waiting');
  session.wake('online');
  await settle();
  assert.equal(transport.opened.length, 3);
  session.close();
  session.wake('online');
  session.wake('shown');
  await settle();
  assert.equal(transport.opened.length, 3, 'who has closed it meant it');
});

test('session: bye says when to come back', async () => {
  const { clock, transport, newest } = await begin();
  const [first] = transport.opened;
  first.give(ready(1), { control: 'bye', reason: 'drain', retry_ms: 4_200 });
  assert.ok(first.isClosed);
  assert.equal(newest().retryInMs, 4_200);
  await clock.advance(4_200);
  transport.newest.give({ control: 'bye', reason: 'connections_exhausted', status: 503, detail: 'full', retry_ms: 9_120 });
  assert.equal(newest().error.code, 'connections_exhausted');
  assert.equal(newest().retryInMs, 9_120);
});

test('session: who was displaced stays away', async () => {
  const { transport, newest } = await begin();
  transport.newest.give(ready(1), { control: 'bye', reason: 'displaced', retry_ms: 0 });
  assert.deepEqual([newest().status, newest().error.code], ['closed', 'displaced']);
});

test('session: a refused token is replaced once, then it is over', async () => {
  let given = 0;
  const { transport, newest } = await begin({ token: () => `t${(given += 1)}` });
  assert.equal(transport.newest.token, 't1');
  transport.newest.end(refused(401, null, 'credential_invalid'));
  await settle();
  assert.equal(transport.newest.token, 't2', 'at once');
  transport.newest.give(ready(1));
  transport.newest.end(refused(403, null, 'forbidden'));
  await settle();
  assert.equal(transport.newest.token, 't3', 'it was good in between');
  transport.newest.end(refused(401, null, 'credential_invalid'));
  await settle();
  assert.deepEqual([newest().status, newest().error.code], ['closed', 'credential_invalid']);
  assert.equal(given, 3);
});

test('session: a newer token that ends while nothing can be reached is replaced, too', async () => {
  let given = 0;
  const { clock, transport, newest } = await begin({ token: () => `t${(given += 1)}` });
  transport.newest.end(refused(401, null, 'credential_invalid'));
  await settle();
  assert.equal(transport.newest.token, 't2');
  transport.newest.end(lost());
  await clock.advance(BACKOFF_FIRST_MS);
  transport.newest.end(refused(401, null, 'credential_invalid'));
  await settle();
  assert.deepEqual([newest().status, transport.newest.token], ['connecting', 't3']);
  transport.newest.end(refused(401, null, 'credential_invalid'));
  await settle();
  assert.equal(newest().status, 'closed', 'a new one that is refused at once is the last');
});

test('session: where a credential has ended it comes back with a newer one', async () => {
  let given = 0;
  const { clock, transport, renewals } = await begin({ token: () => `t${(given += 1)}` });
  transport.newest.give(ready(1), { control: 'renew', expires_in_ms: 60_000, renews: 'bwr_1' });
  await settle();
  transport.newest.give({ control: 'renew', expires_in_ms: 60_000, renews: 'bwr_2' });
  assert.deepEqual(renewals, [['bwr_1', 't1'], ['bwr_2', 't2']], 'it goes on under the newer one');
  transport.newest.give({ control: 'bye', reason: 'credential_expired', retry_ms: 100 });
  await clock.advance(BACKOFF_FIRST_MS);
  assert.equal(transport.newest.token, 't3');
});

test('session: a function of tokens that fails is asked again', async () => {
  let fails = true;
  const { clock, transport, newest } = await begin({
    token: async () => {
      if (fails) throw new Error('no network');
      return 't';
    },
  });
  assert.deepEqual([newest().status, newest().error.code, newest().error.cause.message], ['waiting', 'token_unavailable', 'no network']);
  fails = false;
  await clock.advance(BACKOFF_FIRST_MS);
  assert.equal(transport.newest.token, 't');
});

test('session: what is no Bellwire ends it, unless it was one before', async () => {
  const strange = () => new ProtocolError('not_bellwire', 'a page');
  const { transport, newest } = await begin();
  transport.newest.end(strange());
  assert.deepEqual([newest().status, newest().error.code], ['closed', 'not_bellwire']);

  const known = await begin();
  known.transport.newest.give(ready(1));
  known.transport.newest.end(strange());
  assert.equal(known.newest().status, 'waiting', 'a page in between passes');
});

test('session: closed, it leaves no timer behind', async () => {
  const { clock, transport, session } = await begin();
  transport.newest.give(ready(1));
  session.close();
  assert.equal(clock.waiting, 0);
  const other = await begin();
  other.transport.newest.end(lost());
  other.session.close();
  assert.equal(other.clock.waiting, 0);
});

test('token: many who were refused ask for one newer token', async () => {
  let given = 0;
  const token = new Token(async () => `t${(given += 1)}`);
  assert.deepEqual(await Promise.all([token.get(), token.get()]), ['t1', 't1']);
  assert.deepEqual(await Promise.all([token.refresh('t1'), token.refresh('t1')]), ['t2', 't2']);
  assert.equal(await token.refresh('t1'), 't2', 'that one was replaced already');
  assert.equal(given, 2);
});
