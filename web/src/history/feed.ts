// What happens to alerts, as it comes, and as far back as somebody looks. It comes on the stream that the
// board lives on; from when this is loaded it is kept, whatever page is shown.

import type { TopicEvent } from '@bellwire/client';
import { type ReadonlySignal, signal } from '@preact/signals';
import { withoutState } from '../../../clients/js/src/shared.js';
import type { Happened } from '../alert/told.js';
import { ask, Refusal } from '../stores/ask.js';
import { receive } from '../stores/stream.js';
import { type Hole, type Item, merged, type Page, readBefore, readOn, type Source } from './reading.js';
import { t } from './texts.js';

const TOPICS = 'alerts/events/';
/** So many are kept, the newest: some megabytes. */
export const KEPT_MAX = 5_000;
/** What comes in a burst is shown together. */
const SHOW_MS = 250;
/** Topics whose newest events are known to begin behind. */
const PLACES_MAX = 10_000;
/** What takes longer is as good as no answer: whoever waits may ask again. */
const ANSWER_MAX_MS = 30_000;

export interface State {
  isReading: boolean;
  /** Why no more could be read. */
  fault: string;
  /** All that is kept has been read. */
  isWhole: boolean;
}

export class Feed {
  readonly #items = signal<readonly Item[]>([]);
  readonly #state = signal<State>({ isReading: false, fault: '', isWhole: false });
  readonly #known = new Set<string>();
  readonly #source: Source;
  readonly #later: (show: () => void) => void;
  #fresh: Item[] = [];
  /** What was asked for last. */
  #asked: () => Promise<void> = async () => {};
  /** All behind it is read; `undefined` until anything is. */
  #until: string | null | undefined;

  constructor(source: Source, later: (show: () => void) => void = (show) => void setTimeout(show, SHOW_MS)) {
    this.#source = source;
    this.#later = later;
  }

  /** The newest first. */
  get items(): ReadonlySignal<readonly Item[]> {
    return this.#items;
  }

  get state(): ReadonlySignal<State> {
    return this.#state;
  }

  /** Something has happened. On a stream that follows state topics, too, its cursor says more than where it is. */
  push(event: Happened): void {
    this.#note({ cursor: withoutState(event.cursor), event });
  }

  /** Events are lost. */
  gap(to: string, reason: string): void {
    this.#note({ cursor: withoutState(to), gap: reason });
    // Cursors of another life of the journal lead nowhere any more.
    if (reason === 'epoch' && this.#until !== undefined) this.#end();
  }

  /** Reads what was before, once at a time. */
  async older(): Promise<void> {
    if (this.#state.peek().isWhole) return;
    await this.#read(async () => {
      const { items, until } = await readBefore(this.#source, this.#until ?? this.#items.peek().at(-1)?.cursor ?? null);
      // What is read may be newer than what the stream has told by now.
      const dropped = this.#put(merged(this.#items.peek(), this.#unknown(items)));
      if (!dropped && until === null) this.#end();
      else this.#until = dropped?.cursor ?? until;
    });
  }

  /** Reads on where there was more than is read at once. */
  async fill(hole: Hole): Promise<void> {
    await this.#read(async () => {
      const { items, cut } = await readOn(this.#source, hole.hole);
      if (!this.#items.peek().includes(hole)) return;
      if (cut !== null) items.push({ cursor: hole.cursor, gap: cut });
      this.#keep(merged(this.#items.peek().filter((item) => item !== hole), this.#unknown(items)));
    });
  }

  /** Reads once more what could not be read. */
  async again(): Promise<void> {
    await this.#read(this.#asked);
  }

  async #read(work: () => Promise<void>): Promise<void> {
    if (this.#state.peek().isReading) return;
    this.#asked = work;
    this.#state.value = { ...this.#state.peek(), isReading: true, fault: '' };
    let fault = '';
    try {
      await work();
    } catch (error) {
      fault = error instanceof Refusal ? error.message : t('unreachable');
    }
    this.#state.value = { ...this.#state.peek(), isReading: false, fault };
  }

  #end(): void {
    this.#until = null;
    this.#state.value = { ...this.#state.peek(), isWhole: true };
  }

  #unknown(items: readonly Item[]): Item[] {
    return items.filter((item) => {
      if (!('event' in item)) return true;
      const isNew = !this.#known.has(item.cursor);
      this.#known.add(item.cursor);
      return isNew;
    });
  }

  #note(item: Item): void {
    if (this.#unknown([item]).length === 0) return;
    this.#fresh.push(item);
    // Where nothing is shown that much is never seen.
    if (this.#fresh.length > KEPT_MAX) this.#forget(this.#fresh.splice(0, this.#fresh.length - KEPT_MAX));
    if (this.#fresh.length > 1) return;
    this.#later(() => {
      const fresh = this.#fresh.reverse();
      this.#fresh = [];
      this.#keep(merged(fresh, this.#items.peek()));
    });
  }

  /** What there is no more room for is to be read again. */
  #keep(items: Item[]): void {
    const dropped = this.#put(items);
    if (!dropped || this.#until === undefined) return;
    this.#until = dropped.cursor;
    this.#state.value = { ...this.#state.peek(), isWhole: false };
  }

  /** Keeps what there is room for; gives the newest of the others. */
  #put(items: Item[]): Item | undefined {
    const dropped = items.splice(KEPT_MAX);
    this.#forget(dropped);
    this.#items.value = items;
    return dropped[0];
  }

  #forget(items: readonly Item[]): void {
    for (const { cursor } of items) this.#known.delete(cursor);
  }
}

const headers = { accept: 'application/json' };
const inTime = () => AbortSignal.timeout(ANSWER_MAX_MS);

const source: Source = {
  places: async () => {
    const { topics } = await ask<{ topics: { cursor?: string }[] }>(`v1/topics?${new URLSearchParams({ prefix: TOPICS, limit: `${PLACES_MAX}` })}`, { signal: inTime() });
    return topics.flatMap(({ cursor }) => cursor ?? []);
  },
  page: (after) => ask<Page>(`v1/events?${new URLSearchParams({ topic: `${TOPICS}**`, after, wait: '0s' })}`, { headers, signal: inTime() }),
};

let known: Feed | null = null;

/** The one feed of the page, which follows from the first call on. */
export function feed(): Feed {
  if (known) return known;
  const followed = known = new Feed(source);
  receive({
    takes: (topic) => topic.startsWith(TOPICS),
    event: (event) => { if (event.cursor !== undefined) followed.push(event as TopicEvent & Happened); },
    gap: (_, to, reason) => followed.gap(to, reason),
  });
  return followed;
}
