// What the server advises, as it tells it.

export interface Reason {
  step: number;
  code: string;
  text: string;
  values?: Record<string, number | string | string[]>;
}

export interface Cost {
  bytes_per_second: number;
  requests_per_second: number;
  /** Null where it was not measured. */
  memory_bytes: number | null;
  cpu_cores: number | null;
}

export type TransportName = 'sse' | 'websocket' | 'long_poll';
export type Choice = 'sse' | 'hybrid' | 'websocket' | 'long_poll' | 'post';
export type Carrier = TransportName | 'ndjson' | 'post';

export interface FlowAdvice {
  flow: { name: string; connections: number };
  choice: Choice;
  reasons: Reason[];
  warnings: Reason[];
  candidates: { transport: TransportName; cost: Cost }[];
}

export interface Advice {
  steps: { number: number; name: string; findings: Reason[] }[];
  flows: FlowAdvice[];
}

export interface KindAdvice {
  carrier: Carrier;
  name: string;
  /** WebSockets that speak MessagePack. */
  binary?: true;
  counts: { open: number; opened: number; connection_seconds: number; events_down: number; bytes_down: number; messages_up: number; bytes_up: number };
  down_share: number | null;
  down_per_second_each: number;
  up_per_second_each: number;
  verdict: 'fits' | 'could_change' | 'too_little';
  choice: Choice | null;
  reasons: Reason[];
  saves: Cost | null;
}

export interface ObservedAdvice {
  seconds: number;
  traffic: KindAdvice[];
}

/** What is described in the form: the keys are those of a description's file. */
export interface Described {
  name: string;
  down: string;
  up: string;
  bytes: number;
  latency: string;
  client: string;
  connections: number;
  binary: boolean;
}

export interface Infrastructure {
  http2: boolean;
  proxies: string;
  websockets: string;
  team: string;
}

/** Which transport's costs are those of a choice. */
export const transportOf = (choice: Choice): TransportName => (choice === 'websocket' || choice === 'long_poll' ? choice : 'sse');

/** A refusal, in the server's words. */
export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** What takes longer is as good as no answer. */
const PATIENCE_MS = 15_000;

export async function askAdvice<Answer>(base: URL, described?: { infrastructure: Infrastructure; flow: Described[] }): Promise<Answer> {
  const request: RequestInit = described
    ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(described) }
    : {};
  const response = await fetch(new URL('v1/advice', base), { ...request, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.ok) return response.json();
  let detail = `${response.status}`;
  try {
    const problem: { detail?: string } = await response.json();
    detail = problem.detail ?? detail;
  } catch {
    // Its status tells enough.
  }
  throw new Refused(response.status, detail);
}
