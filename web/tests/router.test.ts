import assert from 'node:assert/strict';
import test from 'node:test';
import { grouping } from '../src/board/view.js';
import { address, parse, route } from '../src/shell/router.js';

test('an address is read as it was written', () => {
  const parameters = new URLSearchParams({ filter: 'site=~"a|b"&x', by: 'site,host' });
  const written = address('topics', ['a/b', 'ü%'], parameters);
  const { page, rest, parameters: read } = parse(written);
  assert.equal(page, 'topics');
  assert.deepEqual(rest, ['a/b', 'ü%']);
  assert.equal(read.toString(), parameters.toString());
});

test('without an address it is the board', () => {
  for (const hash of ['', '#', '#/', '#/?x=1']) assert.equal(parse(hash).page, 'alerts', hash);
});

test('what cannot be decoded is taken as it stands', () => {
  assert.deepEqual(parse('#/topics/%E0%A4%A').rest, ['%E0%A4%A']);
});

test('a question mark within the parameters is theirs', () => {
  assert.equal(parse('#/live?query=a?b').parameters.get('query'), 'a?b');
});

test('labels to group by that cannot be decoded are taken as they stand', () => {
  route.value = parse('#/alerts?group=%25,a%252Cb');
  assert.deepEqual(grouping.value, ['%', 'a,b']);
  route.value = parse('#/alerts');
});
