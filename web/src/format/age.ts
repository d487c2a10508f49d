// How long something has been, in words as short as a table has room for.

import { texts } from '../text/text.js';

const t = texts({
  en: { seconds: '{n} s', minutes: '{n} min', hours: '{n} h', hoursMinutes: '{h} h {m} min', days: '{n} d', daysHours: '{d} d {h} h' },
  de: { seconds: '{n} s', minutes: '{n} min', hours: '{n} h', hoursMinutes: '{h} h {m} min', days: '{n} T', daysHours: '{d} T {h} h' },
});

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `4 s`, `12 min`, `3 h 5 min`, `2 d 4 h` of milliseconds; nothing is younger than now. */
export function age(milliseconds: number): string {
  const s = Math.max(0, Math.floor(milliseconds / 1_000));
  if (s < MINUTE) return t('seconds', { n: s });
  if (s < HOUR) return t('minutes', { n: Math.floor(s / MINUTE) });
  if (s < DAY) {
    const [h, m] = [Math.floor(s / HOUR), Math.floor((s % HOUR) / MINUTE)];
    return m > 0 ? t('hoursMinutes', { h, m }) : t('hours', { n: h });
  }
  const [d, h] = [Math.floor(s / DAY), Math.floor((s % DAY) / HOUR)];
  return h > 0 ? t('daysHours', { d, h }) : t('days', { n: d });
}
