// Streams as the server tells them.

export interface Told {
  time: number;
  connections: number;
  streams: number;
  polls_waiting: number;
  refused: number;
  transports: { transport: string; encoding: string; open: number; opened: number }[];
  lagging: number;
  laggards: Laggard[];
  closed: Closed[];
  closed_counts: Record<string, number>;
}

export interface Laggard {
  connection: string;
  transport: string;
  filters: string[];
  lag_events: number;
  lag_ms?: number;
  stalled_ms: number;
  cursor: string;
}

export interface Closed {
  time: number;
  connection: string;
  subject?: string;
  transport: string;
  encoding: string;
  reason: string;
  filters: string[];
  filters_left_out?: number;
  duration_ms: number;
  bytes: number;
  lagged: boolean;
}

/** Reasons that are nobody's fault: clients come and go, and so does the server. */
const ORDINARY = new Set(['client_closed', 'topics_ended', 'drain', 'displaced']);

export const isOrdinary = (reason: string): boolean => ORDINARY.has(reason);

/** Streams that were opened a second, of each transport, between two tellings. */
export function paces(before: Told | null, now: Told): Map<string, number> {
  const seconds = before ? (now.time - before.time) / 1_000 : 0;
  if (!before || seconds <= 0) return new Map();
  const key = ({ transport, encoding }: Told['transports'][number]) => `${transport} ${encoding}`;
  const known = new Map(before.transports.map((one) => [key(one), one.opened]));
  return new Map(now.transports.map((one) => {
    const earlier = known.get(key(one)) ?? one.opened;
    // A server that began anew counts from nothing.
    return [key(one), (one.opened < earlier ? one.opened : one.opened - earlier) / seconds];
  }));
}

/** Reasons with how many streams have ended for each, the most first; those that are a fault before the others. */
export function reasons(counts: Record<string, number>): [reason: string, count: number][] {
  return Object.entries(counts).sort(([a, many], [b, more]) => Number(isOrdinary(a)) - Number(isOrdinary(b)) || more - many || (a < b ? -1 : 1));
}
