// What topics there are, as the server lists them, and how often each changes.

import { ask } from '../stores/ask.js';

/** So many are loaded; of more one sees those that begin with something. */
export const TOPICS_MAX = 20_000;
/** Topics of a page: each is read without the page being still for long. */
const PAGE = 5_000;

export interface Listed {
  topic: string;
  kind: 'stream' | 'state';
  /** Events of a stream, keys of a state topic; `null` where the caller may not know. */
  size: number | null;
  /** Events or changes a second; `null` where it cannot be told yet. */
  perSecond: number | null;
  bytes: number | null;
  /** When the last event came, in milliseconds since 1970. */
  lastAt: number | null;
  subscribers: number | null;
  hasEnded: boolean;
  durability: string | null;
}

export interface Listing {
  topics: readonly Listed[];
  /** There are more than are loaded. */
  isCut: boolean;
}

/** A topic as the server tells it. */
export type Told =
  | { topic: string; kind: 'stream'; events: number; bytes: number; events_per_second: number; last_event_at?: number; cursor: string; subscribers: number; ended?: true }
  | { topic: string; kind: 'state'; durability?: string; keys?: number; changes?: number; subscribers?: number; ended?: true };

/** How often state topics had changed, and when that was asked. */
export interface Changes {
  at: number;
  of: ReadonlyMap<string, number>;
}

export const NO_CHANGES: Changes = { at: 0, of: new Map() };

/** Reads topics as they are told. `at` is when, in milliseconds of a clock that only goes on. */
export function read(told: readonly Told[], before: Changes, at: number): { topics: Listed[]; changes: Changes } {
  const of = new Map<string, number>();
  const seconds = (at - before.at) / 1_000;
  const topics = told.map((one): Listed => {
    const known = { topic: one.topic, subscribers: one.subscribers ?? null, hasEnded: one.ended === true };
    if (one.kind === 'stream') {
      const { events, bytes, events_per_second: perSecond, last_event_at: lastAt = null } = one;
      return { ...known, kind: 'stream', size: events, perSecond, bytes, lastAt, durability: null };
    }
    const { keys = null, changes, durability = null } = one;
    if (changes !== undefined) of.set(one.topic, changes);
    const earlier = before.of.get(one.topic);
    // A topic that began anew counts from nothing.
    const isKnown = changes !== undefined && earlier !== undefined && seconds > 0;
    const perSecond = isKnown ? Math.max(0, (changes < earlier ? changes : changes - earlier) / seconds) : null;
    return { ...known, kind: 'state', size: keys, perSecond, bytes: null, lastAt: null, durability };
  });
  return { topics, changes: { at, of } };
}

/** Asks for all topics that begin with a prefix, up to a bound. */
export async function list(prefix: string, signal: AbortSignal): Promise<{ told: Told[]; isCut: boolean }> {
  const told: Told[] = [];
  let after: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (prefix) query.set('prefix', prefix);
    if (after) query.set('after', after);
    const page: { topics: Told[]; next?: string } = await ask(`v1/topics?${query}`, { signal });
    told.push(...page.topics);
    after = page.next;
  } while (after && told.length < TOPICS_MAX);
  return { told, isCut: after !== undefined };
}
