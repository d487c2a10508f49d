// Hooks that follow events: the newest of them to show, or each one to a function.

import type { Client, Gap, SubscribeOptions, Subscription, TopicEvent } from '@bellwire/client';
import { useMemo } from 'react';
import { useNewest } from './newest.js';
import type { Feed, Health, Shared } from './shared.js';
import type { Store } from './store.js';
import { blank, type Blank, type HookOptions, useView } from './view.js';

/** How many events are kept to be shown, where nobody says how many. */
export const LIMIT_DEFAULT = 100;

type Followed = Omit<SubscribeOptions, 'signal' | 'store' | 'controls'>;

export interface EventsOptions extends HookOptions, Followed {
  /** How many events there are at most, the newest ones; 100 by default. */
  limit?: number;
}

export interface EventListenerOptions extends Followed {
  /** Called in its place among the events: some are gone before the next one. */
  onGap?: ((gap: Gap) => void) | undefined;
}

interface Events<Data> {
  /** The newest events, the newest last; the same array until there is another one. */
  readonly events: readonly TopicEvent<Data>[];
  /** The newest gap: events between its cursors are gone; `null` where there was none. */
  readonly gap: Gap | null;
}

export type EventsView<Data = unknown> = Health & Events<Data>;

type Listener<Data> = (event: TopicEvent<Data>) => void;

const NO_EVENTS = blank<Events<never>>({ events: [], gap: null });

/** Events as they come, as many as somebody wants to show. */
class Log<Data> implements Feed<Events<Data>> {
  #limit = 0;
  #events: readonly TopicEvent<Data>[] = [];
  #newer: TopicEvent<Data>[] = [];
  #gap: Gap | null = null;

  constructor(readonly source: Subscription<Data>, changed: () => void) {
    source.addEventListener('event', ({ detail }) => {
      if (this.#limit === 0) return;
      this.#newer.push(detail);
      // Between two looks there may be any number.
      if (this.#newer.length >= 2 * this.#limit) this.#newer = this.#newer.slice(-this.#limit);
      changed();
    });
    source.addEventListener('gap', ({ detail }) => {
      this.#gap = detail;
      changed();
    });
  }

  /** As many are kept as whoever wants the most of them has asked for. */
  keep(limit: number): void {
    this.#limit = Math.max(this.#limit, limit);
  }

  part(): Events<Data> {
    if (this.#newer.length > 0) {
      this.#events = [...this.#events, ...this.#newer].slice(-this.#limit);
      this.#newer = [];
    }
    return { events: this.#events, gap: this.#gap };
  }
}

/** The newest events of topics. Equal filters are the same subscription; `null` or none follow nothing. */
export function useEvents<Data = unknown>(filters: string | readonly string[] | null, options?: EventsOptions): EventsView<Data>;
/** Calls a function with each event, in order, and renders nothing anew. */
export function useEvents<Data = unknown>(
  filters: string | readonly string[] | null,
  listener: Listener<Data>,
  options?: EventListenerOptions,
): void;
export function useEvents<Data>(
  filters: string | readonly string[] | null,
  second: EventsOptions | Listener<Data> = {},
  third: EventListenerOptions = {},
): EventsView<Data> | void {
  const listener = typeof second === 'function' ? second : null;
  const options: EventsOptions & EventListenerOptions = typeof second === 'function' ? third : second;
  const limit = limitOf(options);
  const newest = useNewest<Heard<Data>>({ listener, onGap: options.onGap });
  const { topics, followed } = asked(filters, options);
  const isNothing = topics.length + (followed.queries?.length ?? 0) === 0;
  const open = (client: Client, changed: () => void) => new Log(client.subscribe<Data>(topics, followed), changed);
  const hold = (store: Store, key: string, look: () => void) => {
    const shared = store.shared(key, open, NO_EVENTS.initial as EventsView<Data>);
    if (listener) return listen(shared, newest);
    shared.feed.keep(limit);
    return shared.hold(look);
  };
  const key = isNothing ? null : JSON.stringify(['events', topics, followed]);
  const following = { key, hold, blank: NO_EVENTS as Blank<Events<Data>>, isShown: !listener, others: [limit] };
  const view = useView(following, options);
  const shown = useMemo(() => (view.events.length > limit ? { ...view, events: view.events.slice(-limit) } : view), [view, limit]);
  return listener ? undefined : shown;
}

/** Who hears of each event, whatever is shown of them. */
interface Heard<Data> {
  listener: Listener<Data> | null;
  onGap: EventListenerOptions['onGap'];
}

function listen<Data>(shared: Shared<Events<Data>, Log<Data>>, newest: { readonly current: Heard<Data> }): () => void {
  const { source } = shared.feed;
  const stop = new AbortController();
  const { signal } = stop;
  source.addEventListener('event', ({ detail }) => newest.current.listener?.(detail), { signal });
  source.addEventListener('gap', ({ detail }) => newest.current.onGap?.(detail), { signal });
  const release = shared.hold(() => {});
  return () => {
    stop.abort();
    release();
  };
}

function limitOf({ limit = LIMIT_DEFAULT }: EventsOptions): number {
  if (!Number.isInteger(limit) || limit < 1) throw new TypeError(`\`limit\` is ${limit}: it is a whole number from 1 on`);
  return limit;
}

/** What is asked of the server, the same text for all that is the same. */
function asked(filters: string | readonly string[] | null, options: Followed): { topics: string[]; followed: Followed } {
  const topics = filters === null ? [] : typeof filters === 'string' ? [filters] : [...new Set(filters)].sort();
  const { after, queries, history, maxRate, state, present, presentId } = options;
  return { topics, followed: JSON.parse(JSON.stringify({ after, queries, history, maxRate, state, present, presentId })) };
}
