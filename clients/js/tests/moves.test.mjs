// Moves between transports that are played, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../dist/parts/backoff.js';
import { ConnectionError, ProblemError } from '../dist/parts/errors.js';
import { HELD_MAX, LEFT_ALONE_MS, moving, MUTE_MS } from '../dist/parts/moves.js';
import { OFTEN_COUNT, OFTEN_MS, QUIET_MS } from '../dist/parts/rate.js';
import { Subscription } from '../dist/parts/subscription.js';
import { Token } from '../dist/parts/token.js';
import { event, FakeTransport, ready, settle, VirtualClock } from './fakes.mjs';
import { randomOf, SEED } from './wire.mjs';

console.error(`BELLWIRE_TEST_SEED=${SEED}`);

const failed = () => new ConnectionError('connection_failed', 'refused');
const lost = () => new ConnectionError('connection_lost', 'cut');

function subscribe(clock, transport, random = () => 1) {
  let given = 0;
  const token = new Token(() => `t${(given += 1)}`);
  const setting = { asking: {}, clock, transport, token, backoff: () => new Backoff(random), renew: (_, old) => token.refresh(old) };
  const followed = { url: new URL('http://bell/v1/events?topic=a'), after: 'earliest', topics: null };
  const subscription = new Subscription(setting, followed, { controls: false, signal: undefined, onClose() {} });
  const heard = { data: [], moves: [], statuses: [] };
  subscription.addEventListener('event', ({ detail }) => heard.data.push(detail.data));
  subscription.addEventListener('move', ({ detail: { from, to, reason } }) => heard.moves.push(`${from}>${to} ${reason}`));
  subscription.addEventListener('status', ({ detail }) => heard.statuses.push(detail.error?.code ?? detail.status));
  return { subscription, heard };
}

async function begin({ hasChannel = false } = {}) {
  const clock = new VirtualClock();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new FakeTransport(name));
  b.isChannel = hasChannel;
  const transport = moving([a, b, c]);
  const { subscription, heard } = subscribe(clock, transport);
  await settle();
  return { clock, a, b, c, transport, subscription, ...heard };
}

test('moves: one that is mute is left for the next, and tried again later', async () => {
  const { clock, a, b, data, moves, statuses } = await begin();
  await clock.advance(MUTE_MS);
  assert.ok(a.newest.isClosed);
  assert.deepEqual([moves, b.newest.after], [['a>b mute'], 'earliest']);
  b.newest.give(event(1), ready(1));
  await clock.advance(LEFT_ALONE_MS - MUTE_MS);
  b.newest.give(event(2));
  await clock.advance(MUTE_MS);
  assert.equal(a.opened.length, 2, 'it is tried out');
  a.newest.sign();
  assert.ok(a.opened[1].isClosed, 'it comes through');
  assert.deepEqual([a.opened.length, a.newest.after], [3, 'e1-2']);
  b.newest.give(event(3));
  assert.deepEqual(data, [1, 2], 'what comes from the cursor on comes from one of them');
  a.newest.give(event(3), event(4));
  assert.ok(b.newest.isClosed);
  assert.deepEqual([data, moves], [[1, 2, 3, 4], ['a>b mute', 'b>a better']]);
  assert.deepEqual(statuses, ['connecting', 'live'], 'nobody was cut off');
});

test('moves: one that still does not come through is left alone for longer', async () => {
  const { clock, a, b, data } = await begin();
  a.newest.end(failed());
  b.newest.give(ready(0));
  const tried = [];
  const start = clock.now();
  for (let count = 0; count < 40; count += 1) {
    await clock.advance(10_000);
    b.newest.give(event(count));
    if (a.opened.length > tried.length + 1) tried.push(Math.round((clock.now() - start) / 10_000));
  }
  assert.deepEqual(tried, [3, 10, 22], 'after 30 s, 60 s, 120 s');
  assert.equal(data.length, 40, 'and nothing waits for it');
});

test('moves: where none comes through it is time to wait', async () => {
  const { clock, a, b, c, statuses, moves } = await begin();
  a.newest.end(failed());
  b.newest.end(failed());
  c.newest.end(failed());
  assert.deepEqual(statuses, ['connecting', 'connection_failed']);
  await clock.advance(1_000);
  assert.equal(a.opened.length, 2, 'it begins anew with the best');
  a.newest.give(ready(1));
  assert.deepEqual(moves, ['a>b failed', 'b>c failed']);
  assert.equal(statuses.at(-1), 'live');
});

test('moves: what the server says is no fault of the transport, nor is a cut', async () => {
  const { clock, a, b, statuses } = await begin();
  a.newest.end(new ProblemError(503, {}, null));
  await clock.advance(1_000);
  a.newest.give(ready(1));
  a.newest.end(lost());
  await clock.advance(2_000);
  assert.deepEqual([a.opened.length, b.opened.length, a.newest.after], [3, 0, 'e1-1']);
  a.newest.end(null);
  assert.equal(statuses.at(-1), 'closed');
});

test('moves: one that is asked for is made once it comes through', async () => {
  const { clock, a, b, c, transport, data, moves } = await begin();
  transport.move('b');
  assert.equal(b.opened.length, 0, 'it is not live yet');
  a.newest.give(event(1), ready(1));
  a.newest.give(event(2));
  await clock.advance(MUTE_MS);
  assert.deepEqual([moves, data], [[], [1, 2]]);
  transport.move('c');
  c.newest.sign();
  a.newest.give(event(3));
  await clock.advance(MUTE_MS);
  assert.deepEqual(data, [1, 2, 3], 'it came through and is mute then: the leader leads on');
  transport.move('c');
  c.newest.sign();
  a.newest.end(lost());
  c.newest.give(event(4), ready(4));
  assert.deepEqual([moves, data], [['a>c asked'], [1, 2, 3, 4]]);
  await clock.advance(LEFT_ALONE_MS);
  assert.deepEqual([moves, a.opened.length], [['a>c asked'], 1], 'it stays where it was asked to');
  c.newest.end(lost());
  await clock.advance(1_000);
  assert.equal(a.opened.length, 2, 'until that is cut');
  assert.throws(() => transport.move('d'), TypeError);
  assert.throws(() => moving([]), TypeError);
});

test('moves: one that is asked for before it is live, or beside another, is made once it can be', async () => {
  const { clock, a, b, c, transport, data, moves } = await begin();
  transport.move('b');
  a.newest.give(event(1), ready(1));
  assert.equal(b.opened.length, 1, 'it is tried out now');
  transport.move('c');
  b.newest.sign();
  b.newest.give(event(2), ready(2));
  assert.deepEqual(moves, ['a>b asked']);
  c.newest.sign();
  c.newest.give(event(3), ready(3));
  assert.deepEqual([data, moves], [[1, 2, 3], ['a>b asked', 'b>c asked']]);
  // What was asked for while the one before it fails is made, too.
  transport.move('a');
  transport.move('b');
  a.newest.end(failed());
  b.newest.sign();
  b.newest.give(ready(3, 0));
  assert.equal(moves.at(-1), 'c>b asked');
  await clock.advance(LEFT_ALONE_MS * 3);
  assert.deepEqual(moves.slice(3), [], 'it stays');
});

test('moves: one that is asked for while it leads anyway stays, however quiet it becomes', async () => {
  const begun = await begin({ hasChannel: true });
  const { clock, a, b, transport, moves } = begun;
  a.newest.give(ready(0, 0));
  await send(begun, OFTEN_MS / 800 + 1, 800);
  b.newest.sign();
  b.newest.give(ready(0, 0));
  assert.deepEqual(moves, ['a>b sending']);
  transport.move('b');
  await clock.advance(3 * QUIET_MS);
  assert.deepEqual([moves, a.opened.length], [['a>b sending'], 1]);
});

test('moves: where both are lost it comes back at the cursor', async () => {
  const { clock, a, b, transport, data } = await begin();
  a.newest.give(event(1), ready(1));
  transport.move('b');
  b.newest.sign();
  a.newest.give(event(2));
  a.newest.end(lost());
  b.newest.end(lost());
  await clock.advance(1_000);
  assert.equal(a.newest.after, 'e1-1');
  a.newest.give(event(2), ready(2));
  assert.deepEqual(data, [1, 2]);
});

test('moves: where all topics have ended meanwhile it is over', async () => {
  const { a, b, transport, statuses } = await begin();
  a.newest.give(ready(1));
  transport.move('b');
  b.newest.sign();
  a.newest.end(lost());
  b.newest.end(null);
  assert.equal(statuses.at(-1), 'closed');
});

test('moves: after a renewal the next one shows the newer token', async () => {
  const { a, b, c, transport } = await begin();
  assert.equal(a.newest.token, 't1');
  a.newest.give(ready(1), { control: 'renew', renews: 'r', expires_in_ms: 60_000 });
  await settle();
  transport.move('b');
  assert.equal(b.newest.token, 't2', 'tried out');
  b.newest.sign();
  assert.equal(b.newest.token, 't2', 'moved to');
  b.newest.sign();
  b.newest.give(ready(1), { control: 'renew', renews: 's', expires_in_ms: 60_000 });
  await settle();
  transport.move('c');
  assert.equal(c.newest.token, 't3');
});

test('moves: what is held meanwhile is bounded, and given where the move fails', async () => {
  const { clock, a, b, transport, data } = await begin();
  a.newest.give(ready(0));
  transport.move('b');
  b.newest.sign();
  const numbers = Array.from({ length: HELD_MAX }, (_, index) => index + 1);
  for (const n of numbers) {
    assert.equal(a.newest.sink.room(), null, `${n}`);
    a.newest.give(event(n));
  }
  let isRead = false;
  void a.newest.sink.room().then(() => { isRead = true; });
  await settle();
  assert.deepEqual([isRead, data], [false, []]);
  await clock.advance(MUTE_MS);
  assert.deepEqual([isRead, data], [true, numbers]);
  assert.equal(a.newest.sink.room(), null);
});

test('moves: a clock that is set back keeps no transport away for longer than any is', async () => {
  const { clock, a, b, moves } = await begin();
  await clock.advance(MUTE_MS);
  b.newest.give(ready(1, 0));
  clock.jump(-24 * 3_600_000);
  await clock.advance(LEFT_ALONE_MS);
  assert.equal(a.opened.length, 2, 'it is tried out');
  a.newest.sign();
  a.newest.give(ready(1, 0));
  assert.deepEqual(moves, ['a>b mute', 'b>a better']);
});

test('moves: closed, nothing is left open and no timer waits', async () => {
  const { clock, a, b, transport, subscription } = await begin();
  a.newest.give(ready(1));
  transport.move('b');
  subscription.close();
  assert.ok(a.newest.isClosed && b.newest.isClosed);
  assert.equal(clock.waiting, 0);
});

/** Sends so many, so many milliseconds apart. */
async function send({ clock, transport }, count, everyMs) {
  for (let sent = 0; sent < count; sent += 1) {
    transport.sent(clock);
    await clock.advance(everyMs);
  }
}

/** Nothing is sent until this transport is opened once more. */
async function quietUntilOpened(clock, transport) {
  const before = transport.opened.length;
  for (let passedMs = 0; passedMs < QUIET_MS + 500 && transport.opened.length === before; passedMs += 500) await clock.advance(500);
  assert.equal(transport.opened.length, before + 1, 'it is tried out');
}

test('moves: who sends often comes over the channel, and back once it is quiet', async () => {
  const begun = await begin({ hasChannel: true });
  const { clock, a, b, moves, data, statuses } = begun;
  a.newest.give(event(1), ready(1, 0));
  await send(begun, OFTEN_MS / 800 - 1, 800);
  assert.deepEqual([moves, b.opened.length], [[], 0], 'not for long yet');
  await send(begun, 2, 800);
  assert.equal(b.opened.length, 1, 'it is tried out');
  b.newest.sign();
  a.newest.give(event(2));
  b.newest.give(event(2), ready(2, 0));
  assert.deepEqual([moves, data], [['a>b sending'], [1, 2]]);
  // Less often, and not quiet.
  await send(begun, 40, QUIET_MS / (OFTEN_COUNT + 2));
  assert.deepEqual(moves, ['a>b sending']);
  await quietUntilOpened(clock, a);
  a.newest.sign();
  a.newest.give(event(3), ready(3, 0));
  assert.ok(b.newest.isClosed);
  assert.deepEqual([moves, data], [['a>b sending', 'b>a quiet'], [1, 2, 3]]);
  assert.deepEqual(new Set(statuses), new Set(['connecting', 'live']), 'nobody was cut off');
  begun.subscription.close();
  assert.equal(clock.waiting, 0);
});

test('moves: a burst, or once a second, is not often', async () => {
  const begun = await begin({ hasChannel: true });
  begun.a.newest.give(ready(0, 0));
  await send(begun, 500, 0);
  await begun.clock.advance(OFTEN_MS);
  await send(begun, 500, 0);
  await begun.clock.advance(OFTEN_MS);
  await send(begun, 60, 1_000);
  assert.deepEqual([begun.moves, begun.b.opened.length], [[], 0]);
});

test('moves: where the channel does not come through it stays, and that is tried again later', async () => {
  const begun = await begin({ hasChannel: true });
  const { clock, a, b, moves, data } = begun;
  a.newest.give(ready(0, 0));
  const start = clock.now();
  const tried = [];
  for (let count = 1; count <= 600; count += 1) {
    await send(begun, 1, 500);
    a.newest.give(event(count));
    if (b.opened.length === tried.length) continue;
    tried.push(Math.round((clock.now() - start) / 10_000));
    b.newest.end(failed());
  }
  assert.deepEqual(tried, [1, 4, 10, 22], 'after 30 s, 60 s, 120 s');
  assert.deepEqual([moves, data.length], [[], 600], 'and nothing waits for it');
  await clock.advance(QUIET_MS * 20);
  assert.equal(b.opened.length, tried.length, 'and not once it is quiet');
});

test('moves: what is opened while it is often begins with the channel, and falls back', async () => {
  const clock = new VirtualClock();
  const [a, b] = ['a', 'b'].map((name) => new FakeTransport(name));
  b.isChannel = true;
  const transport = moving([a, b]);
  await send({ clock, transport }, 30, 500);
  assert.equal(clock.waiting, 0, 'nothing is open that could move');
  const { heard, subscription } = subscribe(clock, transport);
  await settle();
  assert.deepEqual([a.opened.length, b.opened.length], [0, 1]);
  b.newest.end(failed());
  a.newest.give(ready(1, 0));
  assert.deepEqual(heard.moves, ['b>a failed']);
  await send({ clock, transport }, LEFT_ALONE_MS / 500 + 1, 500);
  b.newest.sign();
  b.newest.give(ready(1, 0));
  assert.deepEqual(heard.moves, ['b>a failed', 'a>b sending']);
  await quietUntilOpened(clock, a);
  a.newest.sign();
  a.newest.give(ready(1, 0));
  assert.equal(heard.moves.at(-1), 'b>a quiet');
  // One that has no better one, and one that has no channel, stay.
  for (const transports of [[b, a], [a]]) {
    const stays = moving(transports);
    const other = subscribe(clock, stays);
    await settle();
    transports[0].newest.give(ready(1, 0));
    const before = a.opened.length + b.opened.length;
    await send({ clock, transport: stays }, 40, 500);
    assert.equal(a.opened.length + b.opened.length, before);
    other.subscription.close();
  }
  subscription.close();
});

/** A server with one order of events, and a transport that brings them with delays and cuts. */
class Played {
  constructor(name, log, clock, random) {
    Object.assign(this, { name, log, clock, random });
  }

  open({ url }, sink) {
    const { log, clock, random } = this;
    const after = url.searchParams.get('after');
    let at = after === 'earliest' ? 0 : Number(after.slice(3));
    let isOver = false;
    const isMute = random() < 0.05;
    let isReady = false;
    const over = (error) => {
      isOver = true;
      sink.closed(error);
    };
    const step = () => {
      if (isOver || isMute) return;
      if (random() < 0.005) return over(lost());
      sink.sign();
      for (let count = Math.floor(random() * 4); count > 0 && at < log.length && !isOver; count -= 1) {
        at += 1;
        sink.item(event(at));
      }
      if (at === log.length && !isReady && !isOver) {
        isReady = true;
        sink.item(ready(at));
      }
      clock.after(random() * 30, step);
    };
    if (random() < 0.1) clock.after(1, () => { if (!isOver) over(failed()); });
    else clock.after(random() * 200, step);
    return { close: () => { isOver = true; } };
  }
}

test('moves: through hundreds of them and of cuts each event comes once, in order', async () => {
  const random = randomOf(SEED);
  const moves = [];
  let cuts = 0;
  for (let round = 0; round < 40; round += 1) {
    const clock = new VirtualClock();
    const log = [];
    const names = ['a', 'b', 'c'];
    const transport = moving(names.map((name) => new Played(name, log, clock, random)), { leftAloneMs: 500 });
    const { subscription, heard } = subscribe(clock, transport, () => 0.02);
    for (let count = 0; count < 400; count += 1) {
      log.push(count);
      if (random() < 0.3) transport.move(names[Math.floor(random() * 3)]);
      await clock.advance(random() * 60);
    }
    await clock.advance(20_000);
    assert.deepEqual(heard.data, log.map((_, index) => index + 1), `round ${round}`);
    moves.push(...heard.moves);
    cuts += heard.statuses.filter((status) => status === 'connection_lost').length;
    subscription.close();
  }
  const count = (reason) => moves.filter((move) => move.endsWith(reason)).length;
  const told = ['asked', 'better', 'mute', 'failed'].map((reason) => `${count(reason)} ${reason}`);
  console.error(`   moves: ${told.join(', ')}; ${cuts} cuts`);
  assert.ok(count('asked') > 200 && count('better') > 15 && count('mute') > 4 && cuts > 150, `${told}, ${cuts} cuts`);
});
