// What the server says of itself: whether anything could fire at all, and would be seen.

import { effect, type ReadonlySignal, signal } from '@preact/signals';
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
    failing: number;
    without_series: number;
    reload_failing: boolean;
    reload_failure?: string;
    /** Whether the caller sees all alerts, or some. */
    seen: 'all' | 'some';
    last_sample_at?: number;
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

async function ask(): Promise<void> {
  const askedAt = performance.now();
  try {
    const answer = await fetch(new URL('v1/status', base), { signal: AbortSignal.timeout(ANSWER_MAX_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const status = (await answer.json()) as ServerStatus;
    noteServerTime(status.time, askedAt, performance.now());
    known.value = status;
  } catch {
    known.value = null;
  }
}

/** Asks for as long as the page is live. */
export function followStatus(): void {
  let asking: ReturnType<typeof setTimeout> | undefined;
  const again = async () => {
    await ask();
    clearTimeout(asking);
    if (connection.peek().status === 'live') asking = setTimeout(again, known.peek() ? EVERY_MS : AGAIN_MS);
  };
  effect(() => {
    const isLive = connection.value.status === 'live';
    clearTimeout(asking);
    if (isLive) void again();
    // What was before may be of another process.
    else known.value = null;
  });
}
