// Numbers of things: counts, rates and bytes, as short as a table has room for.

import { language } from '../text/text.js';

const formats = new Map<string, Intl.NumberFormat>();

function format(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${language.value}${JSON.stringify(options)}`;
  let known = formats.get(key);
  if (!known) formats.set(key, (known = new Intl.NumberFormat(language.value, options)));
  return known;
}

/** `1,234`. */
export const count = (n: number): string => format({ maximumFractionDigits: 0 }).format(n);

/** `1.2M` of what need not be exact. */
export const about = (n: number): string => format({ notation: 'compact', maximumSignificantDigits: 3 }).format(n);

/** `0.4/s`, `1.2K/s`; what is less than one in a hundred seconds is none. */
export function rate(perSecond: number): string {
  if (!(perSecond >= 0.01)) return format({}).format(0);
  return `${format({ notation: 'compact', maximumSignificantDigits: perSecond < 0.1 ? 1 : 2 }).format(perSecond)}/s`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `18 KiB`. */
export function bytes(size: number): string {
  const step = size < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(size) / 10));
  return `${format({ maximumSignificantDigits: 3 }).format(size / 1024 ** step)}\u00a0${UNITS[step]}`;
}
