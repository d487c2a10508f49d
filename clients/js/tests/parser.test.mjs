// The parser against the cases of the public suite of the HTML standard (web-platform-tests,
// eventsource/), each fed whole, in two pieces at each place, and character by character.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SseParser } from '../dist/index.js';

/** `[name, text, events]`; an event is its data, or `[type, data, lastEventId]`. */
const CASES = [
  ['a field', 'data: a\n\n', ['a']],
  ['format-bom: one mark at the beginning', '\uFEFFdata:1\n\n\uFEFFdata:2\n\ndata:3\n\n', ['1', '3']],
  ['format-bom-2: two marks', '\uFEFF\uFEFFdata:1\n\ndata:2\n\ndata:3\n\n', ['2', '3']],
  ['format-comments', `data:1\r:\0\n:\r\ndata:2\n:${'x'.repeat(2_000)}\rdata:3\n:data:fail\r:${'x'.repeat(2_000)}\ndata:4\n\n`, ['1\n2\n3\n4']],
  ['format-data-before-final-empty-line: the end cuts a block', 'retry:1000\ndata:test1\n\nid:test\ndata:test2', ['test1']],
  ['format-field-data', 'data:\n\ndata\ndata\n\ndata:test\n\n', ['', '\n', 'test']],
  ['format-field-event', 'event:test\ndata:x\n\ndata:x\n\n', [['test', 'x', ''], ['message', 'x', '']]],
  ['format-field-event-empty', 'event: \ndata:data\n\n', [['message', 'data', '']]],
  ['format-field-id', 'id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n', [['message', 'a', '1'], ['message', 'b', '1'], ['message', 'c', '']]],
  ['format-field-id-null', 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n', [['message', 'a', '1'], ['message', 'b', '1']]],
  ['an id alone', 'id: 1\n\ndata: a\n\n', [['message', 'a', '1']]],
  ['an id of a block that is not whole', 'data: a\n\nid: 1\n', [['message', 'a', '']]],
  ['format-field-parsing', 'data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n', ['\0\n 2\n1\n3\n\n4']],
  ['format-field-unknown', 'data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n', ['test\n\ntest']],
  ['format-leading-space', 'data:\ttest\rdata: \ndata:test\n\n', ['\ttest\n\ntest']],
  ['format-newlines', 'data:test\r\ndata\ndata:test\r\n\r', ['test\n\ntest']],
  ['format-null-character', 'data:\0\n\n\n\n', ['\0']],
  ['format-utf-8', 'data:ok…\n\n', ['ok…']],
  ['carriage returns alone', 'data:a\r\rdata:b\r\r', ['a', 'b']],
  ['a colon in the value', 'data: a: b\n\n', ['a: b']],
  ['a block without data', 'event: x\n\ndata: a\n\n', [['message', 'a', '']]],
  ['nothing', '\n\n:\n\n', []],
];

/** What the parser makes of these pieces. */
function read(pieces) {
  const events = [];
  const parser = new SseParser({ event: ({ type, data, lastEventId }) => events.push([type, data, lastEventId]) });
  pieces.forEach((piece) => parser.push(piece));
  return events;
}

for (const [name, text, expected] of CASES) {
  test(`parser: ${name}`, () => {
    const likeness = ([type, data, id], index) => (Array.isArray(expected[index]) ? [type, data, id] : data);
    const check = (pieces) => assert.deepEqual(read(pieces).map(likeness), expected, JSON.stringify(pieces).slice(0, 200));
    check([text]);
    check([...text]);
    for (let at = 0; at <= Math.min(text.length, 500); at += 1) check([text.slice(0, at), '', text.slice(at)]);
  });
}

test('parser: retries and comments are told as they come', () => {
  const told = [];
  const parser = new SseParser({
    event: () => {},
    retry: (ms) => told.push(ms),
    comment: (text) => told.push(text),
  });
  parser.push('retry: 2417\nretry: 1x\nretry:\nretry: -1\n: still here\n:\n');
  assert.deepEqual(told, [2_417, ' still here', '']);
});

test('parser: an event that is longer than any may be is refused', () => {
  const parser = new SseParser({ event: () => {} });
  const piece = 'x'.repeat(1 << 20);
  parser.push('data:');
  assert.throws(() => {
    for (let count = 0; count < 20; count += 1) parser.push(piece);
  }, RangeError);
});
