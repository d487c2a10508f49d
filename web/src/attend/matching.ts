// Matchers of a silence: for the alerts that are picked, as people write them, and as the API takes them.

import type { Alert } from '@bellwire/client';
import type { Matcher as Written } from '../match/matchers.js';
import type { Matcher } from './api.js';

/** Beyond so many values a label tells too little to be listed. */
const VALUES_MAX = 50;

/** What has a meaning in an expression. */
const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/**
 * Matchers that all of these alerts pass, and as few others as may be: what they have in common, and of
 * each label that tells them apart the values that there are.
 */
export function matchersOf(alerts: readonly Alert[]): Written[] {
  const [first, ...others] = alerts;
  if (!first) return [];
  const names = new Set(alerts.flatMap(({ labels }) => Object.keys(labels)));
  const found: Written[] = [];
  for (const name of [...names].sort(byWeight)) {
    const values = new Set(alerts.map(({ labels }) => (Object.hasOwn(labels, name) ? labels[name]! : '')));
    if (values.size === 1) found.push({ name, operator: '=', value: first.labels[name]! });
    else if (values.size <= VALUES_MAX && others.length > 0) {
      found.push({ name, operator: '=~', value: [...values].map(escaped).join('|') });
    }
  }
  return found;
}

/** The name first. */
const byWeight = (a: string, b: string) => Number(b === 'alertname') - Number(a === 'alertname') || (a < b ? -1 : 1);

export const toApi = ({ name, operator, value }: Written): Matcher => ({
  name, value, isRegex: operator.endsWith('~'), isEqual: !operator.startsWith('!'),
});

export const fromApi = ({ name, value, isRegex, isEqual }: Matcher): Written => ({
  name, value, operator: isEqual ? (isRegex ? '=~' : '=') : isRegex ? '!~' : '!=',
});
