// Acting on alerts, and why that may not be possible just now.

import type { Alert } from '@bellwire/client';
import { computed } from '@preact/signals';
import { type AttendKind, openAttend } from '../attend/open.js';
import { connection } from '../stores/stream.js';
import { lacks } from '../stores/who.js';
import { t } from './texts.js';

/** What is pending or over can neither be taken up nor silenced. */
export const isRaised = ({ state }: Alert): boolean => state !== 'pending' && state !== 'resolved';

/** Who may only look is offered nothing. */
export const mayAttend = computed(() => !lacks('attend'));

/** Why nothing can be done just now; empty where it can. */
export const obstacle = computed(() => (connection.value.status === 'live' ? '' : t('notLive')));

export function actOn(kind: AttendKind, alerts: readonly Alert[]): void {
  if (alerts.length > 0 && mayAttend.peek() && !obstacle.peek()) openAttend(kind, alerts.filter(isRaised));
}
