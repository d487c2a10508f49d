// The way in for whoever only follows: one server, and how to ask it.

import type { Alert } from './api.js';
import { Backoff } from './backoff.js';
import { type Cancel, type Clock, systemClock } from './clock.js';
import { renewalOf } from './renewal.js';
import type { Setting } from './session.js';
import { sse } from './sse.js';
import { QueryState, TopicState } from './state.js';
import { type CursorStore, Subscription } from './subscription.js';
import { Token, type TokenSource } from './token.js';
import type { Channel, Item, Transport } from './transport.js';
import { watchWakes } from './wake.js';

export interface FollowerOptions {
  /** A token or API key, or a function that gives one, also a newer one when it is asked again. */
  token?: TokenSource;
  /** In place of the global one. */
  fetch?: typeof fetch;
  /** What streams come over, Server-Sent Events by default; see `moving`. */
  transport?: Transport;
  /** Whether requests carry cookies, as `fetch` has it. */
  credentials?: RequestCredentials;
  /** For tests: in place of the system's. */
  clock?: Clock;
  /** For tests: numbers from 0 to 1, in place of `Math.random`. */
  random?: () => number;
}

export interface SubscribeOptions {
  /** Where to begin: a cursor, `earliest` or `latest`, which is the default. */
  after?: string;
  /** Where its cursor is kept: it begins behind what was handed out before, or at `after`. */
  store?: CursorStore;
  /** Closes the subscription. */
  signal?: AbortSignal;
  /** PromQL expressions to follow, beside the topics. */
  queries?: string[];
  /** How far back the past of each series is wanted, such as `15m`. */
  history?: string;
  /** State topics: how many updates of a key in a second at most. */
  maxRate?: number;
  /** State topics: what comes first to who comes back, all `values` or the `changes` since. */
  state?: 'values' | 'changes';
  /** What others who follow the same are shown. */
  present?: unknown;
  /** By what a client without a name is known when it comes back. */
  presentId?: string;
  /** Whether an iteration gives control events, such as `gap`, in their place among the events. */
  controls?: boolean;
}

/** How a state is followed. */
export type StateOptions = Pick<SubscribeOptions, 'signal' | 'maxRate'>;

/** Somebody who follows a topic. */
export interface Present<Shown = unknown> {
  since: number;
  subject?: string;
  shown?: Shown;
}

/** What is the same for all that a client does. */
export interface Surroundings extends Setting {
  base: URL;
}

/** Follows what one server has. Nothing is connected before something is asked of it. */
export class Follower {
  protected readonly surroundings: Surroundings;
  protected readonly subscriptions = new Set<Subscription<unknown, unknown>>();
  #stopWatching: Cancel | null = null;

  /** `url`: the server's, such as `https://bell.example`; in a page it may be relative to that. */
  constructor(url: string | URL, options: FollowerOptions = {}) {
    const { clock = systemClock, random = Math.random } = options;
    // Looked up when it is called: a page may have replaced it by then.
    const asking = {
      fetch: options.fetch ?? ((...request: Parameters<typeof fetch>) => fetch(...request)),
      credentials: options.credentials,
      channels: new Set<Channel>(),
    };
    const backoff = () => new Backoff(random);
    const common = { asking, clock, token: new Token(options.token), base: baseOf(url), backoff };
    this.surroundings = { ...common, transport: options.transport ?? sse, renew: renewalOf(common) };
  }

  /** Follows topics: filters such as `chat/general`, `alerts/*` or `plant/**`. */
  subscribe<Data = unknown>(
    filters: string | readonly string[],
    options: SubscribeOptions & { controls: true },
  ): Subscription<Data, Item<Data>>;
  subscribe<Data = unknown>(filters: string | readonly string[], options?: SubscribeOptions): Subscription<Data>;
  subscribe<Data>(filters: string | readonly string[], options: SubscribeOptions = {}): Subscription<Data, never> {
    const topics = typeof filters === 'string' ? [filters] : [...filters];
    const { queries = [], after = null, controls = false, signal, store } = options;
    if (topics.length + queries.length === 0) throw new TypeError('nothing to follow');
    const url = new URL('v1/events', this.surroundings.base);
    const parameters = {
      topic: topics,
      query: queries,
      history: options.history,
      max_rate: options.maxRate,
      state: options.state,
      present: JSON.stringify(options.present),
      present_id: options.presentId,
    };
    for (const [name, given] of Object.entries(parameters)) {
      for (const value of [given].flat()) if (value !== undefined) url.searchParams.append(name, `${value}`);
    }
    const areNamed = queries.length === 0 && !topics.some((topic) => topic.includes('*'));
    const followed = { url, after, topics: areNamed ? topics : null };
    const subscription = new Subscription<Data, never>(this.surroundings, followed, {
      controls,
      signal,
      store,
      onClose: () => {
        this.subscriptions.delete(subscription);
        if (this.subscriptions.size > 0) return;
        this.#stopWatching?.();
        this.#stopWatching = null;
      },
    });
    subscription.addEventListener('status', ({ detail }) => { if (detail.status === 'live') this.reached(); });
    this.subscriptions.add(subscription);
    this.#watch();
    return subscription;
  }

  /** The newest value of each key of a state topic, kept current. */
  state<Value = unknown>(topic: string, options: StateOptions = {}): TopicState<Value> {
    if (topic.includes('*')) throw new TypeError(`\`${topic}\`: name one topic, without \`*\``);
    return new TopicState(this.subscribe<Value>(topic, { ...options, state: 'changes' }));
  }

  /** The answer of a PromQL expression, kept current. */
  query(expression: string, options: StateOptions = {}): QueryState {
    return new QueryState(this.subscribe([], { ...options, queries: [expression], state: 'changes' }));
  }

  /** The alerts on the board, by fingerprint. */
  alerts(options?: StateOptions): TopicState<Alert> {
    return this.state('alerts/active', options);
  }

  /** Who follows a topic, of those who show themselves (`present` of `subscribe`). */
  presence<Shown = unknown>(topic: string, options?: StateOptions): TopicState<Present<Shown>> {
    return this.state(`presence/${topic}`, options);
  }

  /** Closes all subscriptions. */
  close(): void {
    for (const subscription of [...this.subscriptions]) subscription.close();
  }

  /** A subscription is live: the server is there. */
  protected reached(): void {}

  #watch(): void {
    this.#stopWatching ??= watchWakes((wake) => {
      for (const subscription of this.subscriptions) subscription.wake(wake);
    });
  }
}

/** The server's address, with a slash behind it so that paths can follow. */
function baseOf(url: string | URL): URL {
  let base;
  try {
    base = new URL(url, typeof location === 'undefined' ? undefined : location.href);
  } catch {
    // What it says of it names no address.
  }
  if (!base || !/^https?:$/.test(base.protocol)) throw new TypeError(`\`${url}\` does not begin with http:// or https://`);
  base.search = base.hash = '';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}
