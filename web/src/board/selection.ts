// The alerts that are picked, to do something with all of them.

import type { Alert } from '@bellwire/client';
import { signal } from '@preact/signals';
import { entryOf, onAlerts } from '../stores/alerts.js';

export const selection = signal<ReadonlySet<string>>(new Set());

/** Picks them all, or none where all are picked. */
export function toggleSelected(fingerprints: readonly string[]): void {
  const next = new Set(selection.peek());
  const areAll = fingerprints.every((one) => next.has(one));
  for (const one of fingerprints) {
    if (areAll) next.delete(one);
    else next.add(one);
  }
  selection.value = next;
}

export const clearSelection = () => { if (selection.peek().size > 0) selection.value = new Set(); };

export const selectedAlerts = (): Alert[] => [...selection.peek()].flatMap((one) => entryOf(one)?.alert.peek() ?? []);

/** What has left the board is picked no more. */
export const keepSelection = (): (() => void) => onAlerts((changes) => {
  const picked = selection.peek();
  if (picked.size === 0) return;
  const gone = changes.filter(({ entry }) => entry.isGone.peek() && picked.has(entry.fingerprint));
  if (gone.length === 0) return;
  const next = new Set(picked);
  for (const { entry } of gone) next.delete(entry.fingerprint);
  selection.value = next;
});
