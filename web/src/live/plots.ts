// What the panels show: their expressions stand in the address, and one stream brings all that they are
// made of.

import { ProblemError, type Subscription, type TopicEvent } from '@bellwire/client';
import { batch, type Signal, signal } from '@preact/signals';
import { serverNow } from '../stores/clock.js';
import { follower } from '../stores/stream.js';
import { check, type Refusal } from './check.js';
import { choose } from './choice.js';
import { Line, numberOf } from './line.js';

/** Series of one panel; further ones are counted. */
export const LINES_MAX = 1_000;
/** So many are counted; more are as many or more. */
export const COUNTED_MAX = 20_000;
/** How often a panel is drawn anew at most, and how often it is chosen anew which lines are. */
const SHOW_MS = 250;
/** Of the time drawing has this share at most: whatever comes, the page answers. */
const SHARE = 10;
const CHOOSE_MS = 10_000;
/** What passes is tried again. */
const AGAIN_MS = 5_000;

const METRIC = /^[a-zA-Z_:][\w:]*$/;
const MINUTE_MS = 60_000;

export interface Plot {
  readonly expression: string;
  /** Its answer's; nothing while that is not known. */
  topic: string | null;
  readonly lines: Map<string, Line>;
  /** Keys that there is no room for. */
  readonly beyond: Set<string>;
  /** Which are drawn, by their places. */
  drawn: (string | null)[];
  chosenAt: number;
  /** Changes whenever there is something to draw. */
  readonly version: Signal<number>;
  readonly state: Signal<'asking' | 'live' | 'waiting' | 'refused'>;
  readonly refusal: Signal<Refusal | null>;
  /** What the server says of its answer: why it has none, or how far apart it is evaluated. */
  readonly note: Signal<{ error: string | undefined; everyMs: number | undefined } | null>;
  unseen: Set<string> | null;
}

const newPlot = (expression: string): Plot => ({
  expression, topic: null, lines: new Map(), beyond: new Set(), drawn: [], chosenAt: 0,
  version: signal(0), state: signal('asking'), refusal: signal(null), note: signal(null), unseen: null,
});

/** Whether its values hold until others come. */
export const holds = ({ topic }: Plot): boolean => topic?.startsWith('query/') ?? false;

/** All series that a plot knows of, and whether there may be more. */
export function countOf({ lines, beyond }: Plot): { count: number; isMore: boolean } {
  return { count: lines.size + beyond.size, isMore: beyond.size >= COUNTED_MAX };
}

/** The plots of a page, for as long as it is shown. */
export class Plots {
  readonly shown = signal<readonly Plot[]>([]);
  #subscription: Subscription | null = null;
  #followed = '';
  #spanMs = 0;
  #stop = new AbortController();
  #again: ReturnType<typeof setTimeout> | undefined;
  readonly #changed = new Set<Plot>();
  #showing: ReturnType<typeof setTimeout> | undefined;

  /** `isTopic`: whether a metric's samples are a topic of their own; `isFirst`: whether an alert that fires
   * is about a line. */
  constructor(readonly isTopic: (metric: string) => boolean, readonly isFirst: (expression: string, line: Line) => boolean) {}

  /** Shows these, back to so long ago. Those that are there already stay as they are. */
  show(expressions: readonly string[], spanMs: number): void {
    const known = new Map(this.shown.peek().map((plot) => [plot.expression, plot]));
    const plots = [...new Set(expressions)].map((expression) => known.get(expression) ?? newPlot(expression));
    this.#spanMs = spanMs;
    this.shown.value = plots;
    void this.#open();
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#again);
    clearTimeout(this.#showing);
    this.#subscription?.close();
    this.#subscription = null;
    this.#followed = '';
  }

  get #history(): string {
    return `${Math.ceil(this.#spanMs / MINUTE_MS)}m`;
  }

  async #open(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#again);
    const stop = new AbortController();
    this.#stop = stop;
    const plots = this.shown.peek();
    await Promise.all(plots.map((plot) => this.#find(plot, stop.signal))).catch(() => {});
    if (stop.signal.aborted) return;
    if (plots.some(({ refusal }) => refusal.peek()?.passes)) this.#again = setTimeout(() => void this.#open(), AGAIN_MS);
    const right = plots.filter(({ topic }) => topic !== null);
    const topics = right.filter((plot) => !holds(plot)).map(({ topic }) => topic!);
    const queries = right.filter(holds).map(({ expression }) => expression);
    const followed = JSON.stringify([topics, queries, this.#history]);
    if (followed === this.#followed) return;
    this.#followed = followed;
    this.#subscription?.close();
    this.#subscription = null;
    if (right.length > 0) this.#follow(topics, queries, right);
  }

  /** Which topic has its answer, if it can have one. */
  async #find(plot: Plot, signal: AbortSignal): Promise<void> {
    if (plot.topic !== null) return;
    if (METRIC.test(plot.expression) && this.isTopic(plot.expression)) plot.topic = `samples/${plot.expression}`;
    else {
      const checked = await check(plot.expression, this.#history, signal);
      if ('topic' in checked) plot.topic = checked.topic;
      else {
        plot.refusal.value = checked;
        plot.state.value = checked.passes ? 'waiting' : 'refused';
        return;
      }
    }
    plot.refusal.value = null;
    plot.state.value = 'asking';
  }

  #follow(topics: string[], queries: string[], plots: readonly Plot[]): void {
    const opened = follower.subscribe(topics, { queries, history: this.#history });
    this.#subscription = opened;
    const byTopic = new Map<string, Plot[]>();
    for (const plot of plots) byTopic.set(plot.topic!, [...(byTopic.get(plot.topic!) ?? []), plot]);
    const isOwn = () => this.#subscription === opened;
    const begin = () => { for (const plot of plots) plot.unseen = new Set([...plot.lines.keys(), ...plot.beyond]); };
    begin();
    opened.addEventListener('status', ({ detail: { status, error } }) => {
      if (!isOwn()) return;
      if (status === 'connecting') begin();
      if (status === 'closed' && error instanceof ProblemError) return this.#lookAgain(plots);
      if (status === 'waiting') batch(() => { for (const { state } of plots) state.value = 'waiting'; });
    });
    opened.addEventListener('event', ({ detail }) => {
      if (isOwn()) for (const plot of byTopic.get(detail.topic) ?? []) this.#take(plot, detail);
    });
    opened.addEventListener('ready', () => {
      if (!isOwn()) return;
      batch(() => {
        for (const plot of plots) {
          for (const key of plot.unseen ?? []) this.#end(plot, key);
          plot.unseen = null;
          plot.chosenAt = 0;
          plot.state.value = 'live';
          this.#note(plot);
        }
      });
    });
  }

  /** The server refuses all of it: one of them is at fault, or they are too much together. */
  #lookAgain(plots: readonly Plot[]): void {
    this.#followed = '';
    for (const plot of plots) if (holds(plot)) plot.topic = null;
    for (const { state } of plots) state.value = 'waiting';
    this.#again = setTimeout(() => void this.#open(), AGAIN_MS);
  }

  #take(plot: Plot, { key, type, data, deleted, time }: TopicEvent): void {
    if (key === undefined) return;
    if (key === 'query' && holds(plot)) return this.#head(plot, deleted ? null : (data as Head));
    plot.unseen?.delete(key);
    if (deleted) return this.#end(plot, key);
    const { name, labels, value, timestamp, timestamps, values } = data as Sample;
    let line = plot.lines.get(key);
    if (!line) {
      if (plot.lines.size >= LINES_MAX) {
        if (plot.beyond.size < COUNTED_MAX) plot.beyond.add(key);
        return this.#note(plot);
      }
      line = new Line(key, name ?? '', labels ?? {});
      plot.lines.set(key, line);
      plot.chosenAt = 0;
    }
    if (type === 'history' && timestamps && values) line.replace(timestamps, values);
    else line.push(timestamp ?? time, numberOf(value));
    this.#note(plot);
  }

  #head(plot: Plot, head: Head | null): void {
    if (head) {
      plot.note.value = head.error || head.evaluated_every_ms ? { error: head.error, everyMs: head.evaluated_every_ms } : null;
      return;
    }
    // The server follows it no more.
    plot.refusal.value = { detail: plot.note.peek()?.error ?? '', at: null, passes: false };
    plot.state.value = 'refused';
  }

  #end(plot: Plot, key: string): void {
    plot.beyond.delete(key);
    plot.lines.get(key)?.end(serverNow());
    this.#note(plot);
  }

  #note(plot: Plot): void {
    this.#changed.add(plot);
    this.#showing ??= setTimeout(() => this.#showAll(), SHOW_MS);
  }

  /** One after the other, so that somebody's click gets between. */
  #showAll(): void {
    const due = [...this.#changed];
    this.#changed.clear();
    let spentMs = 0;
    const next = () => {
      const plot = due.shift();
      if (plot) {
        const begin = performance.now();
        this.#show(plot, begin);
        spentMs += performance.now() - begin;
        this.#showing = setTimeout(next);
      } else {
        this.#showing = setTimeout(() => {
          this.#showing = undefined;
          if (this.#changed.size > 0) this.#showAll();
        }, Math.max(SHOW_MS, spentMs * SHARE));
      }
    };
    next();
  }

  #show(plot: Plot, now: number): void {
    const from = serverNow() - this.#spanMs;
    for (const [key, line] of plot.lines) {
      line.forget(from);
      if (line.isGone && line.times.at(-1)! < from) plot.lines.delete(key);
    }
    if (plot.chosenAt === 0 || now - plot.chosenAt > CHOOSE_MS) {
      plot.drawn = choose(plot.lines, plot.drawn, (line) => this.isFirst(plot.expression, line));
      plot.chosenAt = now;
    }
    plot.version.value += 1;
  }
}

interface Head { query: string; error?: string; evaluated_every_ms?: number }

interface Sample {
  name?: string;
  labels?: Record<string, string>;
  value?: number | string;
  timestamp?: number;
  timestamps?: number[];
  values?: (number | string)[];
}
