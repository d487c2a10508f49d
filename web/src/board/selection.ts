// The alerts that are picked, to do something with all of them.

import type { Alert } from '@bellwire/client';
import { signal } from '@preact/signals';
import { type Change, entryOf, onAlerts } from '../stores/alerts.js';
import { model } from './engine.js';

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

/** Those that are looked for now: nothing is done to what a filter keeps out of sight. */
export const selectedAlerts = (): Alert[] => [...selection.peek()].flatMap((one) => model.peek().find(one)?.alert ?? []);

/** What has left the board is picked no more. */
export function keepSelection(): () => void {
  // Also what has left it while another page was shown.
  const there = [...selection.peek()].filter(entryOf);
  if (there.length < selection.peek().size) selection.value = new Set(there);
  return onAlerts(dropGone);
}

function dropGone(changes: readonly Change[]): void {
  const picked = selection.peek();
  if (picked.size === 0) return;
  const gone = changes.filter(({ entry }) => entry.isGone.peek() && picked.has(entry.fingerprint));
  if (gone.length === 0) return;
  const next = new Set(picked);
  for (const { entry } of gone) next.delete(entry.fingerprint);
  selection.value = next;
}
