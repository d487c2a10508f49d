// Every text that people see stands in a table, in each language, beside the part that shows it. The
// compiler holds the tables of all languages to the same keys.

import { computed, signal } from '@preact/signals';
import { loadGerman } from './late.js';
import { recall, remember } from '../ui/storage.js';
import { filled, type Text, type Values } from './filled.js';

export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;

export type { Text } from './filled.js';

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

/** How dates and times are written: English as the rest of the world writes it, not as the United States do. */
export const locale = () => (language.value === 'en' ? 'en-GB' : 'de-DE');

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

/**
 * The texts of one part: `const t = texts({ en: { hello: 'Hello {name}' }, de: { hello: 'Hallo {name}' } })`,
 * then `t('hello', { name })`. A text with the forms `one` and `other` goes by the value `n`.
 */
export function texts<Key extends string>(tables: Record<Language, Record<Key, Text>>): (key: Key, values?: Values) => string {
  return (key, values = {}) => filled(tables[language.value][key], values, language.value);
}
