import assert from 'node:assert/strict';
import test from 'node:test';
import { placeOf, read, SERIES_MAX, seriesText, stretch } from '../src/rules/evaluate.js';
import { filterOf, groups, identity, isBlind, paces, type Rule, stateOf } from '../src/rules/told.js';
import { path } from '../src/ui/Spark.js';

const rule = (changed: Partial<Rule> = {}): Rule => ({
  file: 'f', line: 4, group: 'g', name: 'Hot', expression: 'x > 1', kind: 'alerting', mode: 'stream', labels: {},
  cost: { windows_ms: [], kept_ms: 0, restless: false, series_bytes: 0, sample_bytes: 0, selectors: 1 }, health: 'well', ...changed,
});

test('a rule is as its worst alert is', () => {
  assert.equal(stateOf(rule()), 'inactive');
  assert.equal(stateOf(rule({ alerts: { pending: 2, firing: 0, data_lost: 0 } })), 'pending');
  assert.equal(stateOf(rule({ alerts: { pending: 2, firing: 1, data_lost: 1 } })), 'firing');
  assert.equal(stateOf(rule({ kind: 'recording' })), 'recording');
});

test('who looks at nothing although there should be something is blind', () => {
  assert.equal(isBlind(rule({ series: 0 })), true);
  assert.equal(isBlind(rule({ series: 3 })), false);
  assert.equal(isBlind(rule()), false, 'it is not told');
  assert.equal(isBlind(rule({ series: 0, mode: 'tick' })), false);
});

test('what rules cost comes of two tellings', () => {
  const told = (time: number, ...rules: Rule[]) => ({ time, rules });
  const before = told(1_000, rule({ evaluations: 10, series_looked_at: 100 }), rule({ name: 'B', evaluations: 0, series_looked_at: 0 }));
  const now = told(3_000, rule({ evaluations: 20, series_looked_at: 160 }), rule({ name: 'B', evaluations: 4, series_looked_at: 20 }), rule({ name: 'New', evaluations: 1, series_looked_at: 1 }));
  assert.equal(paces(null, now).size, 0);
  const found = paces(before, now);
  assert.deepEqual(found.get(identity(now.rules[0]!)), { evaluations: 5, looks: 30, share: 0.75 });
  assert.equal(found.get(identity(now.rules[1]!))!.share, 0.25);
  assert.equal(found.size, 2);
});

test('groups are in the order of the files, also where two have one name', () => {
  const made = groups([rule(), rule({ line: 5 }), rule({ group: 'h' }), rule({ file: 'other' })]);
  assert.deepEqual(made.map(({ file, name, rules }) => [file, name, rules.length]), [['f', 'g', 2], ['f', 'h', 1], ['other', 'g', 1]]);
  assert.equal(filterOf(rule({ name: 'a"b' })), 'alertname="a\\"b"');
});

test('an answer is read whatever it is of', () => {
  const vector = read({ data: { resultType: 'vector', result: [{ metric: { __name__: 'x', a: 'b' }, value: [1, 'NaN'] }] } });
  assert.deepEqual([vector.series[0]!.text, vector.series[0]!.points], ['NaN', [[1, NaN]]]);
  const scalar = read({ data: { resultType: 'scalar', result: [1, '+Inf'] }, warnings: ['w'] });
  assert.deepEqual([scalar.series[0]!.points, scalar.warnings], [[[1, Infinity]], ['w']]);
  const matrix = read({ data: { resultType: 'matrix', result: Array.from({ length: SERIES_MAX + 1 }, () => ({ metric: {}, values: [[1, '2'], [2, '3']] })) } });
  assert.deepEqual([matrix.series.length, matrix.count, matrix.series[0]!.text], [SERIES_MAX, SERIES_MAX + 1, '3']);
});

test('a range ends with a step that no sample which has come is behind', () => {
  for (const range of [300, 900, 3_600, 21_600]) {
    for (const now of [1_767_225_600_000, 1_767_225_607_999]) {
      const { start, end, step } = stretch(now, range);
      assert.ok(end * 1_000 > now);
      assert.ok(Math.abs((end - start) / step - Math.round((end - start) / step)) < 1e-6, `${range}`);
      assert.ok(end - start <= range && end - start > range - step);
    }
  }
});

test('series are written as one would', () => {
  assert.equal(seriesText({ __name__: 'x', a: 'b"c' }), 'x{a="b\\"c"}');
  assert.equal(seriesText({ __name__: 'x' }), 'x');
  assert.equal(seriesText({}), '{}');
});

test('an error says where it is', () => {
  assert.deepEqual(placeOf('1:7: parse error: unexpected end'), { line: 1, column: 7, reason: 'unexpected end' });
  assert.equal(placeOf('too many series'), null);
});

test('a line breaks where a value is no number, and where none came for long', () => {
  assert.equal(path([[0, NaN]], 0, 1), '');
  const broken = path([[0, 1], [1, 2], [2, NaN], [3, 2], [4, 1], [20, 1]], 0, 20);
  assert.equal(broken.match(/M/g)!.length, 3);
  assert.ok(!/NaN|Infinity/.test(path([[0, -1.7e308], [1, 1.7e308]], 0, 1)));
  assert.ok(!/NaN/.test(path([[5, 3]], 5, 5)), 'one point is a point');
});
