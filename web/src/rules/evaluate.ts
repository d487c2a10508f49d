// The test bench: what an expression comes to over what is in memory.

import { ask } from '../stores/ask.js';
import { serverNow } from '../stores/clock.js';

export type Point = readonly [seconds: number, value: number];

export interface Series {
  labels: Record<string, string>;
  points: Point[];
  /** The newest value as it was written: `NaN` and `+Inf` are no JSON. */
  text: string;
}

export interface Outcome {
  kind: 'vector' | 'matrix' | 'scalar' | 'string';
  series: Series[];
  /** How many there were, where not all are kept. */
  count: number;
  /** What the server says beside the answer. */
  warnings: string[];
  tookMs: number;
}

/** Series that are kept of an answer. */
export const SERIES_MAX = 500;
/** Points of a line. */
const POINTS = 120;

interface Answer {
  data: { resultType: Outcome['kind']; result: unknown };
  warnings?: string[];
  infos?: string[];
}

type Told = [number, string];

/** Samples are written as Go writes numbers. */
export const parsed = (text: string): number => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

/** Reads what Prometheus' API answers. */
export function read({ data: { resultType: kind, result }, warnings = [], infos = [] }: Answer): Omit<Outcome, 'tookMs'> {
  const said = [...warnings, ...infos];
  const series = (labels: Record<string, string>, told: readonly Told[]): Series => ({
    labels, points: told.map(([seconds, text]) => [seconds, parsed(text)] as const), text: told.at(-1)?.[1] ?? '',
  });
  if (kind === 'scalar' || kind === 'string') return { kind, series: [series({}, [result as Told])], count: 1, warnings: said };
  const all = result as { metric: Record<string, string>; value?: Told; values?: Told[] }[];
  const kept = all.slice(0, SERIES_MAX).map(({ metric, value, values }) => series(metric, values ?? (value ? [value] : [])));
  return { kind, series: kept, count: all.length, warnings: said };
}

/** How far the end is ahead of the time that is known: no sample that has come may be behind it. */
const AHEAD_SECONDS = 1;

/**
 * The times, in seconds, that a range up to now is evaluated at. The last of them is its end: of series
 * that no rule looks back at the newest sample alone is in memory, and a step before it has nothing.
 */
export function stretch(nowMs: number, rangeSeconds: number): { start: number; end: number; step: number } {
  const step = Math.max(1, Math.ceil(rangeSeconds / POINTS));
  const end = nowMs / 1_000 + AHEAD_SECONDS;
  return { start: end - Math.floor(rangeSeconds / step) * step, end, step };
}

/** Evaluates an expression now, or over so many seconds up to now. */
export async function evaluate(expression: string, rangeSeconds: number, signal: AbortSignal): Promise<Outcome> {
  const body = new URLSearchParams({ query: expression });
  let path = 'api/v1/query';
  if (rangeSeconds > 0) {
    path = 'api/v1/query_range';
    for (const [name, seconds] of Object.entries(stretch(serverNow(), rangeSeconds))) body.set(name, seconds.toFixed(3));
  }
  const began = performance.now();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await ask<Answer>(path, { method: 'POST', headers, body: body.toString(), signal });
  return { ...read(answer), tookMs: performance.now() - began };
}

/** Where an error is in the expression, if it says so: `1:7: parse error: …`. */
export function placeOf(error: string): { line: number; column: number; reason: string } | null {
  const found = /^(?:invalid parameter "query": )?(\d+):(\d+): (?:parse error: )?(.*)$/s.exec(error);
  return found ? { line: Number(found[1]), column: Number(found[2]), reason: found[3]! } : null;
}

/** Labels as one writes them: `name{a="b"}`. */
export function seriesText({ __name__: name = '', ...labels }: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length > 0 ? `${name}{${pairs.join(', ')}}` : name || '{}';
}
