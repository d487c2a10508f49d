import assert from 'node:assert/strict';
import test from 'node:test';
import { type Listed, NO_CHANGES, read, type Told, TOPICS_MAX } from '../src/topics/listing.js';
import { reachable } from '../src/topics/paths.js';
import { curl, eventSource, javascript, publishing, quoted } from '../src/topics/snippets.js';
import { DATA_MAX, tail, TAIL_MAX } from '../src/topics/tail.js';
import { pause } from '../src/topics/ValuesTable.js';
import { compact, find, type Node, pieces, search, tree } from '../src/topics/nodes.js';

const listed = (topic: string, perSecond: number | null = null): Listed => ({ topic, kind: 'stream', size: 1, perSecond, bytes: 1, lastAt: null, subscribers: 0, hasEnded: false, durability: null });

const stream = (topic: string, perSecond: number): Told => ({ topic, kind: 'stream', events: 2, bytes: 9, events_per_second: perSecond, cursor: 'e1-1', subscribers: 0 });
const state = (topic: string, changes?: number): Told => (changes === undefined ? { topic, kind: 'state' } : { topic, kind: 'state', keys: 1, changes, subscribers: 0 });

test('rates of state topics come of two listings, and none of one', () => {
  const first = read([stream('a', 0.5), state('s', 10)], NO_CHANGES, 1_000);
  assert.deepEqual(first.topics.map(({ perSecond }) => perSecond), [0.5, null]);
  const second = read([stream('a', 0.25), state('s', 30), state('new', 4)], first.changes, 5_000);
  assert.deepEqual(second.topics.map(({ perSecond }) => perSecond), [0.25, 5, null]);
  // A server that has started again counts from nothing.
  const third = read([state('s', 8)], second.changes, 9_000);
  assert.equal(third.topics[0]!.perSecond, 2);
});

test('what the caller may not know is no number', () => {
  const [topic] = read([state('samples/x')], NO_CHANGES, 0).topics;
  assert.deepEqual([topic!.size, topic!.perSecond, topic!.subscribers], [null, null, null]);
});

const shape = (node: Node): unknown => [node.name, node.topics, node.perSecond, ...node.children.map(shape)];

test('topics are a tree of their segments, with the sums of what is below', () => {
  const root = tree([listed('a', 1), listed('a-b', 8), listed('a/b/c', 2), listed('a/b/d', 4)]);
  assert.deepEqual(shape(root), ['', 4, 15, ['a', 3, 7, ['b', 2, 6, ['c', 1, 2], ['d', 1, 4]]], ['a-b', 1, 8]]);
  assert.equal(root.children[0]!.topic!.topic, 'a');
  assert.equal(root.children[0]!.children[0]!.topic, null);
});

test('what has one branch alone is one line', () => {
  const root = tree([listed('alerts/events/critical/Hot'), listed('alerts/events/critical/Cold')]);
  const line = compact(root.children[0]!);
  assert.deepEqual([line.name, line.path, line.children.length], ['alerts/events/critical', 'alerts/events/critical', 2]);
  const both = tree([listed('a'), listed('a/b')]).children[0]!;
  assert.equal(compact(both), both, 'a topic itself stays');
});

test('names that objects have of their own are names like others', () => {
  const root = tree([listed('__proto__/constructor'), listed('toString')]);
  assert.deepEqual(root.children.map(({ name }) => name), ['__proto__', 'toString']);
});

test('letters are found in their order, and those that stand together count most', () => {
  assert.equal(find('xyz', 'orders/new'), null);
  assert.deepEqual(find('new', 'orders/new')!.at, [7, 8, 9]);
  assert.deepEqual(find('on', 'orders/new')!.at, [0, 7]);
  const { matches, count } = search('on', [listed('orders/new'), listed('icon'), listed('abc')], 1);
  assert.deepEqual([matches.map(({ topic }) => topic.topic), count], [['icon'], 2]);
  assert.deepEqual(pieces('orders/new', [0, 7, 8]), ['', 'o', 'rders/', 'ne', 'w']);
  assert.equal(pieces('<b>', [1]).join(''), '<b>');
});

test('as many topics as are loaded are a tree, and searched', () => {
  const many = Array.from({ length: TOPICS_MAX }, (_, n) => listed(`users/${String(n).padStart(6, '0')}`, 1));
  const root = tree(many);
  assert.deepEqual([root.topics, root.children[0]!.children.length], [TOPICS_MAX, TOPICS_MAX]);
  assert.equal(search('u19999', many, 5).matches[0]!.topic.topic, 'users/019999');
});

test('of what comes the newest is kept, and none while it is paused', () => {
  const shows: (() => void)[] = [];
  const tailed = tail((show) => shows.push(show));
  const event = (n: number) => ({ topic: 't', time: n, data: n });
  for (let n = 0; n < TAIL_MAX + 50; n += 1) tailed.push(event(n));
  assert.equal(tailed.lines.value.length, 0, 'it is shown a few times a second');
  assert.equal(shows.length, 1);
  shows.pop()!();
  assert.deepEqual([tailed.lines.value.length, tailed.count.value, tailed.lines.value.at(-1)!.data], [TAIL_MAX, TAIL_MAX + 50, String(TAIL_MAX + 49)]);
  tailed.pause(true);
  tailed.push(event(1));
  assert.deepEqual([shows.length, tailed.missed.value], [0, 1]);
  tailed.pause(false);
  tailed.gap('expired');
  tailed.push(event(2));
  shows.pop()!();
  // What is missing is told in its place, also once it goes on; it is no event.
  assert.deepEqual(tailed.lines.value.slice(-4).map(({ gap, left, data }) => gap ?? [left, data].join()), [`0,${TAIL_MAX + 49}`, 'paused', 'expired', '0,2']);
  assert.deepEqual([tailed.lines.value.at(-3)!.left, tailed.count.value, tailed.missed.value], [1, TAIL_MAX + 52, 0]);
});

test('of an event as much is kept as a page has room for', () => {
  const tailed = tail((show) => show());
  tailed.push({ topic: 't', time: 0, data: 'x'.repeat(DATA_MAX + 7) });
  const [line] = tailed.lines.value;
  assert.deepEqual([line!.data.length, line!.left], [DATA_MAX, 7]);
  tailed.push({ topic: 't', key: 'k', time: 0, deleted: true });
  assert.deepEqual([tailed.lines.value[1]!.isDeleted, tailed.lines.value[1]!.data], [true, '']);
});

test('what is copied is safe in a shell, whatever the topic is called', () => {
  const base = new URL('https://bell.example/below/');
  const odd = `it's $(reboot) <b>/**`;
  assert.equal(quoted("a'b"), `'a'\\''b'`);
  assert.equal(curl(base, odd), `curl -N -G 'https://bell.example/below/v1/events' --data-urlencode 'topic=it'\\''s $(reboot) <b>/**'`);
  assert.match(javascript(base, odd), /client\.subscribe\("it's \$\(reboot\) <b>\/\*\*"\)/);
  assert.equal(publishing(base, 'a b/c', { data: '@file', key: 'k' }), `curl -H 'Bellwire-Key: k' --data-raw '@file' 'https://bell.example/below/v1/topics/a%20b/c'`);
});

test('what is copied says what is sent, and hears what has a type', () => {
  const base = new URL('https://bell.example/');
  assert.equal(publishing(base, 'a', { data: "it's", key: '', isText: true }), `curl -H 'Content-Type: text/plain; charset=utf-8' --data-raw 'it'\\''s' 'https://bell.example/v1/topics/a'`);
  const heard = (filter: string) => {
    const types: string[] = [];
    class Source { onmessage: unknown; addEventListener(type: string) { types.push(type); } }
    new Function('EventSource', eventSource(base, filter))(Source);
    return types;
  };
  for (const filter of ['alerts/**', 'alerts/events/critical/Hot', '**', '*/events/**']) assert.ok(heard(filter).includes('alert.firing'), filter);
  for (const filter of ['chat/general', "alertsx/it's"]) assert.deepEqual(heard(filter), []);
});

test('the values of a topic with very many keys are read when somebody asks', () => {
  assert.deepEqual([3, 4_000, 1_000_000].map(pause), [2_000, 4_000, Infinity]);
  assert.ok(pause(null) > 2_000);
});

test('segments that an address takes for steps are not asked for', () => {
  assert.equal(reachable('a/../b'), null);
  assert.equal(reachable('a/..b/ü'), 'v1/topics/a/..b/%C3%BC');
});
