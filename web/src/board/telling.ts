// What the board tells who does not look at it: the tab's title, and what is said to who only listens.

import { effect } from '@preact/signals';
import { look } from '../format/severity.js';
import { areAlertsBehind, onAlerts } from '../stores/alerts.js';
import { fault } from '../stores/faults.js';
import { type Doubt, proof } from '../stores/proof.js';
import { connection } from '../stores/stream.js';
import { totals } from '../stores/totals.js';
import { announce } from '../ui/announce.js';
import { nameOf } from './AlertRow.js';
import { laneOf } from './model.js';
import { t } from './texts.js';

/** What comes within this is said together. */
const TOGETHER_MS = 4_000;
const NAMED_MAX = 3;

/** Beside what fires more may, untold. */
const BLINDING = new Set<Doubt | null>(['degraded', 'unready', 'no-samples', 'failing', 'old-sample', 'dropped', 'connecting']);

/** The title says how many fire, and with a question mark that this is not known to be all. */
export function keepTitle(): void {
  effect(() => {
    const { burning } = totals.value;
    const { status, hasBegun } = connection.value;
    const { doubt } = proof.value;
    const isBlind = fault.value !== '' || (burning > 0 ? status !== 'live' || !hasBegun || BLINDING.has(doubt) : doubt !== null);
    const mark = `${burning || ''}${isBlind ? '?' : ''}`;
    document.title = mark ? `(${mark}) Bellwire` : 'Bellwire';
  });
}

export function keepAnnouncing(): void {
  let names = { critical: [] as string[], others: [] as string[] };
  let resolved = 0;
  let waiting = false;
  let hasSettled = false;
  const say = () => {
    waiting = false;
    const sentence = (key: 'announce.critical' | 'announce.added', list: string[]) =>
      list.length > 0 && t('announce.named', { what: t(key, { n: list.length }), names: [...new Set(list)].slice(0, NAMED_MAX).join(', ') });
    const parts = [sentence('announce.critical', names.critical), sentence('announce.added', names.others), resolved > 0 && t('announce.resolved', { n: resolved })];
    announce(parts.filter(Boolean).join('; '));
    names = { critical: [], others: [] };
    resolved = 0;
  };
  onAlerts((changes) => {
    // What there is already is no news; what came while the page was cut off is.
    hasSettled ||= connection.peek().hasBegun && !areAlertsBehind.peek();
    if (!hasSettled) return;
    for (const { entry, before } of changes) {
      if (entry.isGone.peek()) continue;
      const alert = entry.alert.peek();
      const wasBurning = before !== null && laneOf(before.state) === 'firing';
      if (alert.state === 'firing' && !wasBurning) names[look(alert.severity) === 'critical' ? 'critical' : 'others'].push(nameOf(alert));
      else if (alert.state === 'resolved' && wasBurning) resolved += 1;
      else continue;
      if (waiting) continue;
      waiting = true;
      setTimeout(say, TOGETHER_MS);
    }
  });
}
