// Who says it: whoever the server knows, or the name that somebody has given themselves here before.

import { subject } from '../stores/who.js';
import { recall, remember } from '../ui/storage.js';

const KEY = 'author';

export const author = (): string => subject.value ?? recall(KEY) ?? '';

/** Whom the server knows it takes at no other name. */
export const isKnown = (): boolean => subject.value !== null;

export function keepAuthor(name: string): void {
  if (!isKnown()) remember(KEY, name);
}
