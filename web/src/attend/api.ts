// What is asked of the server when somebody does something with alerts. A refusal throws, in its words.

import type { Alert } from '@bellwire/client';
import { ask as asked, Refusal } from '../stores/ask.js';
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
  /** Those with which it is still to do. */
  left: readonly string[];
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

/** Asks, and throws with the server's words where it does not do it. */
export async function ask<Answer>(path: string, { body, ...init }: { method?: string; body?: unknown; signal?: AbortSignal } = {}): Promise<Answer> {
  const sent = body === undefined ? init : { ...init, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  try {
    return await asked<Answer>(path, sent);
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    if (!(error instanceof Refusal)) throw new Error(t('unreachable'));
    throw error.status === 401 ? new Error(t('loggedOut')) : error;
  }
}

interface Results { results: { fingerprint: string; error?: { code: string; detail: string } }[] }

/** Does the same with all of these alerts, some at a time; says what became of it. It throws where nothing
 * was done at all: what fails later does not undo what was done before. */
export async function act(action: Action, fingerprints: readonly string[]): Promise<Done> {
  let done = 0;
  const refused = new Map<string, number>();
  const left: string[] = [];
  const leave = (why: string, those: readonly string[]) => {
    refused.set(why, (refused.get(why) ?? 0) + those.length);
    left.push(...those);
  };
  for (let first = 0; first < fingerprints.length; first += ALERTS_MAX) {
    const body = { ...action, fingerprints: fingerprints.slice(first, first + ALERTS_MAX) };
    try {
      const { results } = await ask<Results>('v1/alerts/actions', { method: 'POST', body });
      for (const { fingerprint, error } of results) {
        if (error) leave(error.detail, [fingerprint]);
        else done += 1;
      }
    } catch (error) {
      if (first === 0) throw error;
      leave((error as Error).message, fingerprints.slice(first));
      break;
    }
  }
  return { done, refused, left };
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
