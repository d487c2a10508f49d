// Asks of one expression whether it can be followed, and which topic its answer has. A stream of many says
// of none which of them is wrong.

import { base } from '../stores/stream.js';

export interface Refusal {
  detail: string;
  /** Where in the expression, in characters from its beginning; nothing where that is not told. */
  at: number | null;
  /** It may be asked again: the server could not be reached, or has no room now. */
  passes: boolean;
}

export type Checked = { topic: string } | Refusal;

const TOPIC = /"topic":"(query\/[^"]+)"/;
/** The past of several is made one after the other; what takes longer than this is as good as no answer. */
const PATIENCE_MS = 60_000;
/** No server sends more before the first event of an answer. */
const BEGINNING_MAX = 1_000_000;

/** Of the past, as much as will be asked for: whoever asks first decides how far back it is made. */
export async function check(expression: string, history: string, signal: AbortSignal): Promise<Checked> {
  const enough = new AbortController();
  // `AbortSignal.any` is newer than browsers that this is made for.
  const end = () => enough.abort();
  signal.addEventListener('abort', end);
  const late = setTimeout(end, PATIENCE_MS);
  const url = new URL('v1/events', base);
  for (const [name, value] of Object.entries({ query: expression, history, refusals: 'status' })) url.searchParams.set(name, value);
  try {
    const answer = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: enough.signal });
    if (!answer.ok) return refusalOf(expression, answer.status, await answer.json().catch(() => null));
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ''; text.length < BEGINNING_MAX; ) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
      const topic = TOPIC.exec(text)?.[1];
      if (topic) return { topic };
    }
    return { detail: '', at: null, passes: true };
  } catch (error) {
    if (signal.aborted) throw error;
    return { detail: '', at: null, passes: true };
  } finally {
    signal.removeEventListener('abort', end);
    clearTimeout(late);
    enough.abort();
  }
}

/** What is wrong, and where. */
export function refusalOf(expression: string, status: number, problem: { detail?: string } | null): Refusal {
  const told = problem?.detail ?? `HTTP ${status}`;
  const passes = status === 429 || status >= 500;
  const place = /^(\d+):(\d+): (.*)$/s.exec(told);
  if (!place) return { detail: told, at: null, passes };
  const [, line, column, detail] = place;
  const before = expression.split('\n').slice(0, Number(line) - 1);
  return { detail: detail!, at: before.reduce((sum, text) => sum + text.length + 1, 0) + Number(column) - 1, passes };
}
