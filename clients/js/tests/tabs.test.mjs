// One connection for all tabs, with locks, channels and time that tests play.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError, ProblemError, tabs } from '../dist/index.js';
import { topicsOf } from '../dist/parts/filters.js';
import { isAfter, older } from '../dist/parts/shared.js';
import { VirtualClock } from './fakes.mjs';
import { follow, isIn, run, setUp } from './tabs.mjs';

test('filters let the topics through that the server does', () => {
  const cases = [
    ['a/b', ['a/b'], ['a', 'a/b/c', 'a/B']],
    ['a/*', ['a/b', 'a/é'], ['a', 'a/b/c', 'a/']],
    ['a/**', ['a', 'a/b', 'a/b/c'], ['ab', 'b/a']],
    ['**', ['a', 'a/b', 'alerts/active', 'samples/x'], ['$sys/server', 'query/1', 'presence/a']],
    ['*/b', ['a/b'], ['$sys/b', 'query/b', 'b']],
    ['*/**', ['a', 'a/b'], ['$sys/b', 'presence/b']],
    ['$sys/**', ['$sys', '$sys/server'], ['sys/server']],
    ['a.b/(c)', ['a.b/(c)'], ['axb/(c)', 'a.b/c']],
  ];
  for (const [filter, through, held] of cases) {
    for (const topic of through) assert.ok(topicsOf([filter]).test(topic), `${filter} lets ${topic} through`);
    for (const topic of held) assert.ok(!topicsOf([filter]).test(topic), `${filter} lets ${topic} not through`);
  }
  assert.ok(!topicsOf(['a', 'b/*']).test('ab/c'));
});

test('what a tab sends counts for a transport that goes by that', () => {
  const sent = [];
  const clock = new VirtualClock();
  const inner = { name: 'inner', open() {}, sent: (...given) => sent.push(given) };
  tabs(inner).sent(clock);
  tabs({ name: 'other', open() {} }).sent(clock);
  assert.deepEqual(sent, [[clock]]);
});

test('cursors tell what somebody has had', () => {
  assert.ok(isAfter('e1-2', 'e1-1'));
  assert.ok(!isAfter('e1-9', 'e1-10'));
  assert.ok(!isAfter('e1-10', 'e1-10'));
  assert.ok(isAfter('e2-1', 'e1-10'));
  assert.ok(isAfter('e1-1', 'earliest'));
  assert.ok(isAfter('e1-10.s5-8', 'e1-10.s5-7'));
  assert.ok(!isAfter('e1-10.s5-7.d9', 'e1-10.s5-7'));
  assert.ok(isAfter('e1-10.s6-7', 'e1-10.s5-7'));
  assert.equal(older('e1-2', 'e1-10'), 'e1-2');
  assert.equal(older('e1-10.s5-7', 'e1-10.s5-6'), 'e1-10.s5-6');
  assert.equal(older('e1-10.s5-6', 'e1-9.s5-7'), 'e1-9');
});

test('three tabs share one connection, and each gets what it follows', async () => {
  const { clock, browser, server } = setUp();
  const filters = ['a/**', ['a/**', 'b/**'], 'c/x'];
  const followed = [];
  for (const filter of filters) {
    followed.push(follow(browser.open(server), filter));
    await run(clock);
  }
  assert.deepEqual(followed.map(({ subscription }) => subscription.status), ['live', 'live', 'live']);
  assert.equal(server.connections.size, 1);
  ['a/1', 'b/1', 'c/x', 'c/y', 'a/2'].forEach((topic, n) => server.publish(topic, n));
  await run(clock);
  assert.deepEqual(followed.map(({ data }) => data), [[0, 4], [0, 1, 4], [2]]);
  assert.deepEqual(followed.map(({ statuses }) => statuses), [['connecting', 'live'], ['connecting', 'live'], ['connecting', 'live']]);
  assert.equal(server.connections.size, 1);
});

test('who comes with an older cursor, or with values to come, gets its past, and nothing twice', async () => {
  const { clock, browser, server } = setUp();
  for (let n = 0; n < 5; n += 1) server.publish('a/1', n);
  server.set('k', 1);
  const first = follow(browser.open(server), ['a/**', 's/values'], { after: 'e1-3' });
  await run(clock);
  server.publish('a/1', 5);
  server.set('k', 2);
  await run(clock);
  assert.deepEqual(first.data, [1, 3, 4, 5, 2]);
  const second = follow(browser.open(server), 'a/**', { after: 'earliest' });
  const third = browser.open(server).follower.state('s/values');
  await run(clock);
  server.publish('a/1', 6);
  server.set('k', undefined);
  server.set('l', 3);
  await run(clock);
  assert.deepEqual(second.data, [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(first.data.slice(5).filter(Number.isInteger), [6, 3]);
  assert.deepEqual([...third], [['l', 3]]);
  assert.equal(server.connections.size, 1);
});

test('values that come anew because others follow something else do not flicker', async () => {
  const { clock, browser, server } = setUp();
  // As for who sees some alone: cursors say nothing of state topics.
  Object.defineProperty(server, 'cursor', { get: () => 'e1-1' });
  server.set('k', 1);
  server.set('l', 2);
  const gone = [];
  const states = [0, 1].map((n) => {
    const state = browser.open(server).follower.state('s/values');
    state.addEventListener('change', ({ detail: { key, value } }) => { if (value === undefined) gone.push([n, key]); });
    return state;
  });
  await run(clock, 2_000);
  const before = server.opened;
  follow(browser.open(server), 'b/**');
  await run(clock, 3_000);
  assert.ok(server.opened > before + 2, 'they came anew');
  assert.deepEqual(gone, []);
  assert.deepEqual(states.map((state) => [...state]), Array(2).fill([['k', 1], ['l', 2]]));
});

test('two who are not the same share nothing', async () => {
  const { clock, browser, server } = setUp();
  const followed = ['ann', 'ann', 'bob'].map((token) => follow(browser.open(server, { token }), 'a/**'));
  await run(clock);
  assert.deepEqual([...server.connections].map(({ token }) => token).sort(), ['ann', 'bob']);
  server.publish('a/1', 1);
  await run(clock);
  assert.deepEqual(followed.map(({ data }) => data), [[1], [1], [1]]);
});

test('where the tab that leads closes or crashes, another one goes on, and nothing is missing', async () => {
  for (const end of ['close', 'crash']) {
    const { clock, browser, server } = setUp();
    const followed = [];
    for (let n = 0; n < 3; n += 1) {
      followed.push(follow(browser.open(server), 'a/**'));
      await run(clock);
    }
    server.publish('a/1', 0);
    await run(clock);
    const leads = browser.holder('bellwire http://server.example/v1/events [');
    assert.equal(leads, followed[0].tab);
    if (end === 'close') leads.follower.close();
    else leads.crash();
    server.publish('a/1', 1);
    await run(clock);
    server.publish('a/1', 2);
    await run(clock);
    assert.deepEqual(followed.slice(1).map(({ data }) => data), [[0, 1, 2], [0, 1, 2]], end);
    assert.equal(server.connections.size, 1);
    assert.deepEqual(followed[1].statuses, ['connecting', 'live']);
  }
});

test('a tab that leads and is frozen loses the lead, and steps down when it is thawed', async () => {
  const { clock, browser, server } = setUp();
  const followed = [];
  for (let n = 0; n < 3; n += 1) {
    followed.push(follow(browser.open(server), 'a/**'));
    await run(clock);
  }
  followed[0].tab.freeze();
  server.publish('a/1', 1);
  await run(clock, 40_000, 80);
  assert.deepEqual(followed.map(({ data }) => data), [[], [1], [1]]);
  followed[0].tab.thaw();
  await run(clock, 2_000);
  server.publish('a/1', 2);
  await run(clock, 40_000, 80);
  assert.deepEqual(followed.map(({ data }) => data), [[1, 2], [1, 2], [1, 2]]);
  assert.equal(server.connections.size, 1);
});

test('what is wrong with one tab’s filter ends that one alone', async () => {
  const { clock, browser, server } = setUp();
  server.refuse = ({ filters }) => (filters.includes('wrong') ? new ProblemError(400, { code: 'topic_invalid' }, null) : null);
  const right = follow(browser.open(server), 'a/**');
  await run(clock);
  const wrong = follow(browser.open(server), 'wrong');
  await run(clock);
  server.publish('a/1', 1);
  await run(clock);
  assert.deepEqual([wrong.subscription.status, wrong.subscription.error.code], ['closed', 'topic_invalid']);
  assert.deepEqual([right.data, right.statuses], [[1], ['connecting', 'live']]);
});

test('what is too much together stays on a connection of its own', async () => {
  for (const atOnce of [false, true]) {
    const { clock, browser, server } = setUp();
    server.refuse = ({ filters }) => (filters.length > 2 ? new ProblemError(400, { code: 'topics_too_many' }, null) : null);
    const followed = [];
    for (const filters of [['a', 'b'], 'b', ['c', 'd']]) {
      followed.push(follow(browser.open(server), filters));
      if (!atOnce) await run(clock);
    }
    await run(clock, 1_000);
    for (const topic of ['a', 'b', 'c', 'd']) server.publish(topic, topic);
    await run(clock);
    assert.deepEqual(followed.map(({ data }) => data), [['a', 'b'], ['b'], ['c', 'd']], `at once: ${atOnce}`);
    assert.equal(server.connections.size, 2);
  }
});

test('where the shared connection is cut all wait and come back to one', async () => {
  const { clock, browser, server } = setUp();
  const followed = [];
  for (let n = 0; n < 3; n += 1) followed.push(follow(browser.open(server, { random: () => 0.5 }), ['a/**', 's/values']));
  await run(clock);
  server.set('k', 1);
  await run(clock);
  for (const connection of [...server.connections]) connection.cut(new ConnectionError('connection_lost', 'cut'));
  server.publish('a/1', 2);
  await run(clock);
  assert.deepEqual(followed.map(({ subscription }) => subscription.status), ['waiting', 'waiting', 'waiting']);
  await run(clock, 2_000);
  assert.deepEqual(followed.map(({ subscription }) => subscription.status), ['live', 'live', 'live']);
  // Values come again, as to anybody who comes back.
  assert.deepEqual(followed.map(({ data }) => data), Array(3).fill([1, 1, 2]));
  assert.equal(server.connections.size, 1);
});

test('a tab that takes nothing costs the others nothing, and has it all in the end', async () => {
  const { clock, browser, server } = setUp();
  const quick = follow(browser.open(server), 'a/**');
  const slow = browser.open(server);
  const followed = follow(slow, 'a/**');
  await run(clock);
  slow.freeze();
  const large = 'x'.repeat(200_000);
  for (let n = 0; n < 60; n += 1) {
    server.publish('a/1', `${n} ${large}`);
    await run(clock, 10, 1);
  }
  await run(clock);
  assert.equal(quick.data.length, 60);
  // No more is said to it than it may have untaken.
  assert.ok(slow.unheard < 30, `${slow.unheard} wait for it`);
  slow.thaw();
  await run(clock, 2_000);
  assert.deepEqual(followed.data, quick.data);
  assert.equal(server.connections.size, 1);
});

test('where tabs cannot speak to each other each has its own connection', async () => {
  const { clock, browser, server } = setUp();
  const followed = [0, 1].map(() => follow(browser.open(server, { hasLocks: false }), 'a/**'));
  await run(clock);
  server.publish('a/1', 1);
  await run(clock);
  assert.deepEqual(followed.map(({ data }) => data), [[1], [1]]);
  assert.equal(server.connections.size, 2);
});

test('what is closed leaves nothing behind', async () => {
  const { clock, browser, server } = setUp();
  const opened = [0, 1, 2].map(() => browser.open(server));
  for (const tab of opened) follow(tab, 'a/**');
  await run(clock);
  for (const tab of opened) {
    tab.follower.close();
    await run(clock);
  }
  assert.deepEqual([server.connections.size, browser.channels, browser.holder('bellwire'), clock.waiting], [0, 0, null, 0]);
});

test('a newer token is shown once for all tabs, by the one that leads', async () => {
  const { clock, browser, server } = setUp();
  const shown = [];
  const opened = [0, 1, 2].map((index) => browser.open(server, { token: () => `${index}`, shown }));
  const followed = opened.map((tab) => follow(tab, 'a/**'));
  await run(clock);
  assert.equal(server.connections.size, 1);
  for (const connection of server.connections) connection.say({ control: 'renew', expires_in_ms: 60_000, renews: 'bwr_1' });
  await run(clock);
  assert.deepEqual(shown, [{ renews: 'bwr_1' }]);
  assert.deepEqual(followed.map(({ statuses }) => statuses), Array(3).fill(['connecting', 'live']));
});

test('a gap on the shared connection is told to each, with its own filters', async () => {
  const { clock, browser, server } = setUp();
  const followed = ['a/**', 'b/**'].map((filter) => follow(browser.open(server), filter));
  const gaps = [];
  for (const { subscription } of followed) subscription.addEventListener('gap', ({ detail }) => gaps.push(detail.filters));
  await run(clock);
  for (const connection of server.connections) connection.say({ control: 'gap', from: 'e1-1', to: 'e1-2', reason: 'expired', filters: ['a/**', 'b/**'] });
  await run(clock);
  assert.deepEqual(gaps.sort(), [['a/**'], ['b/**']]);
});

test('where the server ends the shared connection all wait as long as it says', async () => {
  const { clock, browser, server } = setUp();
  const followed = [0, 1].map(() => follow(browser.open(server), 'a/**'));
  await run(clock);
  for (const connection of [...server.connections]) connection.say({ control: 'bye', reason: 'drain', retry_ms: 7_000 });
  await run(clock);
  assert.deepEqual(followed.map(({ subscription }) => subscription.status), ['waiting', 'waiting']);
  assert.equal(server.connections.size, 0);
  const before = server.opened;
  await run(clock, 6_500);
  assert.equal(server.opened, before);
  await run(clock, 10_000, 100);
  assert.deepEqual(followed.map(({ subscription }) => subscription.status), ['live', 'live']);
  assert.equal(server.connections.size, 1);
});

test('where all topics of the shared connection have ended each subscription ends', async () => {
  const { clock, browser, server } = setUp();
  const followed = [0, 1].map(() => follow(browser.open(server), 'a/1'));
  await run(clock);
  server.publish('a/1', 1);
  for (const connection of [...server.connections]) {
    connection.say({ control: 'end', topic: 'a/1', cursor: 'e1-2' });
    connection.cut(null);
  }
  await run(clock);
  assert.deepEqual(followed.map(({ subscription: { status, error } }) => [status, error]), Array(2).fill(['closed', null]));
  assert.deepEqual(followed.map(({ data }) => data), [[1], [1]]);
});

test('no more than two catch up beside the shared connection, however many come at once', async () => {
  const { clock, browser, server } = setUp();
  for (let n = 0; n < 30; n += 1) server.publish('a/1', n);
  const followed = Array.from({ length: 10 }, (_, n) => follow(browser.open(server), n % 2 ? 'a/**' : 'a/1', { after: 'earliest' }));
  await run(clock, 3_000, 300);
  assert.deepEqual(followed.map(({ data }) => data.length), Array(10).fill(30));
  // Of two shared ones the newer takes the place of the older.
  assert.ok(server.openedMax <= 4, `${server.openedMax} at a time`);
  assert.equal(server.connections.size, 1);
});

/** Numbers from 0 to 1 that are the same for the same seed. */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 12)) >>> 0) / 2 ** 32;
  };
}

const FILTERS = ['a/1', 'a/**', 'b/**', ['a/1', 'b/2'], ['c/1', 's/values'], ['a/**', 'b/**', 'c/**', 's/values']];

/** Opens, closes, crashes, freezes, thaws and cuts, with events on their way all the while. */
class Schedule {
  tabs = [];
  followed = [];
  published = 0;

  constructor(seed) {
    this.random = randomOf(seed);
    Object.assign(this, setUp({ delay: () => this.random() * 20 }));
  }

  pick(from) {
    return from[Math.floor(this.random() * from.length)];
  }

  get awake() {
    return this.tabs.filter((tab) => !tab.isDead && !tab.isFrozen);
  }

  publish() {
    this.server.publish(this.pick(['a/1', 'a/2', 'b/1', 'b/2', 'c/1']), this.published++);
    if (this.random() < 0.5) this.server.set(this.pick(['k', 'l', 'm']), this.random() < 0.3 ? undefined : this.random());
  }

  follow(tab) {
    const got = follow(tab, this.pick(FILTERS), { after: this.pick(['earliest', 'latest', undefined]), state: this.pick(['values', 'changes']) });
    const { subscription } = got;
    got.events = [];
    subscription.addEventListener('event', ({ detail }) => { if (detail.key === undefined) got.events.push(detail.data); });
    subscription.addEventListener('ready', () => { got.behind ??= this.published; });
    got.state = isIn(got.filters, 's/values') ? tab.follower.state('s/values') : null;
    this.followed.push(got);
  }

  async step() {
    const { tabs, random } = this;
    const chance = random();
    if (chance < 0.12 && this.awake.length < 5) tabs.push(this.browser.open(this.server, { random }));
    else if (chance < 0.3 && this.awake.length > 0 && this.followed.length < 25) this.follow(this.pick(this.awake));
    else if (chance < 0.35) this.pick(this.followed)?.subscription.close();
    else if (chance < 0.38) this.pick(this.awake)?.crash();
    else if (chance < 0.43) this.pick(this.awake)?.freeze();
    else if (chance < 0.5) this.pick(tabs.filter((tab) => tab.isFrozen))?.thaw();
    else if (chance < 0.55) for (const connection of [...this.server.connections]) if (random() < 0.7) connection.cut(new ConnectionError('connection_lost', 'cut'));
    for (let count = random() * 8; count > 1; count -= 1) this.publish();
    await run(this.clock, this.pick([0, 5, 50, 400, 15_000]), 10);
  }

  check({ events, filters, subscription, behind, state, tab }) {
    const all = this.server.events(filters).filter(Number.isInteger);
    const isWhole = !tab.isDead && subscription.status === 'live';
    const begin = events.length > 0 ? all.indexOf(events[0]) : all.length;
    const wanted = isWhole ? all.slice(begin) : all.slice(begin, begin + events.length);
    assert.deepEqual(events, wanted, `${filters}`);
    if (!isWhole) return;
    assert.ok(all.slice(0, begin).every((number) => number < behind), `${filters}: what came once it was live is there`);
    if (state?.status === 'live') assert.deepEqual([...state].sort(), [...this.server.values].sort());
  }
}

test('however tabs come, go, crash and freeze, each stream gets its events once, in order', async (t) => {
  const first = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
  t.diagnostic(`SEED=${first}`);
  for (let seed = first; seed < first + 20; seed += 1) {
    const schedule = new Schedule(seed);
    try {
      for (let step = 0; step < 50; step += 1) await schedule.step();
      for (const tab of schedule.tabs) if (tab.isFrozen) tab.thaw();
      await run(schedule.clock, 200_000, 200);
      for (let count = 0; count < 5; count += 1) schedule.publish();
      await run(schedule.clock, 2_000);
      const alive = schedule.followed.filter(({ tab, subscription }) => !tab.isDead && subscription.status !== 'closed');
      assert.deepEqual(alive.map(({ subscription }) => subscription.status), alive.map(() => 'live'));
      for (const got of schedule.followed) schedule.check(got);
      assert.ok(schedule.server.connections.size <= 1, `${schedule.server.connections.size} connections`);
    } catch (error) {
      error.message = `SEED=${seed}: ${error.message}`;
      throw error;
    }
  }
});
