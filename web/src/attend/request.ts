// What is asked of the server, and why it has said no.

import { base } from '../stores/stream.js';
import { askWho } from '../stores/who.js';

/** The server's words for what it has refused; `null` where nobody has answered. */
export class Refused extends Error {
  constructor(readonly reason: string | null) {
    super(reason ?? 'no answer');
  }
}

export async function ask(method: string, path: string, body?: unknown): Promise<Response> {
  const options = body === undefined ? { method } : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(new URL(path, base), options).catch(() => null);
  if (!answer) throw new Refused(null);
  if (answer.ok) return answer;
  if (answer.status === 401) void askWho();
  const problem: unknown = await answer.json().catch(() => answer.statusText);
  const detail = typeof problem === 'object' && problem !== null && 'detail' in problem ? problem.detail : problem;
  throw new Refused(String(detail));
}
