// What charts are made of: lines, which of them are drawn, limits, and what is looked for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalOf } from '../src/live/check.js';
import { lonely, rangeOf } from '../src/live/Chart.js';
import { choose, differing, DRAWN_MAX } from '../src/live/choice.js';
import { columns, figuresOf, Line, POINTS_MAX, stretchOf } from '../src/live/line.js';
import { asked, PANELS_MAX, spanOf } from '../src/live/Live.js';
import { firingMetrics, isOf, LISTED_MAX, planOf, ranked, selector, TOPICS_MAX } from '../src/live/names.js';
import { wordAt } from '../src/live/Picker.js';
import { comparison, metricsIn, thresholdsOf } from '../src/live/thresholds.js';

const S = 1_000;

function line(points: [number, number][], key = '{}', labels = {}): Line {
  const made = new Line(key, 'm', labels);
  for (const [time, value] of points) made.push(time, value);
  return made;
}

test('a line keeps its points in order, and what comes twice or late does not bend it', () => {
  const one = line([[1, 10], [2, 20], [2, 21], [1, 99], [3, 30]]);
  assert.deepEqual([one.times, one.values], [[1, 2, 3], [10, 21, 30]]);
});

test('a line of very many points keeps the newest, and as many as a chart shows', () => {
  const one = line([]);
  for (let at = 1; at <= 100_000; at += 1) one.push(at, at);
  assert.ok(one.times.length <= POINTS_MAX * 1.25 + 1, `${one.times.length}`);
  assert.deepEqual(one.times.slice(-100), Array.from({ length: 100 }, (_, index) => 99_901 + index));
  assert.ok(one.times.every((time, index) => index === 0 || time > one.times[index - 1]!));
});

test('the past takes the place of what is known of its time; what is older stays, behind an interruption', () => {
  const one = line([[1, 1], [2, 2], [5, 5]]);
  one.replace([2, 3, 4], [20, 'NaN', '+Inf']);
  assert.deepEqual([one.times, one.values], [[1, 2, 3, 4], [1, 20, NaN, Infinity]]);
  one.replace([10, 11], [100, 110]);
  assert.deepEqual(one.times, [1, 2, 3, 4, 9, 10, 11]);
  assert.ok(Number.isNaN(one.values[4]));
  one.replace([], []);
  assert.equal(one.newest, 110);
});

test('who is gone ends there, and who comes back is apart from what was', () => {
  const one = line([[1 * S, 1], [2 * S, 2]]);
  one.end(3 * S);
  one.end(4 * S);
  assert.equal(one.isGone, true);
  one.push(5 * S, 5);
  assert.equal(one.isGone, false);
  assert.deepEqual(stretchOf(one, 0, 6 * S), { times: [1, 2, 3, 5, 6].map((s) => s * S), values: [1, 2, null, 5, 5] });
  assert.deepEqual(figuresOf(one, 2 * S), { newest: 5, least: 2, most: 5 });
});

test('samples that are silent for long leave a gap; answers of queries hold, until they are gone', () => {
  const one = line([[0, 1], [1 * S, 2], [2 * S, 3], [100 * S, 4]]);
  assert.deepEqual(stretchOf(one, 0, null).values, [1, 2, 3, null, 4]);
  assert.deepEqual(stretchOf(one, 0, 101 * S).values, [1, 2, 3, 4, 4]);
  // What is seldom is not silent.
  const seldom = line([[0, 1], [60 * S, 2], [120 * S, 3], [190 * S, 4]]);
  assert.deepEqual(stretchOf(seldom, 0, null).values, [1, 2, 3, 4]);
  // The point before comes along, so that the line begins at the edge.
  assert.deepEqual(stretchOf(seldom, 100 * S, null).times, [60 * S, 120 * S, 190 * S]);
});

test('what is no number or has no end interrupts a line, and breaks nothing', () => {
  const one = line([[1, NaN], [2, Infinity], [3, -Infinity], [4, 7]]);
  assert.deepEqual(stretchOf(one, 0, null).values, [null, null, null, 7]);
  assert.deepEqual(figuresOf(one, 0), { newest: 7, least: -Infinity, most: Infinity });
  assert.deepEqual(figuresOf(line([[1, NaN]]), 0), { newest: NaN, least: null, most: null });
  assert.deepEqual(rangeOf(-Infinity, NaN, []), [0, 1]);
});

test('columns have all times once, and nothing where a line has none', () => {
  const made = columns([{ times: [1, 3], values: [10, null] }, { times: [], values: [] }, { times: [1, 2], values: [5, 6] }]);
  assert.deepEqual(made, [[1, 2, 3], [10, undefined, null], [undefined, undefined, undefined], [5, 6, undefined]]);
});

test('of very many lines those are drawn that fire, then the greatest; who is drawn keeps its place', () => {
  const lines = new Map(Array.from({ length: 1_000 }, (_, at) => [`${at}`, line([[1, at === 7 ? NaN : at]], `${at}`)]));
  const drawn = choose(lines, [], ({ key }) => key === '3');
  assert.equal(drawn.length, DRAWN_MAX);
  assert.deepEqual(drawn.slice(0, 3), ['3', '999', '998']);
  lines.get('998')!.push(2, -1);
  lines.get('5')!.push(2, Infinity);
  const next = choose(lines, drawn, ({ key }) => key === '3');
  assert.deepEqual([next[0], next[1], next[2]], ['3', '999', '5']);
  assert.equal(new Set(next).size, DRAWN_MAX);
});

test('labels that tell lines apart', () => {
  assert.deepEqual(differing([line([], 'a', { job: 'x', site: 'oslo' }), line([], 'b', { job: 'x', site: 'rome', rack: '1' })]), ['rack', 'site']);
  assert.deepEqual(differing([line([], 'a', { site: 'oslo', job: 'x' })]), ['job', 'site']);
});

test('a point without a neighbour is a dot', () => {
  assert.deepEqual(lonely([1, undefined, null, 2, 3, null, undefined, 4]), [0, 7]);
  assert.deepEqual(lonely([undefined, null, undefined]), []);
  assert.deepEqual(lonely([5]), [0]);
});

test('an axis has room for limits that are near', () => {
  const at = (value: number) => [{ rule: 'R', value, operator: '>' }];
  const [low, high] = rangeOf(70, 75, at(90));
  assert.ok(low > 60 && low < 70 && high > 90 && high < 95, `${low} ${high}`);
  assert.ok(rangeOf(1, 2, at(1_000))[1] < 3, 'what is far away makes no flat line');
  assert.equal(rangeOf(0, 10, [])[0], 0);
  assert.deepEqual(rangeOf(null, null, []), [0, 1]);
});

test('limits are read off rules that compare the same', () => {
  const rules = [
    { name: 'Hot', query: 'boiler_celsius{site=~"a>b"} > 90' },
    { name: 'Warm', query: '(avg_over_time(boiler_celsius[5m]) >= 8e1)' },
    { name: 'Sum', query: 'sum by (site) (rate(hits_total[1m])) > 10' },
    { name: 'Two', query: 'boiler_celsius > 1 and boiler_celsius < 5' },
    { name: 'Other', query: 'boiler_celsius / 2 > 40' },
    { name: 'Not', query: 'boiler_celsius != 0' },
  ];
  const names = (expression: string) => thresholdsOf(expression, rules).map(({ rule, value }) => `${rule} ${value}`);
  assert.deepEqual(names('boiler_celsius'), ['Hot 90', 'Warm 80']);
  assert.deepEqual(names('boiler_celsius{site="oslo"}'), ['Hot 90', 'Warm 80']);
  assert.deepEqual(names('sum  by(site)( rate( hits_total [1m]) ) > 3'), ['Sum 10']);
  assert.deepEqual(names('other'), []);
  assert.deepEqual(comparison('-5 < x'), null);
  assert.deepEqual(comparison('x > -1.5e3'), { compared: 'x', operator: '>', value: -1_500 });
  assert.deepEqual(comparison(`${'( '.repeat(10_000)}x > 1${' )'.repeat(10_000)}`), { compared: 'x', operator: '>', value: 1 });
});

test('a rule that smooths is told of beside the metric', () => {
  const rules = [{ name: 'Warm', query: 'avg_over_time(boiler_celsius[5m]) >= 80' }, { name: 'Q', query: 'quantile_over_time(0.9, boiler_celsius{a="b"}[5m]) > 70' }];
  assert.deepEqual(thresholdsOf('boiler_celsius', rules).map(({ value }) => value), [80, 70]);
});

test('metrics of an expression, and which fire', () => {
  assert.deepEqual(metricsIn('sum by (site) (rate(a_total{x="b_total"}[1m])) / on (site) group_left c:d offset 5m'), ['a_total', 'c:d']);
  const queries = new Map([['Hot', 'boiler_celsius > 90']]);
  assert.deepEqual(firingMetrics([{ alertname: 'Hot' }, { alertname: 'Unknown' }], queries), new Set(['boiler_celsius']));
  const order = ranked([{ name: 'go_gc' }, { name: 'b' }, { name: 'process_x' }, { name: 'z_hot' }, { name: 'a' }], new Set(['z_hot']));
  assert.deepEqual(order.map(({ name }) => name), ['z_hot', 'a', 'b', 'go_gc', 'process_x']);
});

test('a list of too many series follows what is looked for, and counts the rest', () => {
  assert.deepEqual(planOf([{ name: 'a', keys: LISTED_MAX }], new Set(), []), { topics: ['samples/**'], left: { metrics: 0, series: 0 } });
  const many = Array.from({ length: 100 }, (_, at) => ({ name: `m${at}`, keys: at === 50 ? LISTED_MAX + 1 : 100 }));
  const plan = planOf(many, new Set(['m7']), ['m99']);
  assert.deepEqual(plan.topics.slice(0, 2), ['samples/m99', 'samples/m7']);
  assert.ok(plan.topics.length <= TOPICS_MAX && !plan.topics.includes('samples/m50'));
  assert.equal(plan.left.metrics, 100 - plan.topics.length);
});

test('a series is of an alert whose labels it shares', () => {
  const alert = { alertname: 'Hot', severity: 'critical', site: 'oslo', sensor: '1' };
  assert.equal(isOf({ site: 'oslo', sensor: '1' }, alert), true);
  assert.equal(isOf({ site: 'rome', sensor: '1' }, alert), false);
  assert.equal(isOf({ host: 'x' }, alert), false);
  assert.equal(isOf(JSON.parse('{"__proto__":"x"}') as Record<string, string>, alert), false);
});

test('a selector quotes what is no word', () => {
  assert.equal(selector('m', {}), 'm');
  assert.equal(selector('m', { site: 'a"b\\' }), 'm{site="a\\"b\\\\"}');
  assert.equal(selector('a.b', { 'x.y': '1' }), '{"a.b","x.y"="1"}');
});

test('the address says what is shown, within bounds', () => {
  assert.equal(asked(new URLSearchParams('')), null);
  assert.deepEqual(asked(new URLSearchParams('q=')), []);
  assert.deepEqual(asked(new URLSearchParams('q=a&q=b&q=a&q=+c')), ['a', 'b', 'c']);
  assert.equal(asked(new URLSearchParams(Array.from({ length: 99 }, (_, at) => ['q', `${at}`])))!.length, PANELS_MAX);
  assert.deepEqual(asked(new URLSearchParams({ q: 'x'.repeat(5_000) })), []);
  assert.deepEqual(['5m', '60m', '7m', ''].map((span) => spanOf(new URLSearchParams({ span }))), [5, 60, 15, 15]);
});

test('a refusal says where', () => {
  assert.deepEqual(refusalOf('sum by (', 400, { detail: '1:8: this `(` is not closed' }), { detail: 'this `(` is not closed', at: 7, passes: false });
  assert.equal(refusalOf('a +\nb {', 400, { detail: '2:3: no' }).at, 6);
  assert.deepEqual(refusalOf('a', 429, null), { detail: 'HTTP 429', at: null, passes: true });
});

test('what is completed stands at the caret', () => {
  const of = (text: string) => {
    const caret = text.indexOf('|');
    return wordAt(text.replace('|', ''), caret);
  };
  assert.deepEqual(of('sum(boi|ler'), { typed: 'boi', from: 4, to: 10, within: 'expression', metric: '', label: '' });
  assert.deepEqual(of('m{si|}'), { typed: 'si', from: 2, to: 4, within: 'labels', metric: 'm', label: '' });
  assert.deepEqual(of('m{site=~"os|"}'), { typed: 'os', from: 9, to: 11, within: 'value', metric: 'm', label: 'site' });
  assert.equal(of('m{site="a"} + x|').within, 'expression');
});
