// Kinds of severities that a choice is made for: their looks. And how the server is asked for some of them.

import { look, type Look, LOOKS, namesOf } from '../format/severity.js';

export type Kind = Look;
export const KINDS = LOOKS;
export const kindOf = look;

/** Matchers that alerts of these kinds pass, and no others. */
export function matchersOf(kinds: readonly Kind[]): string[] {
  if (KINDS.every((kind) => kinds.includes(kind))) return [];
  const names = (of: (kind: Kind) => boolean) => KINDS.filter((kind) => kind !== 'info' && of(kind)).flatMap(namesOf).join('|');
  // What is not known is `info`: of that it can only be said what it is not.
  if (kinds.includes('info')) return [`severity!~"(?i:${names((kind) => !kinds.includes(kind))})"`];
  return [`severity=~"(?i:${names((kind) => kinds.includes(kind))})"`];
}
