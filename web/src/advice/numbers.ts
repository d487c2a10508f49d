// Numbers of costs: three digits that say something.

import { language } from '../text/text.js';

/** What was not measured is not guessed. */
const UNKNOWN = '?';

export const numberText = (value: number | null): string => value?.toLocaleString(language.value, { maximumSignificantDigits: 3 }) ?? UNKNOWN;

const UNITS = [['TB', 1e12], ['GB', 1e9], ['MB', 1e6], ['kB', 1e3]] as const;

export function bytesText(value: number | null): string {
  if (value === null) return UNKNOWN;
  const found = UNITS.find(([, unit]) => value >= 0.9995 * unit);
  return found ? `${numberText(value / found[1])} ${found[0]}` : `${numberText(value)} B`;
}
