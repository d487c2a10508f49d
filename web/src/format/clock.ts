// Times of day and dates, as the language of the page writes them.

import { locale } from '../text/text.js';

const made = new Map<string, Intl.DateTimeFormat>();

function format(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale()} ${name}`;
  const known = made.get(key) ?? new Intl.DateTimeFormat(locale(), options);
  made.set(key, known);
  return known;
}

const TIME: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit' };

/** `14:03:07` today, `30 Nov 2026, 14:03:07` on other days; `now` says which day is today. */
export function clockOf(milliseconds: number, now = Date.now()): string {
  if (!Number.isFinite(milliseconds) || Math.abs(milliseconds) > 8.64e15) return '–';
  const isToday = new Date(milliseconds).toDateString() === new Date(now).toDateString();
  return isToday ? format('time', TIME).format(milliseconds) : dateOf(milliseconds);
}

/** `14:03:07`, where the day stands elsewhere. */
export const timeOf = (milliseconds: number): string =>
  (Math.abs(milliseconds) <= 8.64e15 ? format('time', TIME).format(milliseconds) : '–');

/** `30 Nov 2026, 14:03:07`. */
export const dateOf = (milliseconds: number): string =>
  format('date', { ...TIME, day: 'numeric', month: 'short', year: 'numeric' }).format(milliseconds);
