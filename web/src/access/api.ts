// What this page asks of the server.

import type { TopicEvent } from '@bellwire/client';
import { ask as asked, Refusal } from '../stores/ask.js';
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
  en: { unreachable: 'The server cannot be reached.' },
  de: { unreachable: 'Der Server ist nicht zu erreichen.' },
});

/** What came of it, or what went wrong in words. */
export type Outcome<Value> = { value: Value } | { fault: string };

export async function ask<Value>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Outcome<Value>> {
  const sent = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  try {
    return { value: await asked<Value>(path, { method, ...sent }) };
  } catch (error) {
    return { fault: error instanceof Refusal ? error.message : t('unreachable') };
  }
}
