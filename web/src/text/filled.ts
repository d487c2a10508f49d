// A text with its values, without any page: the service worker words texts, too.

/** A text with `{name}` for values; forms by number where `n` is among the values. */
export type Text = string | { one: string; other: string };
export type Values = Record<string, string | number>;

/** Below it a number has no separator, and is written alike in all languages. */
const SEPARATED = 1_000;

const formats = new Map<string, Intl.NumberFormat>();

/** To make a format takes as long as much else that a page does at first: most numbers need none. */
export function numeral(value: number, language: string): string {
  if (Number.isInteger(value) && Math.abs(value) < SEPARATED) return String(value);
  let format = formats.get(language);
  if (!format) formats.set(language, (format = new Intl.NumberFormat(language)));
  return format.format(value);
}

export function filled(text: Text, values: Values, language: string): string {
  // In both languages it is the one form for one, and the other for all else.
  const form = typeof text === 'string' ? text : values.n === 1 ? text.one : text.other;
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === 'number' ? numeral(value, language) : value;
  });
}
