// What is asked of the server when somebody does something with alerts. A refusal throws, in its words.

import type { Alert } from '@bellwire/client';
import { askWho } from '../stores/who.js';
import { base } from '../stores/stream.js';
import { noteServerTime } from '../stores/clock.js';
import { t } from './texts.js';

/** `POST /v1/alerts/actions` takes so many. */
const ALERTS_MAX = 1_000;

export type Action =
  | { action: 'acknowledge'; by: string; note: string }
  | { action: 'unacknowledge' | 'unassign' }
  | { action: 'assign'; by: string; to: string }
  | { action: 'comment'; by: string; text: string };

export interface Done {
  done: number;
  /** What could not be done: why, and with how many. */
  refused: ReadonlyMap<string, number>;
}

/** As Alertmanager's API has it. */
export interface Matcher { name: string; value: string; isRegex: boolean; isEqual: boolean }

/** As `GET /v1/silences` lists them. */
export interface Silence {
  id: string;
  state: 'active' | 'pending' | 'expired';
  filter: string;
  matchers: Matcher[];
  starts_at: number;
  ends_at: number;
  created_by: string;
  comment: string;
  until_resolved: boolean;
  updated_at: number;
  /** How many alerts it silences now; nothing where that takes too long to count. */
  alerts?: number;
}

export interface Preview { matchers: Matcher[]; count: number; alerts: Alert[] }

export interface NewSilence {
  id?: string;
  matchers: Matcher[];
  /** Milliseconds since 1970, by the server's clock; without one it begins at once. */
  startsAt?: number;
  endsAt: number;
  createdBy: string;
  comment: string;
  untilResolved: boolean;
}

interface Problem { detail?: string; error?: string }

/** Asks, and throws with the server's words where it does not do it. */
export async function ask<Answer>(path: string, { body, ...init }: { method?: string; body?: unknown; signal?: AbortSignal } = {}): Promise<Answer> {
  const askedAt = performance.now();
  const sent: RequestInit = { ...init, cache: 'no-store' };
  if (body !== undefined) Object.assign(sent, { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const answer = await fetch(new URL(path, base), sent).catch((error: Error) => {
    throw error.name === 'AbortError' ? error : new Error(t('unreachable'));
  });
  const date = Date.parse(answer.headers.get('date') ?? '');
  // Dates are in whole seconds: half of one is what they are wrong by at most.
  if (!Number.isNaN(date)) noteServerTime(date + 500, askedAt - 500, performance.now() + 500);
  const text = await answer.text();
  const told = parsed(text);
  if (answer.ok) return told as Answer;
  if (answer.status === 401) {
    void askWho();
    throw new Error(t('loggedOut'));
  }
  // Alertmanager's API answers with a text.
  const { detail, error } = (typeof told === 'object' && told ? told : {}) as Problem;
  throw new Error(detail ?? error ?? (typeof told === 'string' ? told : `${answer.status} ${answer.statusText}`));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

interface Results { results: { fingerprint: string; error?: { code: string; detail: string } }[] }

/** Does the same with all of these alerts, some at a time; says what became of it. */
export async function act(action: Action, fingerprints: readonly string[]): Promise<Done> {
  let done = 0;
  const refused = new Map<string, number>();
  for (let first = 0; first < fingerprints.length; first += ALERTS_MAX) {
    const body = { ...action, fingerprints: fingerprints.slice(first, first + ALERTS_MAX) };
    const { results } = await ask<Results>('v1/alerts/actions', { method: 'POST', body });
    for (const { error } of results) {
      if (error) refused.set(error.detail, (refused.get(error.detail) ?? 0) + 1);
      else done += 1;
    }
  }
  return { done, refused };
}

export const previewOf = (matchers: string | Matcher[], signal?: AbortSignal): Promise<Preview> =>
  ask<Preview>('v1/silences/preview', { method: 'POST', body: { matchers }, ...(signal && { signal }) });

/** Makes a silence or changes one; gives its id, which is another one where the server made another silence of it. */
export async function putSilence({ startsAt, endsAt, untilResolved, ...silence }: NewSilence): Promise<string> {
  const body = {
    ...silence,
    ...(startsAt !== undefined && { startsAt: new Date(startsAt).toISOString() }),
    endsAt: new Date(endsAt).toISOString(),
    until_resolved: untilResolved,
  };
  return (await ask<{ silenceID: string }>('api/v2/silences', { method: 'POST', body })).silenceID;
}

export const endSilence = (id: string): Promise<unknown> => ask(`api/v2/silence/${encodeURIComponent(id)}`, { method: 'DELETE' });

export const listSilences = async (signal?: AbortSignal): Promise<Silence[]> =>
  (await ask<{ silences: Silence[] }>('v1/silences', signal && { signal })).silences;
