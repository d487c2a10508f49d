// The newest value of every series, as far as there is room: what the list shows, and what the field for
// metrics completes.

import { ProblemError, type Subscription } from '@bellwire/client';
import { signal } from '@preact/signals';
import { follower } from '../stores/stream.js';
import { LISTED_MAX, type Plan } from './names.js';

export interface Value {
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What is looked through, in small letters. */
  readonly searchable: string;
  value: number | string;
  /** When it came, in milliseconds of `performance.now()`. */
  cameAt: number;
}

/** Each value is told once a second at most. */
const MAX_RATE = 1;
const SHOW_MS = 1_000;

export class Values {
  /** By metric, then by key. */
  readonly byMetric = new Map<string, Map<string, Value>>();
  /** Changes once a second at most. */
  readonly version = signal(0);
  readonly state = signal<'asking' | 'live' | 'waiting' | 'closed'>('asking');
  readonly fault = signal('');
  /** Since when it is so. */
  since = performance.now();
  #count = 0;
  #followed = '';
  #subscription: Subscription | null = null;
  #unseen: Set<Value> | null = null;
  #showing: ReturnType<typeof setTimeout> | undefined;

  follow({ topics }: Plan): void {
    const followed = JSON.stringify(topics);
    if (followed === this.#followed) return;
    this.#followed = followed;
    this.#subscription?.close();
    this.#subscription = null;
    if (topics.length === 0) return this.#set('live', '');
    const opened = follower.subscribe(topics, { maxRate: MAX_RATE });
    this.#subscription = opened;
    const isOwn = () => this.#subscription === opened;
    const begin = () => { this.#unseen = new Set([...this.byMetric.values()].flatMap((series) => [...series.values()])); };
    begin();
    opened.addEventListener('status', ({ detail: { status, error } }) => {
      if (!isOwn()) return;
      if (status === 'connecting') begin();
      else if (status === 'closed') this.#set('closed', error instanceof ProblemError ? error.message : '');
      else if (status === 'waiting') this.#set('waiting', error?.message ?? '');
    });
    opened.addEventListener('event', ({ detail: { topic, key, data, deleted } }) => {
      if (isOwn() && key !== undefined && topic.startsWith('samples/')) this.#take(topic.slice('samples/'.length), key, deleted ? null : (data as Sample));
    });
    opened.addEventListener('ready', () => {
      if (!isOwn()) return;
      for (const [metric, series] of this.byMetric) {
        for (const [key, value] of series) if (this.#unseen?.has(value)) this.#remove(metric, key);
      }
      this.#unseen = null;
      this.#set('live', '');
    });
  }

  close(): void {
    clearTimeout(this.#showing);
    this.#subscription?.close();
    this.#subscription = null;
    this.#followed = '';
  }

  get count(): number {
    return this.#count;
  }

  #set(state: 'live' | 'waiting' | 'closed', fault: string): void {
    if (this.state.peek() !== state) this.since = performance.now();
    this.state.value = state;
    this.fault.value = fault;
    this.version.value += 1;
  }

  #take(metric: string, key: string, sample: Sample | null): void {
    if (!sample) this.#remove(metric, key);
    else {
      let series = this.byMetric.get(metric);
      if (!series) this.byMetric.set(metric, (series = new Map()));
      let value = series.get(key);
      if (!value) {
        // More may have come since the plan was made.
        if (this.#count >= LISTED_MAX * 2) return;
        value = { key, labels: sample.labels, searchable: `${metric} ${key}`.toLowerCase(), value: sample.value, cameAt: 0 };
        series.set(key, value);
        this.#count += 1;
      }
      value.value = sample.value;
      value.cameAt = performance.now();
      this.#unseen?.delete(value);
    }
    this.#showing ??= setTimeout(() => {
      this.#showing = undefined;
      this.version.value += 1;
    }, SHOW_MS);
  }

  #remove(metric: string, key: string): void {
    const series = this.byMetric.get(metric);
    if (!series?.delete(key)) return;
    this.#count -= 1;
    if (series.size === 0) this.byMetric.delete(metric);
  }
}

interface Sample { labels: Record<string, string>; value: number | string }
