// What the server knows of metrics and rules: asked when the page opens and again now and then.

import { signal } from '@preact/signals';
import { type Unit, unitOf, unitOfExpression } from '../format/quantity.js';
import { base } from '../stores/stream.js';
import type { Metric } from './names.js';
import type { Rule } from './thresholds.js';

const AGAIN_MS = 30_000;
/** Pages of the listing that are asked for at most. */
const PAGES_MAX = 20;
const PAGE = 1_000;

/** All metrics whose samples are shown; nothing while that is not known. */
export const metrics = signal<readonly Metric[] | null>(null);
/** Why they are not known. */
export const metricsFault = signal('');
export const rules = signal<readonly Rule[]>([]);
/** Whether they were asked for, with or without an answer. */
export const areRulesKnown = signal(false);
const units = signal<ReadonlyMap<string, string>>(new Map());

/** By what the name tells, or else what is written of it. */
export function unitFor(expression: string): Unit | null {
  const written = units.value.get(expression);
  return /^[\w:]+$/.test(expression) ? unitOf(expression, written) : unitOfExpression(expression);
}

async function answerOf(path: string, signal: AbortSignal): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(new URL(path, base), { signal });
  return { status: answer.status, body: await answer.json().catch(() => null) };
}

interface Listing { topics: { topic: string; kind: string; keys?: number }[]; next?: string }
interface Listed { data?: { groups?: { rules: { name: string; query: string }[] }[] } }
interface Metadata { data?: Record<string, { unit?: string }[]> }

async function askMetrics(signal: AbortSignal): Promise<void> {
  const found: Metric[] = [];
  let after = '';
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { status, body } = await answerOf(`v1/topics?prefix=samples/&limit=${PAGE}${after}`, signal);
    if (status !== 200) {
      metricsFault.value = (body as { detail?: string } | null)?.detail ?? `HTTP ${status}`;
      metrics.value ??= [];
      return;
    }
    const { topics, next } = body as Listing;
    for (const { topic, kind, keys = 0 } of topics) if (kind === 'state' && topic.startsWith('samples/')) found.push({ name: topic.slice('samples/'.length), keys });
    if (!next) break;
    after = `&after=${encodeURIComponent(next)}`;
  }
  metricsFault.value = '';
  metrics.value = found;
}

async function askRules(signal: AbortSignal): Promise<void> {
  const { body } = await answerOf('api/v1/rules?type=alert&exclude_alerts=true', signal).catch(() => ({ body: null }));
  const groups = (body as Listed | null)?.data?.groups;
  // Who may not see them sees charts without limits.
  if (groups) rules.value = groups.flatMap((group) => group.rules.map(({ name, query }) => ({ name, query })));
  areRulesKnown.value = true;
}

async function askUnits(signal: AbortSignal): Promise<void> {
  const { body } = await answerOf('api/v1/metadata?limit_per_metric=1', signal);
  const data = (body as Metadata | null)?.data ?? {};
  units.value = new Map(Object.entries(data).flatMap(([name, [first]]) => (first?.unit ? [[name, first.unit] as const] : [])));
}

/** Asks, and goes on to; gives what ends it. */
export function beginAsking(): () => void {
  let asking = new AbortController();
  const ask = () => {
    if (document.hidden && metrics.peek() !== null) return;
    // What has no answer by now holds a connection that others wait for.
    asking.abort();
    asking = new AbortController();
    for (const one of [askMetrics, askRules, askUnits]) void one(asking.signal).catch(() => {});
  };
  ask();
  const timer = setInterval(ask, AGAIN_MS);
  return () => {
    asking.abort();
    clearInterval(timer);
  };
}
