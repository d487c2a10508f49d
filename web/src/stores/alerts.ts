// The alerts on the board, by fingerprint.

import type { Alert } from '@bellwire/client';
import { signal } from '@preact/signals';
import { receive } from './stream.js';

export const alerts = signal<ReadonlyMap<string, Alert>>(new Map());

export function followAlerts(): void {
  let unseen: Set<string> | null = null;
  receive({
    takes: (topic) => topic === 'alerts/active',
    event: ({ key, data, deleted }) => {
      if (key === undefined) return;
      unseen?.delete(key);
      const next = new Map(alerts.value);
      if (deleted) next.delete(key);
      else next.set(key, data as Alert);
      alerts.value = next;
    },
    begin: () => { unseen = new Set(alerts.value.keys()); },
    ready: () => {
      if (unseen?.size) alerts.value = new Map([...alerts.value].filter(([key]) => !unseen!.has(key)));
      unseen = null;
    },
  });
}
