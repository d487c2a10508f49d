// What people do with alerts, from wherever these are shown: what is asked for here is answered by the
// dialogs, which are loaded when they are asked for first.

import type { Alert } from '@bellwire/client';
import { signal } from '@preact/signals';
import type { Silence } from './api.js';

export type AttendKind = 'acknowledge' | 'take-back' | 'assign' | 'comment' | 'silence';

export interface Attending {
  kind: AttendKind;
  alerts: readonly Alert[];
  /** Of `silence`: the one that is to be changed, or made once more where it has ended. */
  silence?: Silence;
}

/** What is asked for; nothing while no dialog is open. */
export const attending = signal<Attending | null>(null);

export function openAttend(kind: AttendKind, alerts: readonly Alert[]): void {
  if (alerts.length > 0) attending.value = { kind, alerts };
}

/** The dialog of silences: a new one of nothing yet, or one that there is. */
export function openSilence(silence?: Silence): void {
  attending.value = { kind: 'silence', alerts: [], ...(silence && { silence }) };
}
