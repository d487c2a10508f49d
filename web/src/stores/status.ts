// What the server says of itself: whether anything could fire at all, and would be seen.

import { computed, effect, type ReadonlySignal, signal } from '@preact/signals';
import { noteServerTime } from './clock.js';
import { base, connection } from './stream.js';

/** `GET /v1/status`. */
export interface ServerStatus {
  version: string;
  /** Milliseconds since 1970. */
  time: number;
  ready: boolean;
  unready?: string;
  /** Not there for who may see no alert. */
  rules?: {
    loaded: number;
    /** Those of them that raise alerts; older servers do not tell. */
    alerting?: number;
    failing: number;
    without_series: number;
    reload_failing: boolean;
    reload_failure?: string;
    /** Whether the caller sees all alerts, or some. */
    seen: 'all' | 'some';
    last_sample_at?: number;
    /** Series and alerts that found no room, counted since the server's start. */
    series_refused?: number;
    alerts_refused?: number;
  };
}

const EVERY_MS = 5_000;
/** Until something is known it is asked for more often. */
const AGAIN_MS = 1_000;
/** What takes longer than this is as good as no answer. */
const ANSWER_MAX_MS = 10_000;

const known = signal<ServerStatus | null>(null);
/** Nothing while it is not known, which is also where it is too old to count. */
export const serverStatus: ReadonlySignal<ServerStatus | null> = known;

/** How many were refused, by the answer before. */
let refusedBefore: number | null = null;
const grown = signal(-Infinity);
/** When the server was last seen to refuse series or alerts, in milliseconds of `performance.now()`. */
export const refusedAt: ReadonlySignal<number> = grown;

function noteRefused({ rules }: ServerStatus): void {
  if (!rules) return;
  const refused = (rules.series_refused ?? 0) + (rules.alerts_refused ?? 0);
  // A count that has become smaller is another process's.
  if (refusedBefore !== null && refused > refusedBefore) grown.value = performance.now();
  refusedBefore = refused;
}

/** Counts the streams: an answer that was asked for on one before says nothing of this one's process. */
let generation = 0;

async function ask(): Promise<void> {
  const mine = generation;
  const askedAt = performance.now();
  try {
    const answer = await fetch(new URL('v1/status', base), { signal: AbortSignal.timeout(ANSWER_MAX_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const status = (await answer.json()) as ServerStatus;
    if (mine !== generation) return;
    noteServerTime(status.time, askedAt, performance.now());
    noteRefused(status);
    known.value = status;
  } catch {
    if (mine === generation) known.value = null;
  }
}

/** Asks for as long as the page is live. */
export function followStatus(): void {
  let asking: ReturnType<typeof setTimeout> | undefined;
  const again = async () => {
    const mine = generation;
    await ask();
    if (mine !== generation) return;
    clearTimeout(asking);
    if (connection.peek().status === 'live') asking = setTimeout(again, known.peek() ? EVERY_MS : AGAIN_MS);
  };
  // An outage that begins or ends is told by the stream first: the server is asked at once what it says now.
  const outage = computed(() => connection.value.status === 'live' && connection.value.outage);
  effect(() => {
    const isLive = outage.value !== false;
    generation += 1;
    clearTimeout(asking);
    if (isLive) void again();
    // What was before may be of another process.
    else known.value = null;
  });
}
