// What happens to alerts: how it is read back, what is kept, and what is said to be missing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Happened } from '../src/alert/told.js';
import { Feed, KEPT_MAX } from '../src/history/feed.js';
import { select } from '../src/history/History.js';
import { type Hole, type Item, readBefore, type Source } from '../src/history/reading.js';
import { parse } from '../src/match/matchers.js';

const cursorOf = (number: number) => `e1-${number}`;
const numberOf = (cursor: string) => Number(cursor.split('-')[1]);

const happened = (number: number, topic = 'alerts/events/critical/Hot', type = 'alert.firing'): Happened => ({
  type, topic, time: number, cursor: cursorOf(number), data: { fingerprint: `f${number}`, labels: { alertname: topic.split('/')[3]! }, annotations: {}, state: 'firing' },
});

/** A journal whose events have these numbers and topics, in pages of `size`. */
class Journal implements Source {
  pages = 0;
  constructor(readonly events: Happened[], readonly size = 1_000, readonly kept = 0) {}

  async places(): Promise<string[]> {
    const newest = new Map(this.events.map(({ topic, cursor }) => [topic, cursor]));
    return [...newest.values()].sort();
  }

  async page(after: string) {
    this.pages += 1;
    const from = after === 'earliest' ? -1 : numberOf(after);
    const isLost = after !== 'earliest' && from < this.kept;
    const events = this.events.filter(({ cursor }) => numberOf(cursor) > Math.max(from, this.kept - 1)).slice(0, this.size);
    const cursor = events.at(-1)?.cursor ?? this.events.at(-1)?.cursor ?? cursorOf(0);
    return { events, cursor, ...(isLost && { gap: { from: after, to: cursorOf(this.kept), reason: 'expired' } }) };
  }
}

const numbers = (items: readonly Item[]) => items.map((item) => ('event' in item ? numberOf(item.cursor) : 'gap' in item ? `gap ${item.gap}` : 'hole'));
const down = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, index) => from - index);
const journal = (count: number, topics: number, size?: number, kept?: number) =>
  new Journal(Array.from({ length: count }, (_, index) => happened(index + 1, `alerts/events/critical/A${index % topics}`)), size, kept);

test('few topics are read from the beginning', async () => {
  const { items, until } = await readBefore(journal(5, 1), null);
  assert.deepEqual([numbers(items), until], [[5, 4, 3, 2, 1], null]);
});

test('of many no more is read than a screen wants, and then what was before that, once each', async () => {
  const source = journal(4_000, 400);
  const first = await readBefore(source, null);
  assert.ok(first.items.length >= 60 && first.items.length < 200, `${first.items.length}`);
  const second = await readBefore(source, first.until);
  assert.deepEqual(numbers([...first.items, ...second.items]), down(4_000, 4_001 - first.items.length - second.items.length));
  assert.ok(second.items.length >= 60);
});

test('more than is read at once leaves a hole, which is filled when it is asked for', async () => {
  const feed = new Feed(journal(45, 1, 2), (show) => show());
  await feed.older();
  assert.deepEqual(numbers(feed.items.value), ['hole', ...down(20, 1)]);
  assert.equal(feed.state.value.isWhole, true);
  for (let times = 0; times < 3; times += 1) {
    const hole = feed.items.value.find((item): item is Hole => 'hole' in item);
    if (hole) await feed.fill(hole);
  }
  assert.deepEqual(numbers(feed.items.value), down(45, 1));
});

test('what retention has taken is the end', async () => {
  const events = [...Array.from({ length: 70 }, (_, index) => happened(index + 1, `alerts/events/critical/A${index}`)), happened(100)];
  const feed = new Feed(new Journal(events, 1_000, 90), (show) => show());
  await feed.older();
  assert.deepEqual([numbers(feed.items.value), feed.state.value.isWhole], [[100], true]);
});

test('what comes while it is read is there once, before what was', async () => {
  const source = journal(10, 1);
  const feed = new Feed(source, (show) => show());
  feed.push(happened(10));
  const reading = feed.older();
  feed.push(happened(11));
  source.events.push(happened(11));
  await reading;
  feed.gap('e1-12', 'expired');
  feed.push(happened(13));
  feed.push(happened(13));
  assert.deepEqual(numbers(feed.items.value), [13, 'gap expired', 11, ...down(10, 1)]);
});

test('what is read before it comes has its place, and so has what came before it', async () => {
  for (const cameFirst of [true, false]) {
    const source = journal(4, 1);
    let show = () => {};
    const feed = new Feed(source, (later) => { show = later; });
    const reading = feed.older();
    feed.push(happened(3));
    if (cameFirst) show();
    await reading;
    show();
    // The stream is behind the journal, and tells it now.
    feed.push(happened(4));
    show();
    assert.deepEqual(numbers(feed.items.value), down(4, 1));
  }
});

test('a page that followed before it could read has nothing out of its order', async () => {
  const source = journal(80, 80);
  const feed = new Feed(source, (show) => show());
  feed.push(happened(79));
  await feed.older();
  feed.push(happened(80));
  assert.deepEqual(numbers(feed.items.value), down(80, 81 - feed.items.value.length));
  assert.ok(feed.items.value.length > 60);
});

test('what retention takes before a hole is filled is said to be missing', async () => {
  const events = Array.from({ length: 45 }, (_, index) => happened(index + 1));
  let source = new Journal(events, 2);
  const feed = new Feed({ places: () => source.places(), page: (after) => source.page(after) }, (show) => show());
  await feed.older();
  source = new Journal(events, 1_000, 31);
  await feed.fill(feed.items.value.find((item): item is Hole => 'hole' in item)!);
  assert.deepEqual(numbers(feed.items.value), [...down(45, 31), 'gap expired', ...down(20, 1)]);
});

test('what comes on a stream of state topics, too, is the same as what is read', async () => {
  const feed = new Feed(journal(3, 1), (show) => show());
  feed.push({ ...happened(3), cursor: `${happened(3).cursor}.s7-4` });
  await feed.older();
  assert.deepEqual(numbers(feed.items.value), [3, 2, 1]);
});

test('what a burst pushes out is read again', async () => {
  const source = journal(100, 1);
  const feed = new Feed(source, (show) => show());
  await feed.older();
  assert.equal(feed.state.value.isWhole, true);
  for (let number = 101; number <= KEPT_MAX + 50; number += 1) {
    source.events.push(happened(number));
    feed.push(happened(number));
  }
  assert.deepEqual([feed.items.value.length, numbers(feed.items.value).at(-1), feed.state.value.isWhole], [KEPT_MAX, 51, false]);
});

test('a journal that has begun anew has nothing before', async () => {
  const feed = new Feed(journal(500, 300), (show) => show());
  await feed.older();
  assert.equal(feed.state.value.isWhole, false);
  feed.gap('e2-1', 'epoch');
  assert.equal(feed.state.value.isWhole, true);
  assert.equal(numbers(feed.items.value)[0], 'gap epoch');
});

test('a server that does not answer is said, and asked again', async () => {
  const source = journal(3, 1);
  const { page } = source;
  source.page = async () => { throw new Error('gone'); };
  const feed = new Feed(source, (show) => show());
  await feed.older();
  assert.equal(feed.state.value.fault, 'The server cannot be reached.');
  source.page = page.bind(source);
  await feed.older();
  assert.deepEqual([feed.state.value.fault, numbers(feed.items.value)], ['', [3, 2, 1]]);
});

test('a hole that could not be filled is asked for again, also where all before it is read', async () => {
  const source = journal(45, 1, 2);
  const feed = new Feed(source, (show) => show());
  await feed.older();
  const { page } = source;
  source.page = async () => { throw new Error('gone'); };
  await feed.fill(feed.items.value.find((item): item is Hole => 'hole' in item)!);
  assert.deepEqual([feed.state.value.fault, feed.state.value.isWhole], ['The server cannot be reached.', true]);
  source.page = page.bind(source);
  await feed.again();
  assert.deepEqual([feed.state.value.fault, numbers(feed.items.value)], ['', ['hole', ...down(40, 1)]]);
});

test('what is looked for is found; what is missing is always said', () => {
  const items: Item[] = [
    { cursor: 'e1-4', event: happened(4, 'alerts/events/critical/Wet', 'alert.acknowledged') }, { cursor: 'e1-3', gap: 'expired' },
    { cursor: 'e1-2', event: happened(2) }, { cursor: 'e1-1', event: { ...happened(1), data: {} } },
  ];
  assert.deepEqual(numbers(select(items, [], 'people').items), [4, 'gap expired']);
  assert.deepEqual(numbers(select(items, [], 'turns').items), ['gap expired', 2, 1]);
  assert.deepEqual(numbers(select(items, parse('alertname=Hot').matchers, 'all').items), ['gap expired', 2]);
  const long = items.concat({ cursor: 'e1-0', event: { ...happened(0), data: { labels: { site: 'x'.repeat(20_000) } } } });
  const { slow, items: found } = select(long, parse('site=~"(.*x){100}"').matchers, 'all');
  assert.deepEqual([slow.length, found.length > 0], [1, true]);
});
