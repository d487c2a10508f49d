// What an alert looks like: three looks that all severities share out between them, and the states.

export type Look = 'critical' | 'warning' | 'info';

const RANKS = new Map(Object.entries({ critical: 0, page: 0, fatal: 0, emergency: 0, error: 1, high: 1, major: 1, warning: 2, warn: 2, medium: 2, minor: 2, info: 3 }));
const RANK_LAST = 4;

/** The smaller, the worse; a severity that is not known comes last, and is shown as it is written. */
export const rank = (severity: string): number => RANKS.get(severity.toLowerCase()) ?? RANK_LAST;

export function look(severity: string): Look {
  const place = rank(severity);
  return place <= 1 ? 'critical' : place === 2 ? 'warning' : 'info';
}

export const LOOKS: readonly Look[] = ['critical', 'warning', 'info'];

/** The severities that are known to look so, in lower case; what is not known looks like `info`. */
export const namesOf = (of: Look): string[] => [...RANKS.keys()].filter((name) => look(name) === of);
