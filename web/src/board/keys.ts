// The board by keyboard alone.

import { signal } from '@preact/signals';
import { address, go, route } from '../shell/router.js';
import type { AttendKind } from '../attend/open.js';
import { entryOf } from '../stores/alerts.js';
import { places } from '../ui/Window.js';
import { actOn } from './acting.js';
import { isPaused, setPaused, shown, toggleGroup, toggleLane } from './engine.js';
import { filterField } from './Filter.js';
import { focusedRow, PAGE_ROWS } from './List.js';
import type { Row } from './model.js';
import { clearSelection, selectedAlerts, selection, toggleSelected } from './selection.js';
import { groupingField, showWaiting } from './Toolbar.js';
import { letters, pageNumber, paging } from './view.js';

export const isHelpOpen = signal(false);

const ACTS: Record<string, AttendKind> = { a: 'acknowledge', s: 'silence', c: 'comment' };

const current = (): Row | undefined => shown.rows.peek().find(({ key }) => key === focusedRow.peek());

const elementOf = (key: string) =>
  document.querySelector<HTMLElement>(`.rows [data-key="${CSS.escape(key)}"] [data-main]`);

/** Puts the focus on a row, wherever that is. */
function focusRow(index: number): void {
  const rows = shown.rows.peek();
  const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
  if (!row) return;
  if (paging.signal.peek()) pageNumber.value = Math.floor(rows.indexOf(row) / PAGE_ROWS);
  places.current?.scrollTo(rows.indexOf(row));
  // Until it is in the document.
  let tries = 10;
  const focus = () => {
    const element = elementOf(row.key);
    if (element) element.focus();
    else if ((tries -= 1) > 0) requestAnimationFrame(focus);
  };
  focus();
}

function move(by: number): void {
  const rows = shown.rows.peek();
  const index = rows.findIndex(({ key }) => key === focusedRow.peek());
  // The first key goes to the first alert, which stands behind the head of its lane.
  focusRow(index < 0 ? Math.max(0, rows.findIndex(({ kind }) => kind !== 'lane')) : index + by);
}

const fingerprintsOf = (row: Row | undefined): string[] =>
  row?.kind === 'alert' ? [row.key] : row?.kind === 'group' ? row.group.items.map(({ entry }) => entry.fingerprint) : [];

function act(kind: AttendKind): void {
  const focused = fingerprintsOf(current()).flatMap((one) => entryOf(one)?.alert.peek() ?? []);
  actOn(kind, selection.peek().size > 0 ? selectedAlerts() : focused);
}

function turn(isWanted: boolean): void {
  const row = current();
  if (row?.kind === 'group' && row.isOpen !== isWanted) toggleGroup(row.group);
  else if (row?.kind === 'alert' && row.isInGroup && !isWanted) focusRow(shown.rows.peek().findIndex((other) => other.kind === 'group' && other.group === row.item.group));
  else if (row?.kind === 'lane' && shown.rows.peek().some((other) => other.kind !== 'lane' && laneOfRow(other) === row.lane) !== isWanted) toggleLane(row.lane);
}

const laneOfRow = (row: Exclude<Row, { kind: 'lane' }>) => (row.kind === 'group' ? row.group : row.item.group).lane;

/** What a key does; nothing where it is not the board's. */
function meaning(key: string, isInList: boolean): (() => void) | null {
  if (isInList) {
    if (key === 'ArrowDown') return () => move(1);
    if (key === 'ArrowUp') return () => move(-1);
    if (key === 'Home') return () => focusRow(0);
    if (key === 'End') return () => focusRow(Infinity);
    if (key === 'ArrowRight') return () => turn(true);
    if (key === 'ArrowLeft') return () => turn(false);
  }
  if (key === 'Escape' && selection.peek().size > 0) return clearSelection;
  if (!letters.signal.peek()) return null;
  if (Object.hasOwn(ACTS, key)) return () => act(ACTS[key]!);
  switch (key) {
    case 'j': return () => move(1);
    case 'k': return () => move(-1);
    case 'x': return () => toggleSelected(fingerprintsOf(current()));
    case 'o': return () => { const row = current(); if (row?.kind === 'alert') go(address('alerts', [row.key], route.peek().parameters)); };
    case '/': return () => filterField.current?.focus();
    case 'g': return () => groupingField.current?.focus();
    case 'n': return showWaiting;
    case 'p': return () => setPaused(!isPaused.peek());
    case '?': return () => { isHelpOpen.value = true; };
    default: return null;
  }
}

/** Listens to keys; gives what ends it. */
export function listenToKeys(): () => void {
  const press = (event: KeyboardEvent) => {
    const target = event.target as Element;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (target.closest('input:not([type="checkbox"]), textarea, select, dialog[open], [contenteditable]')) return;
    // Wherever the focus is: what is open stands over the board.
    if (document.querySelector('dialog[open]')) return;
    const run = meaning(event.key, target.closest('.rows') !== null);
    if (!run) return;
    event.preventDefault();
    run();
  };
  document.addEventListener('keydown', press);
  return () => document.removeEventListener('keydown', press);
}
