// Requests and refusals, the same for streams and for what is sent.

import type { Problem } from './api.js';
import { BellwireError, ConnectionError, ProblemError, ProtocolError } from './errors.js';
import type { Asking } from './transport.js';

/** The header of a body that is JSON. */
export const JSON_TYPE = { 'content-type': 'application/json' };

/** What no `Retry-After` is believed beyond: a date that is wrong would keep a page silent. */
const RETRY_AFTER_MAX_MS = 300_000;

/** Asks; throws `ConnectionError` where there is no answer, and `ProblemError` where it is refused. */
export async function ask(
  asking: Asking,
  token: string | null,
  url: URL,
  request: RequestInit & { headers: Record<string, string> },
): Promise<Response> {
  if (token !== null) request.headers['authorization'] = `Bearer ${token}`;
  if (asking.credentials) request.credentials = asking.credentials;
  let response;
  try {
    // As a function, not as a member: browsers refuse theirs another `this`.
    const { fetch } = asking;
    response = await fetch(url, { ...request, cache: 'no-store' });
  } catch (cause) {
    throw new ConnectionError('connection_failed', `no answer from ${url.origin}`, cause);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/**
 * What an answer with this text holds, one of these members among it, and `null` where it is empty; throws
 * `ProtocolError` where no Bellwire says so.
 */
export function answerOf<Answer>({ status }: Response, text: string, members: RegExp): Answer | null {
  if (status === 204) return null;
  // Else it is a login page of a network between, or somebody else's server: nothing was done.
  if (text.startsWith('{') && members.test(text)) return JSON.parse(text);
  throw stranger();
}

/** What comes is of somebody else. */
export const stranger = () => new ProtocolError('not_bellwire', 'this is nothing of Bellwire');

/** What an answer that is no success says. */
async function refusal(response: Response): Promise<ProblemError> {
  let problem: Partial<Problem> = {};
  try {
    const text = await response.text();
    if (response.headers.get('content-type')?.startsWith('application/problem+json')) problem = JSON.parse(text);
  } catch {
    // Its status tells enough.
  }
  return new ProblemError(response.status, problem, retryAfter(response.headers.get('retry-after')));
}

function retryAfter(text: string | null): number | null {
  if (!text) return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return ms >= 0 ? Math.min(ms, RETRY_AFTER_MAX_MS) : null;
}

/** What to do about an error: to try again does not help, it may, or it may with a newer token. */
export type Remedy = 'none' | 'later' | 'token';

export function remedy(error: BellwireError): Remedy {
  if (!(error instanceof ProblemError)) return 'later';
  const { status } = error;
  if (status === 401 || status === 403) return 'token';
  return status >= 500 || status === 408 || status === 425 || status === 429 ? 'later' : 'none';
}

/** Any fault as one of ours. */
export function asError(fault: unknown): BellwireError {
  if (fault instanceof BellwireError) return fault;
  return new ConnectionError('connection_lost', 'the connection broke off', fault);
}
