// Matchers as they are typed, and expressions that may take no longer than their text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { taken } from '../src/board/Filter.js';
import { parse, placeAt, Tester, tester, write } from '../src/match/matchers.js';
import { compile, programOf, TooSlow } from '../src/match/regexp.js';

test('an expression matches whole texts, as RE2 does', () => {
  const cases = [
    ['oslo|rome', ['oslo', 'rome'], ['osl', 'oslorome', '']],
    ['', [''], ['a']],
    ['a*', ['', 'a', 'aaa'], ['b', 'ab']],
    ['a+b?', ['a', 'aab'], ['', 'b', 'abb']],
    ['a{2,3}', ['aa', 'aaa'], ['a', 'aaaa']],
    ['(ab){2,}', ['abab', 'ababab'], ['ab', 'aba']],
    ['a{0}', [''], ['a']],
    ['x{', ['x{'], ['x']],
    ['[a-c]+[^0-9]', ['ab!', 'c-'], ['a1', 'd!']],
    ['[]a]+', [']', 'a]'], ['b']],
    ['[a\\-]+', ['a-'], ['b']],
    ['\\d{3}\\.\\w+', ['123.x'], ['12.x', '123x']],
    ['(?i)OSLO', ['oslo', 'Oslo'], ['osla']],
    ['(?i:o)slo', ['Oslo', 'oslo'], ['OSLO']],
    ['(?P<name>a)', ['a'], ['b']],
    ['^a$', ['a'], ['aa']],
    ['(a|b$|^)c?', ['ac', 'b', 'c'], ['bc']],
    ['.', ['\n', 'é', '🚀'], ['', 'ab']],
    ['\\x41\\x{1F680}', ['A🚀'], ['A']],
    ['\\p{Greek}+', ['αβγ'], ['abc']],
    ['\\pL', ['é'], ['1']],
    ['[[:alpha:]_]+', ['ab_'], ['a1']],
    ['\\Qa.b\\E+', ['a.b'], ['axb']],
    ['(|a)*', ['', 'aaa'], ['b']],
  ];
  for (const [expression, yes, no] of cases) {
    const matches = compile(expression);
    for (const text of yes) assert.ok(matches(text), `${expression} matches ${JSON.stringify(text)}`);
    for (const text of no) assert.ok(!matches(text), `${expression} does not match ${JSON.stringify(text)}`);
  }
});

test('what is no expression says what is wrong', () => {
  const cases = [
    ['(', 'unclosed'], [')', 'unopened'], ['[a', 'unclosed'], ['*', 'repetition'], ['a**', 'repetition'], ['a{3,2}', 'count'],
    ['(?=a)', 'group'], ['\\', 'escape'], ['\\k', 'escape'], ['\\1', 'escape'], ['[b-a]', 'range'], ['\\p{Nothing}', 'class'],
    ['(a{1000}){1000}', 'long'], ['('.repeat(200), 'depth'],
  ];
  for (const [expression, fault] of cases) assert.throws(() => compile(expression), { fault }, expression);
});

test('an expression that would take others for ever takes as long as its text', () => {
  const text = `${'a'.repeat(1000)}!`;
  for (const expression of ['(a+)+', '(a|a)*', '(.*a){20}', '.*.*.*.*b']) assert.equal(compile(expression)(text), false);
});

test('an expression is written out with as much work as it has steps', () => {
  // A thousand times nothing a thousand times over is nothing.
  assert.ok(programOf('((((){1000}){1000}){1000}){1000}').parts < 50);
  assert.ok(compile('((((){1000}){1000}){1000}){1000}a')('a'));
  assert.ok(compile('(^){1000}a')('a'));
  for (const expression of ['(.?){1000}', '((.?){100}){100}', '((){0,1000}){1000}', `(${'()'.repeat(9_000)}a)`]) {
    assert.throws(() => compile(expression), { fault: 'long' }, expression.slice(0, 40));
  }
  assert.ok(compile('.{1000}')('a'.repeat(1000)));
});

test('what is typed is matchers and words', () => {
  const { matchers, wrong } = parse('severity="critical", site=~"oslo|rome" pump {a!=b} "two words" x!~"" @state=firing');
  assert.equal(wrong, null);
  assert.deepEqual(matchers.map(({ name, operator, value }) => [name, operator, value]), [
    ['severity', '=', 'critical'], ['site', '=~', 'oslo|rome'], ['', '=', 'pump'], ['a', '!=', 'b'], ['', '=', 'two words'],
    ['x', '!~', ''], ['@state', '=', 'firing'],
  ]);
});

test('what is wrong is told with its place, and the rest counts', () => {
  const cases = [
    ['a="b', 'quote', [2, 4]], ['a=', 'value', [0, 2]], ['a=~"(" b=c', 'unclosed', [0, 6]], ['"', 'quote', [0, 1]],
  ];
  for (const [text, fault, place] of cases) {
    const { wrong } = parse(text);
    assert.deepEqual([wrong.fault, [wrong.from, wrong.to]], [fault, place], text);
  }
  assert.deepEqual(parse('a=~"(" b=c').matchers.map(({ name }) => name), ['b']);
});

test('what is written is read again as it was', () => {
  const values = ['plain', 'two words', 'quo"te', 'back\\slash', 'a=b', 'line\nend', '', 'é🚀', '{x}', 'a,b', 'x=~y'];
  for (const value of values) {
    for (const [name, operator] of [['', '='], ['site', '='], ['a b', '!~'], ['ünïcode', '!=']]) {
      if (!name && value === '') continue;
      const matcher = { name, operator, value: operator.endsWith('~') ? 'x' : value };
      const [read] = parse(write(matcher)).matchers;
      assert.deepEqual({ name: read.name, operator: read.operator, value: read.value }, matcher, write(matcher));
    }
  }
});

test('alerts are those for which all of it holds', () => {
  const alert = { labels: { alertname: 'BoilerHot', site: 'oslo' }, state: 'firing', annotations: { summary: 'Pump 3 is hot' } };
  const cases = [
    ['site=oslo', true], ['site!=oslo', false], ['site=~"os.*"', true], ['site=~os', false], ['site!~"r.*"', true],
    ['missing=""', true], ['missing!=""', false], ['constructor=""', true], ['boiler', true], ['"pump 3"', true], ['rome', false],
    ['boiler site=rome', false], ['@state=firing', true], ['@state!=firing', false], ['', true],
  ];
  for (const [text, holds] of cases) assert.equal(tester(parse(text).matchers)(alert), holds, text);
});

test('what could stand at the caret', () => {
  const cases = [
    ['', ['name', '', '', 0, 0]],
    ['se|', ['name', '', 'se', 0, 2]],
    ['a="b" se|v', ['name', '', 'se', 6, 9]],
    ['site=|', ['value', 'site', '', 5, 5]],
    ['site="o|"', ['value', 'site', 'o', 5, 8]],
    ['a="b",site=~os|', ['value', 'site', 'os', 12, 14]],
    ['a="x y" site="two w|', ['value', 'site', 'two w', 13, 19]],
    ['site="oslo" |', ['name', '', '', 12, 12]],
    ['a="site=|', ['value', 'a', 'site=', 2, 8]],
  ];
  for (const [marked, [what, name, typed, from, to]] of cases) {
    const caret = marked.includes('|') ? marked.indexOf('|') : marked.length;
    assert.deepEqual(placeAt(marked.replace('|', ''), caret), { what, name, typed, from, to }, marked);
  }
});

test('an expression that takes too long is given up, passes all, and is told once', () => {
  const subject = (site: string) => ({ labels: { site, host: 'a' }, state: 'firing' });
  for (const operator of ['=~', '!~']) {
    const slow: string[] = [];
    const tester = new Tester(parse(`site${operator}"(.*x){20}" host=~"[a-c]"`).matchers, (one) => slow.push(write(one)));
    tester.renew(100_000);
    assert.equal(tester.holds(subject('short')), operator === '!~', 'it is tested while that is quick');
    for (let index = 0; index < 10; index += 1) tester.holds(subject('x'.repeat(1_000) + index));
    assert.deepEqual(slow, [`site${operator}"(.*x){20}"`]);
    assert.ok(tester.holds(subject('short')), 'what it would hide is shown');
    // The other one still counts.
    assert.equal(tester.holds({ labels: { site: 'short', host: 'd' }, state: 'firing' }), false);
    tester.renew(100_000);
    assert.ok(tester.holds(subject('z')));
  }
});

test('one text that takes too long is given up, however much is left', () => {
  const slow: string[] = [];
  const tester = new Tester(parse('site=~"(.*x){100}"').matchers, ({ value }) => slow.push(value));
  tester.renew(1e9);
  assert.ok(tester.holds({ labels: { site: 'x'.repeat(20_000) }, state: 'firing' }));
  assert.deepEqual(slow, ['(.*x){100}']);
});

test('all that is remembered of an expression takes no steps', () => {
  const slow: string[] = [];
  const tester = new Tester(parse('site=~"host-.*"').matchers, ({ value }) => slow.push(value));
  tester.renew(200);
  for (let index = 0; index < 10_000; index += 1) assert.ok(tester.holds({ labels: { site: 'host-1' }, state: 'firing' }));
  assert.deepEqual(slow, []);
});

test('a set costs as many steps as it has members, and one that ignores case thrice that', () => {
  const set = Array.from({ length: 500 }, (_, index) => String.fromCodePoint(0x4e00 + index)).join('');
  for (const [expression, steps] of [[`[^${set}]*`, 50_000], [`(?i)[^${set}]*`, 150_000]] as const) {
    const effort = { left: 1e6 };
    assert.ok(compile(expression, effort)('x'.repeat(100)));
    const taken = 1e6 - effort.left;
    assert.ok(taken >= steps && taken < steps + 2_000, `${expression.slice(0, 8)}: ${taken}`);
  }
  assert.throws(() => compile(`[^${set}]*`, { left: 1e6 })('x'.repeat(2_000)), TooSlow);
});

test('many expressions take no more than one', () => {
  const all = Array.from({ length: 50 }, (_, index) => `site=~"(.*x){20}y{${index}}.*"`);
  const slow = new Set<string>();
  const tester = new Tester(parse(`${all.join(' ')} host=~"[a-c]"`).matchers, ({ value }) => slow.add(value));
  tester.renew(1e6);
  tester.holds({ labels: { site: 'x'.repeat(200), host: 'b' }, state: 'firing' });
  assert.equal(slow.size, 50);
  // One that is quick counts beside them.
  assert.equal(tester.holds({ labels: { site: 'x'.repeat(200), host: 'd' }, state: 'firing' }), false);
});

test('what was offered is the same once it is read again, whatever it ends with', () => {
  for (const value of ['oslo', 'YWJj=', 'a="b', '="', '\\', 'two words', '']) {
    const text = 'site="o';
    const { value: written, caret } = taken(text, { text: '', hint: '', value }, text.length);
    assert.deepEqual(parse(written).matchers.map((one) => [one.name, one.value]), [['site', value]], written);
    assert.equal(caret, written.length);
  }
  for (const name of ['site', 'a b', 'x="', 'y=']) {
    const { value: written } = taken('si', { text: '', hint: '', value: name }, 2);
    assert.deepEqual(parse(`${written}"v"`).matchers.map((one) => [one.name, one.value]), [[name, 'v']], written);
  }
});
