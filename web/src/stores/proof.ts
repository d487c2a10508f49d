// Whether what the page shows is so now, and whether it may say that nothing fires: only where something
// could, and would be seen.

import { computed } from '@preact/signals';
import { areAlertsBehind } from './alerts.js';
import { connection } from './stream.js';
import { refusedAt, serverStatus } from './status.js';
import { serverTimeOf } from './clock.js';
import { ticks } from '../ui/now.js';

export type Doubt =
  | 'login' | 'refused' | 'connecting' | 'away' | 'unknown' | 'degraded' | 'unready' | 'unseen' | 'no-rules' | 'no-samples' | 'no-series' | 'failing' | 'old-sample' | 'dropped';

/** Whoever sent what was refused has not been heard: so long that counts. */
const REFUSED_MAX_MS = 5 * 60_000;
/** A last sample that is older than this is no proof of anything. */
const SAMPLE_MAX_MS = 5 * 60_000;

export interface Proof {
  /** Why the page cannot tell; nothing where it can. */
  doubt: Doubt | null;
  /** What the doubt is about, in the server's words. */
  about: string;
  /** Rules that can raise an alert. */
  rules: number;
  /** Rules whose last evaluation failed, and whether newer files could not be loaded. */
  failing: number;
  isReloadFailing: boolean;
  /** Rules that find no series. */
  unused: number;
  seesSome: boolean;
  /** How old the last sample is, in milliseconds. */
  sampleAgeMs: number | null;
}

/** Why the server is behind what is so, though the page is connected to it; nothing where it is not. */
const heldUp = computed<[Doubt, string] | null>(() => {
  const { outage } = connection.value;
  const told = serverStatus.value;
  if (outage) return ['degraded', outage];
  return told && !told.ready ? ['unready', told.unready ?? ''] : null;
});

/** Whether what is shown is so now, as far as anybody can tell. */
export const isCurrent = (): boolean => connection.value.status === 'live' && !heldUp.value;

/** Once a second, and when anything changes. */
export const proof = computed<Proof>(() => {
  const { status, hasBegun, reason, isUnknown } = connection.value;
  const told = serverStatus.value;
  const at = told?.rules?.last_sample_at;
  const sampleAgeMs = at === undefined ? null : Math.max(0, serverTimeOf(ticks.value) - at);
  const { loaded = 0, failing = 0, without_series: unused = 0, reload_failing: isReloadFailing = false, seen = 'all' } = told?.rules ?? {};
  // Of a server that tells no more, all rules may be such.
  const rules = told?.rules?.alerting ?? loaded;
  const facts = { rules, failing, isReloadFailing, unused, seesSome: seen === 'some', sampleAgeMs, about: '' };
  const because = (doubt: Doubt | null, about = ''): Proof => ({ ...facts, doubt, about });
  if (isUnknown) return because('login');
  if (status === 'closed') return because('refused', reason);
  if (!hasBegun || (status === 'live' && areAlertsBehind.value)) return because('connecting', reason);
  if (status !== 'live') return because('away', reason);
  if (heldUp.value) return because(...heldUp.value);
  if (!told) return because('unknown');
  if (!told.rules) return because('unseen');
  if (rules === 0) return because('no-rules');
  if (sampleAgeMs === null) return because('no-samples');
  if (unused >= rules) return because('no-series');
  if (failing + unused >= rules) return because('failing');
  if (sampleAgeMs > SAMPLE_MAX_MS) return because('old-sample');
  return because(ticks.value - refusedAt.value < REFUSED_MAX_MS ? 'dropped' : null);
});

/** Doubts that stand across the page; the others pass, or are told by the connection. */
const TROUBLES = new Set<Doubt>(['degraded', 'unready', 'no-rules', 'no-samples', 'no-series', 'failing', 'old-sample', 'dropped']);
export const isTrouble = (doubt: Doubt): boolean => TROUBLES.has(doubt);
