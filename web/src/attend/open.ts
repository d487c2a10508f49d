// What people do with alerts, from wherever these are shown: what is asked for here is answered by the
// dialogs, which are loaded when they are asked for first.

import type { Alert } from '@bellwire/client';
import { signal } from '@preact/signals';

export type AttendKind = 'acknowledge' | 'take-back' | 'assign' | 'comment' | 'silence';

export interface Attending {
  kind: AttendKind;
  alerts: readonly Alert[];
}

/** What there are dialogs for. */
export const KINDS: readonly AttendKind[] = ['acknowledge', 'take-back', 'silence'];

/** What is asked for; nothing while no dialog is open. */
export const attending = signal<Attending | null>(null);

export function openAttend(kind: AttendKind, alerts: readonly Alert[]): void {
  if (alerts.length > 0 && KINDS.includes(kind)) attending.value = { kind, alerts };
}
