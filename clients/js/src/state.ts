// The newest value of each key of a state topic, current over reconnects.

import type { TopicEvent } from './api.js';
import { Emitter } from './emitter.js';
import type { BellwireError } from './errors.js';
import type { Status, StatusChange } from './session.js';
import type { Subscription } from './subscription.js';

export interface Change<Value> {
  key: string;
  /** `undefined` where the key is gone. */
  value: Value | undefined;
  /** What brought it; `null` where the key went while nobody was connected. */
  event: TopicEvent<Value> | null;
}

export interface StateEvents<Value> {
  change: Change<Value>;
  status: StatusChange;
  /** Queries: what it says of itself is another. */
  info: QueryInfo | null;
}

/** A map of keys to values that others write. Each change is an event, and makes another `snapshot`. */
export class TopicState<Value = unknown> extends Emitter<StateEvents<Value>> implements Disposable {
  readonly #source: Subscription<Value>;
  #values = new Map<string, Value>();
  #snapshot: ReadonlyMap<string, Value> | null = null;
  /** Keys that were not told of since all values began to come anew. */
  #unseen: Set<string> | null = null;
  /** What comes over another transport is not ready yet, although it is live. */
  #isMoving = false;

  constructor(source: Subscription<Value>) {
    super();
    this.#source = source;
    source.addEventListener('event', ({ detail }) => this.take(detail));
    source.addEventListener('reset', () => this.#beginAnew());
    source.addEventListener('move', () => { this.#isMoving = true; });
    source.addEventListener('ready', () => {
      this.#isMoving = false;
      this.#drop();
    });
    // Behind what begins anew in the midst of it, as a poll does, nothing else tells that all have come.
    source.addEventListener('heartbeat', () => {
      if (this.status === 'live' && !this.#isMoving) this.#drop();
    });
    source.addEventListener('status', ({ detail }) => {
      if (detail.status === 'connecting' && detail.cursor === null) this.#beginAnew();
      this.emit('status', detail);
    });
  }

  get status(): Status {
    return this.#source.status;
  }

  /** Why it is closed. */
  get error(): BellwireError | null {
    return this.#source.error;
  }

  /** Resolves once all values there are have come; rejects where it closes before. */
  ready(): Promise<void> {
    return this.#source.ready();
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** The map as it is now; the same one until something changes. */
  snapshot(): ReadonlyMap<string, Value> {
    return (this.#snapshot ??= new Map(this.#values));
  }

  [Symbol.iterator](): IterableIterator<[string, Value]> {
    return this.#values.entries();
  }

  /** Ends it. The values stay as they were last. */
  close(): void {
    this.#source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** One event of the topic; what is no value is for others to take. */
  protected take(event: TopicEvent<Value>): void {
    const { key } = event;
    if (key === undefined) return;
    this.#unseen?.delete(key);
    if (event.deleted) this.#delete(key, event);
    else this.#set(key, event.data as Value, event);
  }

  #set(key: string, value: Value, event: TopicEvent<Value>): void {
    this.#values.set(key, value);
    this.#changed({ key, value, event });
  }

  #delete(key: string, event: TopicEvent<Value> | null): void {
    if (this.#values.delete(key)) this.#changed({ key, value: undefined, event });
  }

  #changed(change: Change<Value>): void {
    this.#snapshot = null;
    this.emit('change', change);
  }

  /** All values come anew: those that do not come are gone. */
  #beginAnew(): void {
    this.#unseen = new Set(this.#values.keys());
  }

  #drop(): void {
    for (const key of this.#unseen ?? []) this.#delete(key, null);
    this.#unseen = null;
  }
}

/** What a query says of itself. */
export interface QueryInfo {
  /** The expression, as whoever came first wrote it. */
  query: string;
  mode: 'stream' | 'tick';
  /** Why it has no answer at the moment, or not the whole one. */
  error?: string;
  /** It could be evaluated so often only. */
  evaluated_every_ms?: number;
}

/** An element of a query's answer. */
export interface QueryElement {
  name: string;
  labels: Record<string, string>;
  /** A number, or `NaN`, `+Inf` or `-Inf`. */
  value: number | string;
  timestamp: number;
}

/** Under which key a query says what it is. */
const INFO_KEY = 'query';

/** The answer of an expression, by the labels of its elements. */
export class QueryState extends TopicState<QueryElement> {
  /** `null` until it has come. */
  info: QueryInfo | null = null;

  protected override take(event: TopicEvent<QueryElement>): void {
    if (event.key !== INFO_KEY) return super.take(event);
    this.info = (event.data as unknown as QueryInfo | undefined) ?? null;
    this.emit('info', this.info);
  }
}
