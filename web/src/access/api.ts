// What this page asks of the server.

import type { Problem, TopicEvent } from '@bellwire/client';
import { askWho } from '../stores/who.js';
import { base } from '../stores/stream.js';
import { texts } from '../text/text.js';

/** An API key, without what opens anything. Times are milliseconds since 1970. */
export interface Key {
  id: string;
  source: 'configuration' | 'api';
  subject: string;
  roles: string[];
  note: string;
  made_by: string;
  made_at?: number;
  ends_at?: number;
  revoked_at?: number;
  last_used_at?: number;
}

/** What was taken back: of a subject, or a session. */
export interface Revocation {
  id: string;
  subject?: string;
  session?: string;
  made_at: number;
  made_by: string;
}

/** Who did what; what else is said of it depends on the type. */
export interface Deed {
  by?: string;
  means?: string;
  address?: string;
  target?: string;
  count?: number;
  [more: string]: unknown;
}

export interface Page<Data> {
  events: TopicEvent<Data>[];
  cursor: string;
}

const t = texts({
  en: { unreachable: 'The server cannot be reached.', status: 'The server answers {status}.' },
  de: { unreachable: 'Der Server ist nicht zu erreichen.', status: 'Der Server antwortet mit {status}.' },
});

/** What came of it, or what went wrong in words. */
export type Outcome<Value> = { value: Value } | { fault: string };

export async function ask<Value>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Outcome<Value>> {
  const request: RequestInit = { method, cache: 'no-store' };
  if (body !== undefined) {
    request.headers = { 'content-type': 'application/json' };
    request.body = JSON.stringify(body);
  }
  const answer = await fetch(new URL(path, base), request).catch(() => null);
  if (!answer) return { fault: t('unreachable') };
  const said = await answer.json().catch(() => null) as Value & Partial<Problem> | null;
  if (answer.ok) return { value: said as Value };
  if (answer.status === 401) void askWho();
  return { fault: said?.detail ?? t('status', { status: `${answer.status} ${answer.statusText}`.trim() }) };
}
