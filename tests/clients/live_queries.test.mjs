// Queries that are followed, against a Prometheus that is fed the same samples: each value that is told
// is what Prometheus says of that instant, and at random instants both have the same elements.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { eventually, proves, range } from './bellwire.mjs';
import { REMOTE_WRITE, STALE, writeRequest } from './remote_write.mjs';
import { startPrometheus } from './scraped.mjs';
import { Tool } from './tool.mjs';
import { randomOf, SEED } from '../random.mjs';

const prometheus = new Tool('prometheus3', 'PROMETHEUS3_BIN');

/** Batches of samples, and how far they are apart at most. */
const BATCHES = 60;
const PAUSE_MS = 400;

/** Instants at which the elements of each query are compared. */
const INSTANTS = 40;
/** How far such an instant is from any change: of two that follow at once the last one is told. */
const QUIET_MS = 15;
/** How often those that move are told. */
const SECOND_MS = 1_000;

/** Those whose values stay while no sample comes and none leaves a window. */
const STILL = [
  'x',
  'x > 2',
  '-x',
  'x offset 2s',
  'sum by (a) (x)',
  'avg without (b) (x) > bool 2',
  'count(x) - count(y)',
  'stddev by (a) (x)',
  'topk by (a) (1, x)',
  'min(x) or max(y)',
  'x * on (a, b) y',
  'x / on (a) group_left sum by (a) (y)',
  'x unless on (a, b) y > 1',
  'absent(y{a="0"})',
  'count_over_time(x[3s])',
  'max_over_time(x[2s])',
  'sum by (a) (avg_over_time(x[4s]))',
  'changes(x[5s]) > 1',
  'last_over_time(y[3s])',
  'label_replace(x, "c", "$1$1", "a", "(.*)")',
  'sum by (c) (label_join(x, "c", "-", "a", "b"))',
  'clamp_max(round(x), 3)',
  'y == bool scalar(max(y))',
  'timestamp(x) - 1.7e9',
  'max_over_time(sum(x)[4s:1s])',
];

/** Those that move while time passes, so that they are told at each second. */
const MOVING = [
  'increase(x_total[1s] offset 1s) > 0',
  'rate(x_total[5s])',
  'sum by (a) (rate(x_total[5s]))',
  'histogram_quantile(0.8, sum by (le) (rate(x_seconds_bucket[6s])))',
  'time() - timestamp(x)',
  'deriv(x[5s])',
  'predict_linear(x[5s], 10)',
  'sum(x @ end())',
];

/** That one which is another at each second, whatever the samples say: whoever has it has those before it. */
const CLOCK = 'vector(time())';

const random = randomOf(SEED);
const below = (max) => Math.floor(random() * max);

/** What a batch says: some series of each metric, some of which end. */
function samples(counters) {
  const given = [];
  for (const number of range(0, 5)) {
    const [a, b] = [`${number % 3}`, `${number >> 1}`];
    for (const name of ['x', 'y']) {
      if (below(3) > 0) continue;
      // No two values of one `a` are equal: of those `topk` may choose either.
      const odd = [number < 3 ? NaN : Infinity, STALE];
      const value = below(12) === 0 ? odd[below(odd.length)] : below(60) / 10 + number / 100;
      given.push([{ __name__: name, a, b }, value]);
    }
    const key = `${a}${b}`;
    counters[key] = below(20) === 0 ? 0 : (counters[key] ?? 0) + below(9);
    given.push([{ __name__: 'x_total', a, b }, counters[key]]);
  }
  counters.seen = (counters.seen ?? 0) + below(9);
  ['0.1', '1', '+Inf'].forEach((le, place) => {
    counters[le] = Math.max(counters[le] ?? 0, (counters.seen * (place + 1)) >> 1);
    given.push([{ __name__: 'x_seconds_bucket', le }, counters[le]]);
  });
  return given;
}

/** What is told of each expression, by its topic: the changes of each key, in order. */
class Told {
  #topics = new Map();
  #labels = new Map();
  ready = null;

  /** Follows until the test is over. */
  async follow(server, atEnd) {
    const control = new AbortController();
    atEnd(() => control.abort());
    const query = [...STILL, ...MOVING, CLOCK].map((text) => `query=${encodeURIComponent(text)}`).join('&');
    const headers = { accept: 'application/x-ndjson', 'accept-encoding': 'identity' };
    const response = await fetch(`${server.url}/v1/events?${query}`, { headers, signal: control.signal });
    assert.equal(response.status, 200, response.ok ? '' : await response.text());
    const lines = createInterface({ input: Readable.fromWeb(response.body) });
    const read = async () => {
      for await (const line of lines) if (line) this.#take(JSON.parse(line));
    };
    read().catch(() => {});
    await eventually('the first answers', () => this.ready);
  }

  #take(event) {
    if (event.control) {
      this.ready ??= event.control === 'ready';
      return;
    }
    const topic = this.#topics.get(event.topic) ?? { said: null, keys: new Map() };
    this.#topics.set(event.topic, topic);
    if (event.key === 'query') {
      topic.said = event.data;
      return;
    }
    if (event.data) {
      const { name, labels, value, timestamp } = event.data;
      this.#labels.set(event.key, seriesOf(name ? { __name__: name, ...labels } : labels));
      this.#change(topic, event.key, { at: timestamp, value: number(value) });
    } else {
      this.#change(topic, event.key, { at: event.time, value: null });
    }
  }

  #change(topic, key, change) {
    const changes = topic.keys.get(key) ?? [];
    topic.keys.set(key, changes);
    changes.push(change);
  }

  /** The changes of an expression: each with the series it is of. */
  changes(text) {
    const topic = [...this.#topics.values()].find(({ said }) => said?.query === text);
    assert.ok(topic, text);
    assert.equal(topic.said.error, undefined, text);
    return [...topic.keys].flatMap(([key, changes]) =>
      changes.map((change) => ({ ...change, series: this.#labels.get(key) })));
  }
}

/** The elements that there are at an instant. */
function elements(changes, at) {
  const found = new Map();
  for (const { series, value } of changes.filter((change) => change.at <= at)) {
    if (value === null) found.delete(series);
    else found.set(series, value);
  }
  return found;
}

const seriesOf = (labels) => JSON.stringify(Object.entries(labels).sort());
const number = (value) => (value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value));

/** What Prometheus has of an expression at an instant. */
async function truth(url, text, at) {
  const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(text)}&time=${at / 1000}`);
  const { data, error } = await response.json();
  assert.ok(data, `${text}: ${error}`);
  return new Map(data.result.map(({ metric, value }) => [seriesOf(metric), number(value[1])]));
}

function assertSame(found, expected, said) {
  const close = Object.is(found, expected)
    || Math.abs(found - expected) <= 1e-9 * Math.max(Math.abs(found), Math.abs(expected));
  assert.ok(close, `${said}: ${found} in place of ${expected}`);
}

prometheus.proves('what is followed is what Prometheus says at that instant', async (server, atEnd) => {
  const flags = ['--web.enable-remote-write-receiver'];
  const theirs = await startPrometheus(prometheus, 'global: {}', atEnd, flags);
  await eventually('Prometheus', async () => (await fetch(`${theirs}/-/ready`).catch(() => null))?.ok);
  const told = new Told();
  await told.follow(server, atEnd);

  const counters = {};
  /** From when on both know of a batch, until the next one is made. */
  const calm = [];
  for (const _ of range(1, BATCHES)) {
    const made = Date.now();
    if (calm.length) calm.at(-1).until = made;
    const body = writeRequest(samples(counters), made);
    for (const url of [theirs, server.url]) {
      const answer = await fetch(`${url}/api/v1/write`, { method: 'POST', headers: REMOTE_WRITE, body });
      assert.ok(answer.ok, `${url}: ${answer.status} ${await answer.text()}`);
    }
    calm.push({ from: Date.now(), until: null });
    await setTimeout(1 + below(PAUSE_MS));
  }
  calm.pop();
  // Whatever was due until now has been told.
  const last = calm.at(-1).until;
  await eventually('the last changes', () => told.changes(CLOCK).some(({ at }) => at > last + SECOND_MS));

  for (const text of [...STILL, ...MOVING]) {
    const changes = told.changes(text).sort((one, other) => one.at - other.at);
    const calmly = changes.filter(({ at }) => calm.some(({ from, until }) => from < at && at < until));
    for (const { at, series, value } of calmly.filter(({ value }) => value !== null)) {
      const said = `${text} ${series} at ${at}`;
      assertSame(value, (await truth(theirs, text, at)).get(series), said);
    }
  }
  for (const text of STILL) {
    const changes = told.changes(text).sort((one, other) => one.at - other.at);
    for (const _ of range(1, INSTANTS)) {
      const { from, until } = calm[below(calm.length)];
      const at = from + QUIET_MS + below(PAUSE_MS);
      if (at + QUIET_MS > until) continue;
      if (changes.some((change) => Math.abs(change.at - at) < QUIET_MS)) continue;
      const [found, expected] = [elements(changes, at), await truth(theirs, text, at)];
      assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort(), `${text} at ${at}`);
      for (const [series, value] of expected) assertSame(found.get(series), value, `${text} ${series} at ${at}`);
    }
  }
});
