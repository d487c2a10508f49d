// What somebody has chosen to be told of, and how, for each kind of severity. It is kept in this browser,
// and all is off at first.

import { signal } from '@preact/signals';
import { recall, remember } from '../ui/storage.js';
import { type Kind, KINDS } from './kinds.js';

export type Way = 'notification' | 'sound' | 'push';
export const WAYS: readonly Way[] = ['notification', 'sound', 'push'];

export type Choices = Readonly<Record<Kind, Readonly<Record<Way, boolean>>>>;

const KEY = 'notify';

/** Reads what was kept; what is none of it counts as not chosen. */
export function readChoices(text: string | null): Choices {
  let kept: unknown = null;
  try {
    kept = JSON.parse(text ?? 'null');
  } catch {
    // An older version, or somebody by hand: nothing is chosen.
  }
  const chosen = (kind: Kind, way: Way) => (kept as Partial<Choices> | null)?.[kind]?.[way] === true;
  const ways = (kind: Kind) => Object.fromEntries(WAYS.map((way) => [way, chosen(kind, way)]));
  return Object.fromEntries(KINDS.map((kind) => [kind, ways(kind)])) as unknown as Choices;
}

export const choices = signal<Choices>(readChoices(recall(KEY)));

export function choose(kind: Kind, way: Way, isChosen: boolean): void {
  choices.value = { ...choices.value, [kind]: { ...choices.value[kind], [way]: isChosen } };
  remember(KEY, JSON.stringify(choices.value));
}

export const kindsBy = (way: Way): Kind[] => KINDS.filter((kind) => choices.value[kind][way]);

/** Another tab has chosen something. */
export function followChoices(): void {
  addEventListener('storage', ({ key, newValue }) => {
    if (key?.endsWith(KEY)) choices.value = readChoices(newValue);
  });
}
