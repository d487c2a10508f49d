// What happened to an alert, in words: for its own page, and for what happens to all.

import { age } from '../format/age.js';
import type { Unit } from '../format/quantity.js';
import { look } from '../format/severity.js';
import { steady, visible } from '../format/visible.js';
import type { SignName } from '../ui/Sign.js';
import { amount } from './looks.js';
import type { Happened } from './told.js';
import { t } from './texts.js';

const SIGNS: Record<string, SignName> = { 'alert.acknowledged': 'acknowledged', 'alert.resolved': 'resolved', 'alert.data_lost': 'data_lost', 'alert.assigned': 'acknowledged' };
const VERBS = new Set(['alert.firing', 'alert.data_lost', 'alert.resolved', 'alert.acknowledged', 'alert.unacknowledged', 'alert.assigned', 'alert.unassigned', 'alert.commented']);

export type Transition = Pick<Happened, 'type' | 'data'>;

export const signOf = ({ type, data }: Transition): SignName | null => (type === 'alert.firing' ? look(data.severity ?? '') : SIGNS[type] ?? null);

export function verbOf({ type, data }: Transition): string {
  const who = visible(type === 'alert.commented' ? data.comment?.by ?? '' : type === 'alert.assigned' ? data.assigned?.to ?? '' : data.acknowledged?.by ?? '');
  return VERBS.has(type) ? t(`verb.${type}` as 'verb.alert.firing', { who }) : visible(type);
}

export function detailOf({ type, data }: Transition, unit: Unit | null): string {
  if (type === 'alert.commented') return steady(data.comment?.text ?? '');
  if (type === 'alert.acknowledged') return steady(data.acknowledged?.note ?? '');
  if (type === 'alert.assigned') return data.assigned ? t('says', { who: visible(data.assigned.by) }) : '';
  if (type === 'alert.unacknowledged' || type === 'alert.unassigned') return '';
  const { value, fired_at: fired, resolved_at: resolved } = data;
  const told = value === undefined ? '' : t(type === 'alert.resolved' ? 'last' : 'at', { value: amount(value, unit) });
  const lasted = type === 'alert.resolved' && fired !== undefined && resolved !== undefined ? t('after', { age: age(resolved - fired) }) : '';
  return [lasted, told].filter(Boolean).join(', ');
}
