// Numbers of costs: three digits that say something.

import { language } from '../text/text.js';

export const numberText = (value: number): string => value.toLocaleString(language.value, { maximumSignificantDigits: 3 });

const UNITS = [['TB', 1e12], ['GB', 1e9], ['MB', 1e6], ['kB', 1e3]] as const;

export function bytesText(value: number): string {
  const found = UNITS.find(([, unit]) => value >= 0.9995 * unit);
  return found ? `${numberText(value / found[1])} ${found[0]}` : `${numberText(value)} B`;
}
