// Every text that people see stands in a table, in each language, beside the part that shows it. The
// compiler holds the tables of all languages to the same keys.

import { computed, signal } from '@preact/signals';
import { loadGerman } from './late.js';
import { recall, remember } from '../ui/storage.js';

export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;

/** A text with `{name}` for values; forms by number where `n` is among the values. */
export type Text = string | { one: string; other: string };
type Values = Record<string, string | number>;

const KEY = 'language';

const isLanguage = (name: string | null | undefined): name is Language => name != null && Object.hasOwn(LANGUAGES, name);

/** What the browser prefers of what there is. */
function preferred(): Language {
  const named = typeof navigator === 'undefined' ? [] : navigator.languages;
  return named.map((tag) => tag.slice(0, 2)).find(isLanguage) ?? 'en';
}

/** Set where bundling has taken German texts out: see `late.ts`. */
declare const GERMAN_APART: boolean | undefined;

const chosen = signal<string | null>(recall(KEY));
const wanted = computed<Language>(() => (isLanguage(chosen.value) ? chosen.value : preferred()));
const isGermanHere = signal(typeof GERMAN_APART === 'undefined');

/** The language of all texts; components that show one are shown anew when it changes. */
export const language = computed<Language>(() => (wanted.value === 'de' && !isGermanHere.value ? 'en' : wanted.value));

export function chooseLanguage(name: Language): void {
  chosen.value = name;
  remember(KEY, name);
  void languageCame();
}

/** Resolves when the texts of the language that is wanted are there, or will not come. */
export async function languageCame(): Promise<void> {
  if (wanted.value !== 'de' || isGermanHere.value) return;
  isGermanHere.value = await loadGerman().then(() => true, () => false);
}

const plurals = { en: new Intl.PluralRules('en'), de: new Intl.PluralRules('de') };

/**
 * The texts of one part: `const t = texts({ en: { hello: 'Hello {name}' }, de: { hello: 'Hallo {name}' } })`,
 * then `t('hello', { name })`. A text with the forms `one` and `other` goes by the value `n`.
 */
export function texts<Key extends string>(tables: Record<Language, Record<Key, Text>>): (key: Key, values?: Values) => string {
  return (key, values = {}) => {
    const text = tables[language.value][key];
    const form = typeof text === 'string' ? text : plurals[language.value].select(Number(values.n)) === 'one' ? text.one : text.other;
    return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      return value === undefined ? whole : typeof value === 'number' ? value.toLocaleString(language.value) : value;
    });
  };
}
