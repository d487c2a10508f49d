// Reading back what happened before. The server reads its journal forwards, behind a cursor, and cursors
// are opaque: what may be begun behind is the newest event of each topic, which its listing tells. So the
// newest of these are tried first, and older ones until there is enough.

import { isAfter } from '../../../clients/js/src/shared.js';
import type { Happened } from '../alert/told.js';

/** One thing that happened; or what is not told of: a gap, where events are lost, or a hole, where there is
 * more than is read at once. */
export type Item = { cursor: string; event: Happened } | { cursor: string; gap: string } | Hole;
export interface Hole { cursor: string; hole: Stretch }

/** What is behind one cursor, up to another and with it; `null` is the newest. */
export interface Stretch { after: string; until: string | null }

export interface Page { events: Happened[]; cursor: string; gap?: { from: string; to: string; reason: string } }

/** What the server is asked for. */
export interface Source {
  /** Cursors to begin behind, in any order. */
  places(): Promise<string[]>;
  page(after: string): Promise<Page>;
}

export interface Read {
  /** The newest first. */
  items: Item[];
  /** All behind this cursor is read, but for holes; `null` where there is nothing before. */
  until: string | null;
}

/** Enough to fill a screen. */
const WANTED = 60;
/** Pages of up to 1,000 events or 1 MiB. */
const PAGES_MAX = 10;

const EARLIEST = 'earliest';

/** Reads some of what was before a cursor; `null` begins with the newest. */
export async function readBefore(source: Source, before: string | null): Promise<Read> {
  const places = (await source.places()).filter((place) => before === null || isAfter(before, place));
  places.sort((a, b) => (isAfter(a, b) ? -1 : 1));
  const items: Item[] = [];
  let until = before;
  // The newest place has nothing behind it.
  for (let at = before === null ? 1 : 0; ; at = at * 2 + 1) {
    const after = places[at] ?? EARLIEST;
    const read = await readOn(source, { after, until });
    items.push(...read.items);
    until = after;
    if (after === EARLIEST || read.cut !== null) return { items, until: null };
    if (items.length >= WANTED) return { items, until };
  }
}

/** What the stream has told and what was read, each the newest first, as one: the stream may be behind the
 * journal. What cannot be compared is as new as it was told. */
export function merged(told: readonly Item[], read: readonly Item[]): Item[] {
  const items: Item[] = [];
  let next = 0;
  for (const item of told) {
    while (next < read.length && !isAfter(item.cursor, read[next]!.cursor)) items.push(read[next++]!);
    items.push(item);
  }
  return [...items, ...read.slice(next)];
}

/** Reads a stretch forwards, as far as it goes at once. `cut`: why what it should begin with is gone. */
export async function readOn(source: Source, { after, until }: Stretch): Promise<{ items: Item[]; cut: string | null }> {
  const items: Item[] = [];
  let cut: string | null = null;
  let at = after;
  for (let pages = 0; ; pages += 1) {
    if (pages === PAGES_MAX) {
      items.push({ cursor: at, hole: { after: at, until } });
      break;
    }
    const { events, cursor, gap } = await source.page(at);
    if (gap && pages === 0) cut = gap.reason;
    else if (gap) items.push({ cursor: gap.to, gap: gap.reason });
    for (const event of events) if (until === null || !isAfter(event.cursor, until)) items.push({ cursor: event.cursor, event });
    const isOver = events.length === 0 || (until !== null && !isAfter(until, cursor));
    if (isOver) break;
    at = cursor;
  }
  return { items: items.reverse(), cut };
}
