// The unit of an alert's value, by what its rule compares.

import { signal } from '@preact/signals';
import type { Alert } from '@bellwire/client';
import { type Unit, unitOfExpression } from '../format/quantity.js';
import { base, connection } from './stream.js';
import { inTime } from './who.js';

/** Rules that are newer than what is known are asked for, but not at every alert. */
const AGAIN_MS = 30_000;

const known = signal<ReadonlyMap<string, Unit | null>>(new Map());
let askedAt = -Infinity;

const keyOf = (file: string, group: string, name: string) => JSON.stringify([file, group, name]);

/** Nothing while it is not known, or where the expression does not tell. */
export function unitOfAlert({ rule }: Alert): Unit | null {
  if (!rule) return null;
  const key = keyOf(rule.file, rule.group, rule.name);
  const unit = known.value.get(key);
  if (unit === undefined && performance.now() - askedAt > AGAIN_MS && connection.peek().status === 'live') void ask();
  return unit ?? null;
}

interface Answer { data?: { groups?: { file: string; name: string; rules: { name: string; query: string }[] }[] } }

async function ask(): Promise<void> {
  askedAt = performance.now();
  // Without the right to see rules values have no unit, and that is all.
  const answer = await fetch(new URL('api/v1/rules?type=alert&exclude_alerts=true', base), { signal: inTime() }).catch(() => null);
  const body = answer?.ok ? ((await answer.json().catch(() => null)) as Answer | null) : null;
  if (!body?.data?.groups) return;
  known.value = new Map(body.data.groups.flatMap(({ file, name, rules }) =>
    rules.map((rule) => [keyOf(file, name, rule.name), unitOfExpression(rule.query)] as const)));
}
