// What is on the screen, and what waits: while somebody points at the list, has the focus or a selection
// in it, its rows stay where they are.

import { type ReadonlySignal, signal } from '@preact/signals';
import { type Look, look, LOOKS } from '../format/severity.js';
import type { Entry } from '../stores/alerts.js';
import { alertRow, type Group, groupRow, type Item, type Row } from './model.js';

export interface Waiting {
  /** Alerts that are not on the screen and would be. */
  added: number;
  /** Alerts on the screen that would not be. */
  gone: number;
  /** The worst of those that are new. */
  worst: Look | null;
}

/** The rows on the screen. They follow the model unless they are held. */
export class ShownRows {
  readonly #rows = signal<readonly Row[]>([]);
  /** What waits; nothing where the screen shows all. */
  readonly #waiting = signal<Waiting | null>(null);
  #next: readonly Row[] = [];

  get rows(): ReadonlySignal<readonly Row[]> {
    return this.#rows;
  }

  get waiting(): ReadonlySignal<Waiting | null> {
    return this.#waiting;
  }

  /** Groups that rows on the screen belong to: they are not forgotten, however empty. */
  groups(): Set<Group> {
    return new Set(this.#rows.peek().flatMap((row) => (row.kind === 'group' ? [row.group] : [])));
  }

  /** What there is to be seen now. */
  update(next: readonly Row[], isHeld: boolean): void {
    this.#next = next;
    const waiting = isHeld ? difference(this.#rows.peek(), next) : null;
    if (!waiting) return this.release();
    const before = this.#waiting.peek();
    if (before?.added !== waiting.added || before.gone !== waiting.gone || before.worst !== waiting.worst) this.#waiting.value = waiting;
  }

  /** Shows all that waits. */
  release(): void {
    this.#waiting.value = null;
    const shown = this.#rows.peek();
    const isSame = shown.length === this.#next.length && shown.every((row, index) => row === this.#next[index]);
    if (!isSame) this.#rows.value = this.#next;
  }

  /** Opens a group where it stands, and moves nothing above it. */
  open(key: string): void {
    this.#rows.value = this.#rows.peek().flatMap((row): Row[] => {
      if (row.kind !== 'group' || row.key !== key) return [row];
      return [groupRow(row.group, true), ...row.group.items.map((item) => alertRow(item, true))];
    });
  }

  /** Closes it: its alerts go from behind it. */
  close(key: string): void {
    let isWithin = false;
    this.#rows.value = this.#rows.peek().flatMap((row): Row[] => {
      if (row.kind !== 'alert') isWithin = row.kind === 'group' && row.key === key;
      if (isWithin && row.kind === 'alert' && row.isInGroup) return [];
      return [isWithin && row.kind === 'group' ? groupRow(row.group, false) : row];
    });
  }
}

/** An alert that has left and fires again is another one, whatever its fingerprint. */
const idOf = (row: Row): string | Entry => (row.kind === 'alert' ? row.item.entry : row.key);

/** What of the board's alerts the rows on the screen lack, and have too many; `null` where they are the same. */
export function difference(shown: readonly Row[], next: readonly Row[]): Waiting | null {
  if (shown.length === next.length && shown.every((row, index) => idOf(row) === idOf(next[index]!))) return null;
  const has = new Set(shown.map(idOf));
  const opened = new Set(shown.flatMap((row) => (row.kind === 'group' && row.isOpen ? [row.group] : [])));
  // A group that is on the screen, and closed, counts what is in it.
  const isOnScreen = (item: Item) => has.has(item.entry) || (has.has(item.group.key) && !opened.has(item.group));
  const added: Item[] = [];
  const reachable = new Set<Entry>();
  for (const row of next) {
    if (row.kind === 'lane') continue;
    const items = row.kind === 'alert' ? [row.item] : row.isOpen ? [] : row.group.items;
    for (const item of items) {
      reachable.add(item.entry);
      if (!isOnScreen(item)) added.push(item);
    }
  }
  let gone = 0;
  for (const row of shown) {
    if (row.kind === 'alert' ? !reachable.has(row.item.entry) : row.kind === 'group' && row.group.items.length === 0 && !row.isOpen) gone += 1;
  }
  return { added: added.length, gone, worst: worst(added) };
}

function worst(items: readonly Item[]): Look | null {
  const looks = new Set(items.map(({ alert }) => look(alert.severity)));
  return LOOKS.find((one) => looks.has(one)) ?? null;
}
