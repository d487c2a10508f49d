import assert from 'node:assert/strict';
import test from 'node:test';
import { address, parse } from '../src/shell/router.js';

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
