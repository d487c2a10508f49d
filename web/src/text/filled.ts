// A text with its values, without any page: the service worker words texts, too.

/** A text with `{name}` for values; forms by number where `n` is among the values. */
export type Text = string | { one: string; other: string };
export type Values = Record<string, string | number>;

const plurals = { en: new Intl.PluralRules('en'), de: new Intl.PluralRules('de') };

export function filled(text: Text, values: Values, language: keyof typeof plurals): string {
  const form = typeof text === 'string' ? text : plurals[language].select(Number(values.n)) === 'one' ? text.one : text.other;
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === 'number' ? value.toLocaleString(language) : value;
  });
}
