import assert from 'node:assert/strict';
import test from 'node:test';
import { paces, reasons, type Told } from '../src/connections/told.js';
import { reasonMeaning, reasonName } from '../src/connections/texts.js';

const told = (time: number, opened: number): Told => ({
  time, connections: 1, streams: 1, polls_waiting: 0, refused: 0, lagging: 0, laggards: [], closed: [], closed_counts: {},
  transports: [{ transport: 'sse', encoding: 'json', open: 1, opened }],
});

test('faults come first, then the most', () => {
  const sorted = reasons({ client_closed: 900, stalled: 2, drain: 1_000, connection_lost: 5 });
  assert.deepEqual(sorted.map(([reason]) => reason), ['connection_lost', 'stalled', 'drain', 'client_closed']);
});

test('how many come a second is told of two tellings, also over a restart', () => {
  assert.equal(paces(null, told(1_000, 5)).size, 0);
  assert.equal(paces(told(1_000, 5), told(3_000, 9)).get('sse json'), 2);
  assert.equal(paces(told(1_000, 500), told(3_000, 4)).get('sse json'), 2);
});

test('a reason of a newer server is shown as it is called there', () => {
  assert.equal(reasonName('toString'), 'toString');
  assert.equal(reasonMeaning('newer'), '');
  assert.notEqual(reasonName('stalled'), 'stalled');
});
