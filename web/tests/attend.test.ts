import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Alert } from '@bellwire/client';
import { act } from '../src/attend/api.js';
import { fromApi, matchersOf, toApi } from '../src/attend/matching.js';
import { linksOf, unitOfThreshold } from '../src/alert/looks.js';
import { joined, type Happened, type Told } from '../src/alert/told.js';
import { measured, numberOf } from '../src/alert/values.js';
import { tester, write } from '../src/match/matchers.js';

const alert = (labels: Record<string, string>): Alert => ({ fingerprint: '0', state: 'firing', severity: 'none', labels, annotations: {}, active_at: 0 });

const matched = (alerts: readonly Alert[]) => matchersOf(alerts).map(write).join(',');

test('what fails after a part of it was done says so, and what is left', async () => {
  const fetched = globalThis.fetch;
  const all = Array.from({ length: 2_500 }, (_, n) => `${n}`);
  let calls = 0;
  const answer = (failing: number) => async (_: unknown, init?: RequestInit) => {
    calls += 1;
    if (calls === failing) throw new TypeError('no way');
    const { fingerprints } = JSON.parse(init!.body as string) as { fingerprints: string[] };
    return new Response(JSON.stringify({ results: fingerprints.map((fingerprint) => (fingerprint === '7' ? { fingerprint, error: { code: 'gone', detail: 'It is gone.' } } : { fingerprint })) }));
  };
  try {
    globalThis.fetch = answer(2) as typeof fetch;
    const { done, refused, left } = await act({ action: 'comment', by: 'me', text: 'x' }, all);
    assert.deepEqual([calls, done, left.length, left.slice(0, 3)], [2, 999, 1_501, ['7', '1000', '1001']]);
    assert.deepEqual([...refused.values()], [1, 1_500]);
    calls = 0;
    globalThis.fetch = answer(1) as typeof fetch;
    await assert.rejects(act({ action: 'unassign' }, all));
    assert.equal(calls, 1);
  } finally {
    globalThis.fetch = fetched;
  }
});

test('a silence of alerts matches all of them, and as few others as may be', () => {
  const oslo = alert({ site: 'oslo', alertname: 'Hot' });
  assert.equal(matched([]), '');
  assert.equal(matched([oslo]), 'alertname="Hot",site="oslo"');
  const rome = alert({ alertname: 'Hot', site: 'ro.me' });
  assert.equal(matched([oslo, rome]), 'alertname="Hot",site=~"oslo|ro\\\\.me"');
  const bare = alert({ alertname: 'Hot' });
  for (const alerts of [[oslo, rome], [oslo, bare], [bare, rome, oslo]]) {
    const passes = tester(matchersOf(alerts));
    for (const { labels, state } of alerts) assert.ok(passes({ labels, state }), JSON.stringify(labels));
    assert.ok(!passes({ labels: { alertname: 'Hot', site: 'roxme' }, state: 'firing' }));
    assert.ok(!passes({ labels: { alertname: 'Cold' }, state: 'firing' }));
  }
});

test('a label with very many values is left out, and the others keep to what is common', () => {
  const many = Array.from({ length: 60 }, (_, n) => alert({ alertname: 'Hot', host: `h${n}`, site: 'oslo' }));
  assert.equal(matched(many), 'alertname="Hot",site="oslo"');
});

test('matchers are for the API what they were for people', () => {
  for (const operator of ['=', '!=', '=~', '!~'] as const) {
    const one = { name: 'a', operator, value: 'b|c' };
    assert.deepEqual(fromApi(toApi(one)), one);
  }
  assert.deepEqual(toApi({ name: 'a', operator: '!~', value: 'b' }), { name: 'a', value: 'b', isRegex: true, isEqual: false });
});

test('only what is a page of the web is a link, the runbook first', () => {
  const annotations = {
    summary: 'see https://example.org/', dashboard_url: 'https://grafana.example/d/1', runbook_url: 'http://wiki.example/a b',
    runbook: 'https://wiki.example/hot', script_url: 'javascript:alert(1)', data_url: 'data:text/html,x', other: 'https://example.org/x',
  };
  const links = linksOf({ annotations, generator_url: 'https://prometheus.example/graph' });
  assert.deepEqual(links.map(({ name }) => name), ['runbook', 'dashboard_url', 'other', 'generator']);
});

test('the unit of a threshold is that of its metric, by the second where it is a rate', () => {
  const unit = (metric: string, isPerSecond = false) => unitOfThreshold({ expression: 'x', operator: '>', value: 1, metric, per_second: isPerSecond });
  assert.equal(unit('boiler_temperature_celsius'), 'celsius');
  assert.equal(unit('sent_bytes_total', true), 'bytes/s');
  assert.equal(unit('cpu_seconds_total', true), 'ratio');
  assert.equal(unit('requests_total', true), 'per-second');
  assert.equal(unit('go_memstats_last_gc_time_seconds'), 'date');
  assert.equal(unitOfThreshold({ expression: 'x', operator: '>', value: 1 }), null);
});

const event = (n: number): Happened => ({ type: 'alert.firing', time: n, cursor: `e1-${n}`, topic: 'alerts/events/a/b', data: {} });
const page = (numbers: number[], more: Partial<Told> = {}): Told => ({ fingerprint: '0', silences: [], history: numbers.map(event), ...more });
const numbers = (told: Told) => told.history.map(({ time }) => time);

test('pages of the history are put together without a hole and without doubles', () => {
  const first = page([9, 8, 7], { next: 'e1-7' });
  const older = joined(first, page([6, 5], { complete_since: 4 }), 'e1-7');
  assert.deepEqual([numbers(older), older.next, older.complete_since], [[9, 8, 7, 6, 5], undefined, 4]);
  const newer = joined(first, page([10, 9, 8], { next: 'e1-8' }), null);
  assert.deepEqual([numbers(newer), newer.next], [[10, 9, 8, 7], 'e1-7']);
  // So much has happened that the newest page does not reach what was known.
  const apart = joined(first, page([30, 29, 28], { next: 'e1-28' }), null);
  assert.deepEqual([numbers(apart), apart.next], [[30, 29, 28], 'e1-28']);
});

test('what was measured is kept once, however often it is asked for', () => {
  const series = (from: number, count: number) => [{ name: 'a', labels: {}, timestamps: Array.from({ length: count }, (_, n) => from + n), values: Array.from({ length: count }, () => 1) }];
  let told = page([9, 8, 7], { series: series(1_000, 100) });
  for (let times = 0; times < 50; times += 1) told = joined(told, page([9, 8, 7], { series: series(1_000 + times, 100) }), null);
  told = joined(told, page([6, 5], { series: series(900, 100) }), 'e1-7');
  assert.deepEqual(told.series!.map(({ timestamps, values }) => [timestamps.length, values.length, timestamps[0], timestamps.at(-1)]), [[249, 249, 900, 1_148]]);
  told = joined(told, page([4, 3], { series: series(-9_000, 9_000) }), 'e1-5');
  assert.deepEqual([told.series![0]!.timestamps.length, told.series![0]!.timestamps.at(-1)], [2_000, 1_148]);
});

test('what was measured is in the order of time, whatever is no number', () => {
  const one = { name: 'a', labels: { site: 'oslo' }, timestamps: [3, 4], values: ['+Inf', 'NaN'] };
  const before = { name: 'a', labels: { site: 'oslo' }, timestamps: [1, 3], values: [7, '+Inf'] };
  const other = { name: 'b', labels: {}, timestamps: [2], values: [0] };
  assert.deepEqual(measured([one, other, before]), [[1, 7], [3, Infinity], [4, NaN]]);
  assert.deepEqual(measured(undefined), []);
  assert.equal(numberOf('-Inf'), -Infinity);
});
