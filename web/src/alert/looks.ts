// How one alert's times, values and links are written.

import type { Alert } from '@bellwire/client';
import { age } from '../format/age.js';
import { quantity, type Unit, unitOf } from '../format/quantity.js';
import { serverTimeOf } from '../stores/clock.js';
import { locale } from '../text/text.js';
import { ticks } from '../ui/now.js';
import type { Threshold } from './told.js';
import { t } from './texts.js';

const DAY_MS = 86_400_000;

/** Times that a date cannot hold are told as they are. */
function written(time: number, options: Intl.DateTimeFormatOptions): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toLocaleString(locale(), options);
}

export const stampOf = (time: number): string => written(time, { dateStyle: 'medium', timeStyle: 'medium' });
export const clockOf = (time: number): string => written(time, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
export const dayOf = (time: number): string => written(time, { dateStyle: 'full' });

/** Without the day where it is less than one away. */
export const shortly = (time: number): string => (Math.abs(now() - time) < DAY_MS ? clockOf(time) : written(time, { dateStyle: 'medium', timeStyle: 'short' }));

/** The server's time, once a second. */
export const now = (): number => serverTimeOf(ticks.value);

export const ago = (time: number): string => t('ago', { age: age(now() - time) });

/** A rate of bytes is bytes a second, one of seconds a share of the time. */
const PER_SECOND: Partial<Record<Unit, Unit>> = { bytes: 'bytes/s', seconds: 'ratio' };

/** The unit of what is compared; nothing where the server does not say of which metric it is. */
export function unitOfThreshold({ metric, per_second: isPerSecond }: Threshold): Unit | null {
  if (metric === undefined) return null;
  const unit = unitOf(metric);
  return isPerSecond ? (unit === null ? 'per-second' : PER_SECOND[unit] ?? null) : unit;
}

export const amount = (value: number | string, unit: Unit | null): string => quantity(value, unit);

export interface Link { name: string; text: string; url: string }

/** Annotations that lead somewhere: to pages alone, since whoever writes rules need not be trusted. */
export function linksOf({ annotations, generator_url: generator }: Pick<Alert, 'annotations' | 'generator_url'>): Link[] {
  const found = Object.entries(annotations).flatMap(([name, text]) => linkOf(name, text) ?? []);
  const own = generator === undefined ? null : linkOf('generator', generator);
  const order = ['runbook', 'dashboard'];
  const place = ({ name }: Link) => (order.findIndex((one) => name.toLowerCase().includes(one)) + order.length + 1) % (order.length + 1);
  return [...found, ...(own ? [own] : [])].sort((a, b) => place(a) - place(b));
}

function linkOf(name: string, text: string): Link | null {
  if (!/^https?:\/\/\S+$/i.test(text)) return null;
  try {
    const { protocol, href } = new URL(text);
    if (protocol !== 'https:' && protocol !== 'http:') return null;
    const kind = name.replace(/_?url$/i, '');
    return { name, url: href, text: kind === 'runbook' ? t('runbook') : kind === 'dashboard' ? t('dashboard') : kind === 'generator' ? t('generator') : name };
  } catch {
    return null;
  }
}
