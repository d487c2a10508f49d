// How many alerts there are of each kind, whatever is looked for on the board.

import type { Alert } from '@bellwire/client';
import { type ReadonlySignal, signal } from '@preact/signals';
import { type Look, look } from '../format/severity.js';
import { onAlerts } from './alerts.js';

export interface Totals {
  byState: Readonly<Record<string, number>>;
  /** Those that fire and are not kept quiet. */
  firing: Readonly<Record<Look, number>>;
  /** All of those together. */
  burning: number;
  /** Silenced or inhibited. */
  muted: number;
}

const QUIET_STATES = new Set(['pending', 'resolved', 'silenced', 'inhibited']);

const byState = new Map<string, number>();
const firing: Record<Look, number> = { critical: 0, warning: 0, info: 0 };

const counted = signal<Totals>(total());
export const totals: ReadonlySignal<Totals> = counted;

function total(): Totals {
  return {
    byState: Object.fromEntries(byState),
    firing: { ...firing },
    burning: firing.critical + firing.warning + firing.info,
    muted: (byState.get('silenced') ?? 0) + (byState.get('inhibited') ?? 0),
  };
}

function count({ state, severity }: Alert, by: 1 | -1): void {
  byState.set(state, (byState.get(state) ?? 0) + by);
  if (!QUIET_STATES.has(state)) firing[look(severity)] += by;
}

export function countAlerts(): void {
  onAlerts((changes) => {
    let isChanged = false;
    for (const { entry, before } of changes) {
      const alert = entry.isGone.peek() ? null : entry.alert.peek();
      if (before && alert && before.state === alert.state && before.severity === alert.severity) continue;
      if (before) count(before, -1);
      if (alert) count(alert, 1);
      isChanged = true;
    }
    if (isChanged) counted.value = total();
  });
}
