// Nodes are there while their beat grows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areMixed, beats, lag, type Node, presence, SILENT_MS } from '../src/nodes/told.js';

const node = (beat: number, more: Partial<Node> = {}): Node => ({ id: 'a', version: '1', address: 'http://127.0.0.1:8080', run: '1', beat, ...more });

test('a node is there once its beat has grown, and silent once it has not for long', () => {
  let known = beats(new Map(), [node(5)], 0);
  assert.equal(presence(known.get('a'), 0), 'unknown', 'it may have been gone for a year');
  known = beats(known, [node(5)], SILENT_MS - 1);
  assert.equal(presence(known.get('a'), SILENT_MS - 1), 'unknown');
  assert.equal(presence(known.get('a'), SILENT_MS), 'silent');
  known = beats(known, [node(6)], SILENT_MS);
  assert.equal(presence(known.get('a'), SILENT_MS), 'there');
  // Another run counts from the beginning.
  known = beats(known, [node(1, { run: '2' })], 2 * SILENT_MS);
  assert.equal(presence(known.get('a'), 2 * SILENT_MS), 'there');
  assert.equal(presence(known.get('a'), 3 * SILENT_MS), 'silent');
  assert.equal(beats(known, [], 0).size, 0, 'one that was forgotten is not kept');
  assert.equal(presence(undefined, 0), 'unknown');
});

test('how far a node is behind is known where it says what it has applied', () => {
  const all = [node(1, { applied: 90 }), node(1, { id: 'b', applied: 100 }), node(1, { id: 'c', applied: null }), node(1, { id: 'd' })];
  assert.deepEqual(all.map((one) => lag(one, all)), [10, 0, undefined, undefined]);
});

test('several versions are told of', () => {
  assert.equal(areMixed([node(1), node(1, { id: 'b' })]), false);
  assert.equal(areMixed([node(1), node(1, { id: 'b', version: '2' })]), true);
  assert.equal(areMixed([]), false);
});
