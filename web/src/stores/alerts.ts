// The alerts on the board, by fingerprint. What comes is only noted; once a frame it is shown, some
// milliseconds of it at a time, so that a thousand changes a second cost no more than what is visible
// of them.

import type { Alert } from '@bellwire/client';
import { batch, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { serverNow } from './clock.js';
import { connection, receive } from './stream.js';

/** One alert, for as long as anything shows it. */
export interface Entry {
  readonly fingerprint: string;
  /** As it is shown: it changes once a frame at most. */
  readonly alert: Signal<Alert>;
  /** Whether it has left the board. */
  readonly isGone: Signal<boolean>;
  /** From the sample to this screen, in milliseconds, where it came live and the clocks let it be told. */
  readonly latencyMs: Signal<number | null>;
}

export interface Change {
  entry: Entry;
  /** How it was shown before; nothing of a new one. */
  before: Alert | null;
}

/** What is shown follows these, in the frame of the change. */
type Listener = (changes: readonly Change[]) => void;

/** A frame has 16 ms: so much of it is spent on taking in what came. */
const SLICE_MS = 6;
/** What comes after a pause is seen in the next frame; of what comes all the time, so often as eyes follow. */
const SEEN_EVERY_MS = 80;
/** In the background no frame comes. */
const HIDDEN_EVERY_MS = 250;
/** A clock that says more is not the one that the sample was measured by. */
const LATENCY_MAX_MS = 60_000;

const entries = new Map<string, Entry>();
/** What came and is not shown yet; `null` for what has gone. */
const waiting = new Map<string, { alert: Alert | null; cameLive: boolean }>();
const listeners = new Set<Listener>();
let unseen: Set<string> | null = null;
/** Of those that wait, the first: so many belong to what there was when the stream was ready. */
let behind = 0;
const isBehind = signal(false);
/** Whether some of what there was when the stream was ready is not shown yet, nor counted. */
export const areAlertsBehind: ReadonlySignal<boolean> = isBehind;
let isScheduled = false;
let takenAt = -Infinity;
/** What the last frame had no time for. */
let leftOver = 0;

/** Counts the frames in which anything changed. */
const changed = signal(0);
export const alertsChanged: ReadonlySignal<number> = changed;
/** How many have come and wait for their frame. */
export const waitingCount = (): number => waiting.size;

export const entryOf = (fingerprint: string): Entry | undefined => entries.get(fingerprint);
export const allEntries = (): IterableIterator<Entry> => entries.values();
export const alertsCount = (): number => entries.size;

/** Is told of every change from now on; gives what ends it. */
export function onAlerts(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function followAlerts(): void {
  receive({
    takes: (topic) => topic === 'alerts/active',
    event: ({ key, data, deleted }) => {
      if (key === undefined) return;
      unseen?.delete(key);
      note(key, deleted ? null : (data as Alert), unseen === null && connection.peek().hasBegun);
    },
    begin: () => { unseen = new Set([...entries.keys(), ...waiting.keys()]); },
    ready: () => {
      for (const key of unseen ?? []) note(key, null, false);
      unseen = null;
      behind = waiting.size;
      isBehind.value = behind > 0;
      settle();
    },
  });
}

function note(key: string, alert: Alert | null, cameLive: boolean): void {
  // A key keeps its place among those that wait, whatever comes of it meanwhile.
  waiting.set(key, { alert, cameLive });
  schedule();
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  if (document.hidden) setTimeout(frame, HIDDEN_EVERY_MS);
  else {
    // What does not fit into one frame goes on in the next.
    const early = waiting.size > leftOver ? takenAt + SEEN_EVERY_MS - performance.now() : 0;
    if (early > 0) setTimeout(() => requestAnimationFrame(frame), early);
    else requestAnimationFrame(frame);
  }
}

function frame(): void {
  if (!isScheduled) return;
  isScheduled = false;
  settle();
  leftOver = waiting.size;
  if (leftOver > 0) schedule();
}

/** All that has come is to be seen before anything is said about it, unless that would take a while that
 * somebody sees. */
function settle(): void {
  take(document.hidden ? Infinity : performance.now() + SLICE_MS);
}

function take(until: number): void {
  if (waiting.size === 0) return;
  takenAt = performance.now();
  const changes: Change[] = [];
  let count = 0;
  batch(() => {
    for (const [key, { alert, cameLive }] of waiting) {
      if (count % 32 === 31 && performance.now() > until) break;
      count += 1;
      waiting.delete(key);
      const change = alert ? put(key, alert, cameLive) : drop(key);
      if (change) changes.push(change);
    }
    for (const listener of listeners) listener(changes);
    changed.value += 1;
    behind = Math.max(0, behind - count);
    isBehind.value = behind > 0;
  });
}

function put(key: string, alert: Alert, cameLive: boolean): Change {
  let entry = entries.get(key);
  const before = entry?.alert.peek() ?? null;
  if (entry) entry.alert.value = alert;
  else {
    entry = { fingerprint: key, alert: signal(alert), isGone: signal(false), latencyMs: signal<number | null>(null) };
    entries.set(key, entry);
  }
  entry.latencyMs.value = cameLive ? latency(alert) : null;
  return { entry, before };
}

function drop(key: string): Change | null {
  const entry = entries.get(key);
  if (!entry) return null;
  entries.delete(key);
  entry.isGone.value = true;
  return { entry, before: entry.alert.peek() };
}

function latency({ sample_time: at }: Alert): number | null {
  if (at === undefined) return null;
  const ms = serverNow() - at;
  return ms >= -5 && ms < LATENCY_MAX_MS ? Math.max(0, ms) : null;
}

// No frames come to a page in the background, whose title tells what fires all the same.
if (typeof document !== 'undefined') document.addEventListener('visibilitychange', () => document.hidden && frame());
