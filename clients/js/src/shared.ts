// What tabs have in common: what they say to each other, and how they tell what has come already.

import type { Move } from './transport.js';

/** What can be asked of a browser; tests play it. */
export interface Browser {
  locks: Pick<LockManager, 'request'>;
  channel(name: string): Broadcasts;
}

/** As much of a `BroadcastChannel` as is used. */
export interface Broadcasts {
  onmessage: ((message: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** How many characters of events a tab may have before it that it has not taken. */
export const UNTAKEN_LENGTH_MAX = 4_194_304;

/** Untaken characters are told of when they come to so many: it costs a message. */
export const TAKEN_LENGTH = 65_536;

// Whoever changes what is said gives what is shared another name, too (`nameOf`): tabs that were loaded
// before a release are led by those of the version before.

/** Said to all by who leads now, or to that one by a stream; to all while it knows of none. */
export type Said =
  /** Somebody leads from now on. */
  | { say: 'lead'; by: string }
  /** The stream `id` has all up to the cursor `at`, and wants what comes behind it. */
  | { say: 'attach'; id: string; asked: string[]; topics: string[]; at: string }
  /** It has taken so many characters; fewer than `TAKEN_LENGTH`: it asks for a sign besides. */
  | { say: 'taken'; id: string; length: number }
  | { say: 'detach'; id: string };

/** Said to one stream by who leads: what comes, as JSON, and what becomes of it then. */
export interface Told {
  by: string;
  items: string[];
  /**
   * `attached`: all behind its cursor comes from here. `again`: it has to catch up by itself.
   * `refused`: there is no room for it. `lost`: the connection is. `ended`: all topics have.
   */
  fate?: 'attached' | 'again' | 'refused' | 'lost' | 'ended';
  why?: string | undefined;
  move?: Move;
}

const CURSOR = /^(.+?)-(\d+)(?:\.s(\d+)-(\d+))?/;

/** Whether cursors can be told apart by age: of one epoch offsets increase, of one life versions. */
export function isPlace(cursor: string | null): cursor is string {
  return cursor !== null && CURSOR.test(cursor);
}

/** Whether somebody who is at the one has not had what the other is behind of. */
export function isAfter(cursor: string, place: string | null): boolean {
  const [a, b] = [CURSOR.exec(cursor), CURSOR.exec(place ?? '')];
  if (!a || !b || a[1] !== b[1] || +a[2]! > +b[2]!) return true;
  return a[3] !== undefined && b[3] !== undefined && (a[3] !== b[3] || +a[4]! > +b[4]!);
}

/** Whether two cursors are of one epoch. */
export function isOfOne(a: string, b: string): boolean {
  return a.split('-', 1)[0] === b.split('-', 1)[0];
}

/** A cursor behind which is all that is behind either. */
export function older(a: string, b: string): string {
  if (!isAfter(a, b)) return a;
  // Neither has all that the other has: what is said of state topics is left out, and they come anew.
  return isAfter(b, a) ? withoutState(+CURSOR.exec(a)![2]! < +CURSOR.exec(b)![2]! ? a : b) : b;
}

/** Of it only what says something of streams: values come anew behind it. */
export function withoutState(cursor: string): string {
  return cursor.split('.', 1)[0]!;
}

/** Tells tabs and streams apart. */
export function newId(): string {
  return Math.random().toString(36).slice(2);
}
