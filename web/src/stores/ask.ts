// Questions to the server that are answered once: JSON, or a refusal in its words.

import { base } from './stream.js';
import { askWho } from './who.js';

/** Why the server did not do it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(readonly status: number, readonly code: string, detail: string) {
    super(detail);
  }
}

export interface Asking {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

/** What takes longer is given up, where nobody says otherwise: a server says of what it may do later still within ten seconds. */
const PATIENCE_MS = 30_000;

/** Asks below the page's own folder. A refusal throws, in the server's words where it has any. */
export async function ask<Answer>(path: string, { method = 'GET', headers = {}, body, signal }: Asking = {}): Promise<Answer> {
  const init: RequestInit = { method, headers, cache: 'no-store', signal: signal ?? AbortSignal.timeout(PATIENCE_MS) };
  if (body !== undefined) init.body = body;
  const answer = await fetch(new URL(path, base), init);
  const text = await answer.text();
  const told = parsed(text);
  if (answer.ok) return told as Answer;
  // Whoever was known is not any more.
  if (answer.status === 401) void askWho();
  // Problems have a `detail`, answers in Prometheus' shape an `error`; Alertmanager's are a text.
  const { code = '', errorType = '', detail, error } = (typeof told === 'string' ? { error: told } : told ?? {}) as Record<string, string | undefined>;
  throw new Refusal(answer.status, code || errorType, detail || error || `${answer.status} ${answer.statusText}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
