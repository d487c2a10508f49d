// What the server tells of one alert: `GET /v1/alerts/{fingerprint}`, its newest page again and again
// while it is looked at, and older ones when they are asked for.

import type { Alert } from '@bellwire/client';
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Silence } from '../attend/api.js';
import { entryOf, onAlerts } from '../stores/alerts.js';
import { base, connection } from '../stores/stream.js';
import { keyOf, POINTS_MAX } from './values.js';

export interface Threshold {
  expression: string;
  operator: string;
  value: number | string;
  metric?: string;
  per_second?: boolean;
  query?: string;
}

export interface RuleTold {
  file: string;
  group: string;
  name: string;
  expression?: string;
  for_ms?: number;
  keep_firing_for_ms?: number;
  thresholds?: Threshold[];
}

export interface Comment { by: string; text: string; at: number }

export interface Happened {
  type: string;
  time: number;
  cursor: string;
  topic: string;
  data: Partial<Alert> & {
    expression?: string;
    comment?: Comment;
    receiver?: string;
    webhook?: number;
    told_as?: string;
    attempts?: number;
    reason?: string;
    last_status?: number;
    notification_reason?: string;
  };
}

export interface Measured { name: string; labels: Record<string, string>; timestamps: number[]; values: (number | string)[] }

interface Page {
  alert?: Alert;
  comments?: Comment[];
  rule?: RuleTold;
  silences: Silence[];
  more_silences?: boolean;
  history: Happened[];
  series?: Measured[];
  next?: string;
  complete_since?: number;
}

export interface Told extends Page {
  fingerprint: string;
}

export interface Telling {
  told: Told | null;
  /** Why nothing newer is known. */
  fault: string;
  /** The server has no such alert, or none that may be seen. */
  isMissing: boolean;
  /** It still reads what was before its start. */
  isReading: boolean;
  isAsking: boolean;
}

const EVENTS_OF_PAGE = 50;
/** Series of which values are kept: a rule compares few. */
const SERIES_MAX = 16;
/** What comes in a burst is asked for once; of what the board does not tell, such as notifications, it is
 * looked whether there is something now and then. */
const REFRESH_MS = 300;
const LOOK_AGAIN_MS = 5_000;
const RETRY_MS = 2_000;
/** What takes longer is as good as no answer: it is asked again. */
const PATIENCE_MS = 15_000;

export const NOTHING: Telling = { told: null, fault: '', isMissing: false, isReading: false, isAsking: true };

/** Asks what there is to tell of an alert, and looks again and again; `ask` asks at once, for what was before a
 * place or for what is new. */
export function follow(fingerprint: string, telling: Signal<Telling>, unreachable: () => string): { ask: (before: string | null) => void; stop: () => void } {
  let waiting: ReturnType<typeof setTimeout> | undefined;
  /** One question is under way at a time: answers that come in another order would show what was. */
  let control = new AbortController();
  let isUnderWay = false;
  let isStopped = false;
  /** Before which place somebody wants to see more, until there is an answer. */
  let older: string | null = null;
  const later = (ms: number) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => void ask(), ms);
  };
  const note = (changed: Partial<Telling>) => { telling.value = { ...telling.value, ...changed }; };
  const ask = async (wanted: string | null = null) => {
    // What is new comes behind what somebody waits for.
    if (isUnderWay && older !== null) return;
    clearTimeout(waiting);
    control.abort();
    const own = control = new AbortController();
    const before = older = wanted ?? older;
    isUnderWay = true;
    note({ isAsking: true });
    const place = before === null ? '' : `&before=${encodeURIComponent(before)}`;
    const path = `v1/alerts/${encodeURIComponent(fingerprint)}?limit=${EVENTS_OF_PAGE}${place}`;
    const late = setTimeout(() => own.abort(), PATIENCE_MS);
    const answer = await fetch(new URL(path, base), { signal: own.signal, cache: 'no-store' }).catch(() => null);
    const body = (await answer?.json().catch(() => null)) as (Page & { detail?: string }) | null;
    clearTimeout(late);
    if (own !== control || isStopped) return;
    isUnderWay = false;
    if (answer?.status === 429) {
      note({ isReading: true });
      return later((Number(answer.headers.get('retry-after')) || 0) * 1_000 || RETRY_MS);
    }
    older = null;
    if (answer?.ok && body) {
      note({ told: joined(telling.peek().told, { ...body, fingerprint }, before), fault: '', isMissing: false, isReading: false, isAsking: false });
    } else {
      note({ fault: body?.detail ?? unreachable(), isMissing: answer?.status === 404, isReading: false, isAsking: false });
    }
    if (!document.hidden) later(before === null ? LOOK_AGAIN_MS : REFRESH_MS);
  };
  telling.value = NOTHING;
  void ask();
  const stop = onAlerts((changes) => {
    const mine = changes.find(({ entry }) => entry.fingerprint === fingerprint);
    // Values alone change once a second.
    if (mine && told(mine.before) !== told(entryOf(fingerprint)?.alert.peek() ?? null)) later(REFRESH_MS);
  });
  const look = () => document.hidden || later(REFRESH_MS);
  document.addEventListener('visibilitychange', look);
  const unsubscribe = connection.subscribe(({ status }) => { if (status === 'live') later(REFRESH_MS); });
  return {
    ask: (before) => void ask(before),
    stop: () => {
      isStopped = true;
      control.abort();
      clearTimeout(waiting);
      stop();
      unsubscribe();
      document.removeEventListener('visibilitychange', look);
    },
  };
}

/** `older` asks for what was before; `refresh` for what is new. */
export function useTold(fingerprint: string, unreachable: () => string): { telling: Signal<Telling>; older: () => void; refresh: () => void } {
  const telling = useSignal<Telling>(NOTHING);
  const asking = useRef<(before: string | null) => void>(() => {});
  useEffect(() => {
    const { ask, stop } = follow(fingerprint, telling, unreachable);
    asking.current = ask;
    return stop;
  }, [fingerprint]);
  return {
    telling,
    older: () => {
      const next = telling.peek().told?.next;
      if (next) asking.current(next);
    },
    refresh: () => asking.current(null),
  };
}

/** What an alert says beside its value. */
function told(alert: Alert | null): string {
  if (!alert) return '';
  const { state, fired_at: fired, resolved_at: resolved, acknowledged, assigned, comments, silenced_by: silences } = alert;
  return JSON.stringify([state, fired, resolved, acknowledged, assigned, comments, silences]);
}

/** A page: an older one behind what is there, the newest one before it. */
export function joined(known: Told | null, page: Told, before: string | null): Told {
  if (!known) return page;
  const cursors = new Set(known.history.map(({ cursor }) => cursor));
  const fresh = page.history.filter(({ cursor }) => !cursors.has(cursor));
  const series = merged([...(page.series ?? []), ...(known.series ?? [])]);
  if (before !== null) return { ...ending(known, page), history: [...known.history, ...fresh], series };
  // So much happened meanwhile that the two do not meet: what was before begins anew.
  if (fresh.length === page.history.length && known.history.length > 0) return page;
  const history = [...fresh, ...known.history];
  // The newest page knows where the older ones begin only if there were none.
  return { ...(known.history.length >= page.history.length ? ending(page, known) : page), history, series };
}

/** One that ends where another does. */
function ending({ next: _, complete_since: __, ...told }: Told, { next, complete_since: since }: Told): Told {
  return { ...told, ...(next !== undefined && { next }), ...(since !== undefined && { complete_since: since }) };
}

/** Each series once and each of its times once, the newest of them: pages overlap, and there is one every few seconds. */
function merged(all: readonly Measured[]): Measured[] {
  const found = new Map<string, { of: Measured; points: Map<number, number | string> }>();
  for (const of of all) {
    const key = keyOf(of);
    if (!found.has(key) && found.size >= SERIES_MAX) continue;
    const { points } = found.get(key) ?? found.set(key, { of, points: new Map() }).get(key)!;
    of.timestamps.forEach((time, index) => { if (!points.has(time)) points.set(time, of.values[index]!); });
  }
  return [...found.values()].map(({ of, points }) => {
    const newest = [...points].sort((a, b) => a[0] - b[0]).slice(-POINTS_MAX);
    return { ...of, timestamps: newest.map(([time]) => time), values: newest.map(([, value]) => value) };
  });
}
