// The long poll as a transport: a request after the other, for where nothing else comes through.

import type { Control, Degraded, End, Gap, Narrowed, Reopened, Reset, TopicEvent } from './api.js';
import { answerOf, asError, ask } from './http.js';
import { checked } from './sse.js';
import type { Connection, Opening, Sink, Transport } from './transport.js';

/** How long a poll waits for something. */
const WAIT_S = 25;
/** How long to wait between two polls of which the first had what comes each time, or nothing at once. */
const PAUSE_MS = 1_000;
/** Of an older server, which does not say whether `more` is there: with fewer events than this all is there, */
const PAGE_EVENTS_MAX = 1_000;
/** where the answer has fewer characters, too: a page ends at 1 MiB, and a character has up to three bytes. */
const PAGE_LENGTH_MIN = 262_144;

interface Answer {
  events: TopicEvent[];
  cursor: string;
  gap?: Gap;
  reset?: Reset;
  narrowed?: string[];
  degraded?: Degraded;
  ends?: (End | Reopened)[];
  values_left_out?: number;
  more?: boolean;
}

/** What comes with each answer, as the last one had it. */
type Told = Pick<Answer, 'narrowed' | 'degraded'>;

export function longPoll(): Transport {
  return {
    name: 'poll',
    open(opening, sink): Connection {
      const control = new AbortController();
      read(opening, sink, control.signal).then(
        () => sink.closed(null),
        (fault) => sink.closed(asError(fault)),
      );
      return { close: () => control.abort() };
    },
  };
}

/** Polls until all topics have ended. */
async function read(opening: Opening, sink: Sink, signal: AbortSignal): Promise<void> {
  const url = new URL(opening.url);
  const { searchParams } = url;
  searchParams.delete('history');
  // Otherwise all values come with each answer, at once.
  searchParams.set('state', 'changes');
  // The first does not wait: what comes tells that polls come through.
  let isReady = false;
  let last: Told = {};
  while (!signal.aborted) {
    const askedAt = opening.clock.now();
    const response = await ask(opening, opening.token, url, { headers: { accept: 'application/json' }, signal });
    const text = await response.text();
    const answer = answerOf<Answer>(response, text, /"events":/);
    if (!answer) return;
    sink.sign();
    const { cursor } = answer;
    for (const item of controlsBefore(answer, last)) sink.item(item);
    for (const event of answer.events) sink.item(checked(event));
    for (const end of answer.ends ?? []) sink.item(end);
    // Where something between does not wait, this side does.
    const isHasty = isReady && answer.events.length === 0 && opening.clock.now() - askedAt < PAUSE_MS;
    const isWhole = !(answer.more ?? (answer.events.length >= PAGE_EVENTS_MAX || text.length > PAGE_LENGTH_MIN)) && !answer.values_left_out;
    if (isWhole && !isReady) {
      isReady = true;
      sink.item({ control: 'ready', cursor, heartbeat_interval_ms: WAIT_S * 1_000 });
    } else {
      sink.item({ control: 'heartbeat', cursor });
    }
    // What is told before it is ready is void with that.
    if (!isReady) delete answer.degraded;
    if (!answer.degraded !== !last.degraded) sink.item(answer.degraded ?? { control: 'restored' });
    last = answer;
    searchParams.set('after', cursor);
    searchParams.set('wait', `${isReady ? WAIT_S : 0}s`);
    if (isHasty || (isReady && answer.reset)) await new Promise<void>((resolve) => void opening.clock.after(PAUSE_MS, resolve));
    await sink.room();
  }
}

function controlsBefore({ narrowed, gap, reset }: Answer, last: Told): Control[] {
  // It comes with each answer; told is what is new.
  const isNews = narrowed && JSON.stringify(narrowed) !== JSON.stringify(last.narrowed);
  const told: Narrowed[] = isNews ? [{ control: 'narrowed', topics: narrowed }] : [];
  return [...told, ...(gap ? [gap] : []), ...(reset ? [reset] : [])];
}
