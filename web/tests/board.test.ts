// The board's order, its groups, and what waits while somebody looks.

import type { Alert } from '@bellwire/client';
import { signal } from '@preact/signals';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShownRows } from '../src/board/hold.js';
import { BoardModel, LANES, type Open, type Row } from '../src/board/model.js';
import { parse, tester } from '../src/match/matchers.js';
import type { Entry } from '../src/stores/alerts.js';

const ALL: Open = { lanes: new Set(LANES), groups: new Set() };

interface Given { state?: string; severity?: string; at?: number; by?: string; labels?: Record<string, string> }

/** A model with alerts that are known by a short name. */
class Board {
  readonly entries = new Map<string, Entry>();
  readonly shown = new ShownRows();

  constructor(readonly model: BoardModel) {}

  put(name: string, { state = 'firing', severity = 'warning', at = 1, by, labels = {} }: Given = {}): boolean {
    const alert = {
      fingerprint: name, state, severity, labels: { alertname: name.replace(/\d+$/, ''), severity, ...labels }, annotations: {},
      active_at: at, fired_at: state === 'pending' ? undefined : at, resolved_at: state === 'resolved' ? at : undefined,
      acknowledged: by && { by, note: '', at },
    } as unknown as Alert;
    const known = this.entries.get(name);
    if (known) known.alert.value = alert;
    const entry = known ?? { fingerprint: name, alert: signal(alert), isGone: signal(false), latencyMs: signal<number | null>(null) };
    this.entries.set(name, entry);
    return this.model.take([{ entry, before: null }]);
  }

  drop(name: string): boolean {
    const entry = this.entries.get(name)!;
    this.entries.delete(name);
    entry.isGone.value = true;
    return this.model.take([{ entry, before: null }]);
  }

  rows(open: Open = ALL): string[] {
    return this.model.rows(open).map(told);
  }

  /** What the screen has after an update. */
  see(isHeld: boolean, open: Open = ALL): string[] {
    this.shown.update(this.model.rows(open, this.shown.groups()), isHeld);
    return this.shown.rows.value.map(told);
  }
}

function told(row: Row): string {
  if (row.kind === 'lane') return `= ${row.lane}`;
  return row.kind === 'group' ? `+ ${row.group.by.map(([, value]) => value).join()} ${row.group.items.length}` : row.key;
}

const byName = () => new Board(new BoardModel(['alertname'], () => true));
const flat = () => new Board(new BoardModel(null, () => true));

test('the worst comes first, then what nobody has taken up, then the newest', () => {
  const board = flat();
  board.put('old', { at: 1 });
  board.put('new', { at: 2 });
  board.put('taken', { at: 3, by: 'ada', severity: 'critical' });
  board.put('worst', { severity: 'critical' });
  board.put('odd', { severity: 'whatever', at: 9 });
  assert.deepEqual(board.rows(), ['= firing', 'worst', 'taken', 'new', 'old', 'odd']);
  board.put('worst', { severity: 'critical', by: 'bob', at: 1 });
  assert.deepEqual(board.rows(), ['= firing', 'taken', 'worst', 'new', 'old', 'odd']);
});

test('each state has its lane, and one that is not known is seen', () => {
  const board = flat();
  const states = ['resolved', 'silenced', 'inhibited', 'pending', 'data_lost', 'acknowledged', 'firing', 'constructor'];
  states.forEach((state, at) => board.put(state, { state, at }));
  assert.deepEqual(board.rows(), [
    '= firing', 'constructor', 'firing', 'acknowledged', 'data_lost', '= pending', 'pending', '= muted', 'inhibited', 'silenced', '= resolved', 'resolved',
  ]);
  assert.deepEqual(board.rows({ ...ALL, lanes: new Set(['pending']) }), ['= firing', '= pending', 'pending', '= muted', '= resolved']);
});

test('alerts of one name are one row, and one alone is itself', () => {
  const board = byName();
  for (let index = 0; index < 120; index += 1) board.put(`Hot${index}`);
  board.put('Wet', { severity: 'critical' });
  assert.deepEqual(board.rows(), ['= firing', 'Wet', '+ Hot 120']);
  const { items, looks, labels } = board.model.find('Hot7')!.group;
  assert.deepEqual([items.length, looks, labels.shared()], [120, { critical: 0, warning: 120, info: 0 }, [['alertname', 'Hot'], ['severity', 'warning']]]);
  for (let index = 1; index < 120; index += 1) board.drop(`Hot${index}`);
  assert.deepEqual(board.rows(), ['= firing', 'Wet', 'Hot0']);
  board.put('Hot0', { state: 'resolved' });
  assert.deepEqual(board.rows(), ['= firing', 'Wet', '= resolved', 'Hot0']);
});

test('a group opens, counts its states, and is grouped by several labels', () => {
  const board = new Board(new BoardModel(['site', 'alertname'], () => true));
  board.put('Hot1', { labels: { site: 'oslo' } });
  board.put('Hot2', { labels: { site: 'oslo' }, by: 'ada', state: 'acknowledged' });
  board.put('Hot3', { labels: { site: 'rome' } });
  board.put('Hot4');
  board.put('Hot5');
  const { group } = board.model.find('Hot1')!;
  assert.deepEqual([...group.states], [['firing', 1], ['acknowledged', 1]]);
  assert.deepEqual([...group.takers], [['ada', 1]]);
  assert.deepEqual(board.rows(), ['= firing', '+ oslo,Hot 2', 'Hot3', '+ ,Hot 2']);
  assert.deepEqual(board.rows({ ...ALL, groups: new Set([group.key]) }), ['= firing', '+ oslo,Hot 2', 'Hot1', 'Hot2', 'Hot3', '+ ,Hot 2']);
});

test('what no matcher wants is not there, and comes when it is', () => {
  const board = new Board(new BoardModel(null, tester(parse('@state=firing').matchers)));
  board.put('A');
  board.put('B', { state: 'pending' });
  assert.deepEqual(board.rows(), ['= firing', 'A']);
  assert.ok(board.put('B'));
  assert.ok(board.put('A', { state: 'pending' }));
  assert.deepEqual([board.rows(), board.model.size], [['= firing', 'B'], 1]);
});

test('a new value moves nothing', () => {
  const board = byName();
  board.put('A');
  assert.ok(!board.put('A'));
});

test('while it is held nothing moves, and what waits is counted', () => {
  const board = byName();
  board.put('A', { at: 5 });
  board.put('B', { at: 4 });
  assert.deepEqual(board.see(false), ['= firing', 'A', 'B']);
  board.put('C', { severity: 'critical' });
  board.put('D1');
  board.put('D2');
  board.drop('A');
  assert.deepEqual(board.see(true), ['= firing', 'A', 'B']);
  assert.deepEqual(board.shown.waiting.value, { added: 3, gone: 1, worst: 'critical' });
  board.put('B', { at: 4, state: 'resolved' });
  assert.deepEqual(board.see(true, { ...ALL, lanes: new Set(['firing']) }), ['= firing', 'A', 'B']);
  assert.deepEqual(board.shown.waiting.value, { added: 3, gone: 2, worst: 'critical' });
  board.shown.release();
  assert.deepEqual(board.shown.rows.value.map(told), ['= firing', 'C', '+ D 2', '= resolved']);
  assert.equal(board.shown.waiting.value, null);
});

test('an alert that left and fires again while it is held is a new one', () => {
  const board = byName();
  board.put('A', { severity: 'critical' });
  board.see(false);
  board.drop('A');
  board.put('A', { severity: 'critical', at: 9 });
  assert.deepEqual(board.see(true), ['= firing', 'A']);
  assert.deepEqual(board.shown.waiting.value, { added: 1, gone: 1, worst: 'critical' });
});

test('what comes back to what it was waits no more', () => {
  const board = byName();
  board.put('A');
  board.see(false);
  board.put('B');
  board.see(true);
  assert.equal(board.shown.waiting.value?.added, 1);
  board.drop('B');
  board.see(true);
  assert.equal(board.shown.waiting.value, null);
});

test('a closed group on the screen takes in what comes; an open one lets it wait', () => {
  const board = byName();
  board.put('Hot1');
  board.put('Hot2');
  board.see(false);
  board.put('Hot3', { at: 9 });
  assert.deepEqual(board.see(true), ['= firing', '+ Hot 3']);
  assert.equal(board.shown.waiting.value, null);
  const { key } = board.model.find('Hot1')!.group;
  const open = { ...ALL, groups: new Set([key]) };
  board.shown.open(key);
  board.put('Hot4', { at: 10 });
  assert.deepEqual(board.see(true, open), ['= firing', '+ Hot 4', 'Hot3', 'Hot1', 'Hot2']);
  assert.deepEqual(board.shown.waiting.value, { added: 1, gone: 0, worst: 'warning' });
  board.shown.close(key);
  assert.deepEqual(board.see(true), ['= firing', '+ Hot 4']);
});

test('opening a group moves nothing above it, and brings nothing else', () => {
  const board = byName();
  for (const name of ['A', 'Hot1', 'Hot2', 'Z']) board.put(name, { at: name === 'A' ? 9 : name === 'Z' ? 0 : 5 });
  board.see(false);
  board.put('New', { severity: 'critical' });
  const { key } = board.model.find('Hot1')!.group;
  board.see(true);
  board.shown.open(key);
  assert.deepEqual(board.see(true, { ...ALL, groups: new Set([key]) }), ['= firing', 'A', '+ Hot 2', 'Hot1', 'Hot2', 'Z']);
  assert.equal(board.shown.waiting.value?.added, 1);
  board.shown.close(key);
  assert.deepEqual(board.see(true), ['= firing', 'A', '+ Hot 2', 'Z']);
});

test('a group on the screen that has become empty is the same one when alerts come back', () => {
  const board = byName();
  for (const name of ['Hot1', 'Hot2']) board.put(name);
  board.see(false);
  for (const name of ['Hot1', 'Hot2']) board.drop(name);
  assert.deepEqual(board.see(true), ['= firing', '+ Hot 0']);
  assert.equal(board.shown.waiting.value?.gone, 1);
  for (const name of ['Hot1', 'Hot2']) board.put(name);
  assert.deepEqual(board.see(true), ['= firing', '+ Hot 2']);
  assert.equal(board.shown.waiting.value, null);
});

test('alerts that change at random are in the end as if they had come so', () => {
  const random = ((seed) => () => ((seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31))(7);
  const states = ['firing', 'pending', 'resolved', 'silenced', 'acknowledged'];
  const board = byName();
  const newest = new Map<string, Given>();
  for (let step = 0; step < 20_000; step += 1) {
    const name = `Name${'x'.repeat(random() * 50)}${Math.floor(random() * 100)}`;
    if (random() < 0.2 && newest.delete(name)) board.drop(name);
    else {
      const given = { state: states[Math.floor(random() * states.length)]!, at: Math.floor(random() * 1000), severity: random() < 0.3 ? 'critical' : 'info' };
      newest.set(name, given);
      board.put(name, given);
    }
    if (step % 1000 === 0) board.rows();
  }
  const fresh = byName();
  for (const [name, given] of newest) fresh.put(name, given);
  assert.deepEqual(board.rows(), fresh.rows());
});
