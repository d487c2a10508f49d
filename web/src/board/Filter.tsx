// Which alerts are shown: matchers and words, each a chip, completed by what there is. They stand in the
// address, so that whoever is sent it sees the same.

import { useId } from 'preact/hooks';
import { signal } from '@preact/signals';
import { visible } from '../format/visible.js';
import { type Matcher, parse, placeAt, STATE, type Wrong, write } from '../match/matchers.js';
import { allEntries } from '../stores/alerts.js';
import { Completion, type Option } from '../ui/Completion.js';
import { givenUp } from './engine.js';
import { LabelIndex } from './labels.js';
import { t } from './texts.js';
import { draft, filter, recentFilters, setFilter } from './view.js';

const OFFERED_MAX = 12;
/** What is there is counted anew, but not at every letter. */
const KEPT_MS = 2_000;

export const filterField: { current: HTMLInputElement | null } = { current: null };

let counted: { at: number; labels: LabelIndex } | null = null;

function labels(): LabelIndex {
  if (counted && performance.now() - counted.at < KEPT_MS) return counted.labels;
  const index = new LabelIndex();
  for (const entry of allEntries()) {
    const { labels, state } = entry.alert.peek();
    index.add({ ...labels, [STATE]: state });
  }
  counted = { at: performance.now(), labels: index };
  return index;
}

export const labelNames = (): string[] => [...labels().names().keys()].filter((name) => name !== STATE).sort();

/** What fits what is typed: what begins with it first, then what contains it; the most frequent first. */
function fitting(counts: Iterable<[string, number]>, typed: string): [string, number][] {
  const wanted = typed.toLowerCase();
  const ranked = [...counts].flatMap(([text, count]) => {
    const at = text.toLowerCase().indexOf(wanted);
    return at < 0 || text === typed ? [] : [[text, count, at === 0 ? 0 : 1] as const];
  });
  ranked.sort((a, b) => a[2] - b[2] || b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return ranked.slice(0, OFFERED_MAX).map(([text, count]) => [text, count]);
}

function offers(text: string, caret: number): Option[] {
  const place = placeAt(text, caret);
  const index = labels();
  if (place.what === 'value') {
    return fitting(index.values(place.name), place.typed).map(([value, count]) => ({ text: visible(value), hint: t('alertsCount', { n: count }), value }));
  }
  if (text === '') {
    const recent = recentFilters.value.filter((one) => one !== '').map((one) => ({ text: one, hint: t('recent'), value: null }));
    return [...recent, ...names(index, '')].slice(0, OFFERED_MAX);
  }
  return names(index, place.typed);
}

const names = (index: LabelIndex, typed: string): Option[] =>
  fitting(index.names(), typed).map(([name, count]) => ({ text: `${visible(name)}=`, hint: String(count), value: name }));

/** The text with what was offered in the place of what is typed of it, and where the caret is then. */
export function taken(text: string, { text: shown, value }: Option, caret: number): { value: string; caret: number } {
  // One that was used before is the whole.
  if (value === null) return { value: shown, caret: shown.length };
  const { what, from, to } = placeAt(text, caret);
  // As it is written with no value, or of any label.
  const piece = what === 'name' ? write({ name: String(value), operator: '=', value: '' }).slice(0, -2) : write({ name: 'x', operator: '=', value: String(value) }).slice(2);
  return { value: text.slice(0, from) + piece + text.slice(to), caret: from + piece.length };
}

type Words = typeof import('./wrong.js').t;
const words = signal<Words | null>(null);
let areAsked = false;

/** In words, once these have come; where they do not, as short as it is known. */
function told(fault: Wrong['fault'] | 'slow', about: string): string {
  if (!areAsked) {
    areAsked = true;
    import('./wrong.js').then(({ t }) => { words.value = t; }, () => { words.value = (key) => key; });
  }
  return words.value?.(fault, { about }) ?? '';
}

/** Which matchers take too long, so that what they would hide is shown. */
export const slowText = (): string => (givenUp.value.size > 0 ? told('slow', [...givenUp.value].map(visible).join(' ')) : '');

/** Takes what is typed into the filter, if it can be read. */
function commit(): void {
  const { matchers, wrong } = parse(draft.value);
  if (wrong || matchers.length === 0) return;
  const known = new Set(filter.value.matchers.map(write));
  setFilter([...filter.value.matchers, ...matchers.filter((one) => !known.has(write(one)))]);
  draft.value = '';
}

export function Filter() {
  const id = useId();
  const { matchers, wrong: wrongBefore } = filter.value;
  const { wrong } = parse(draft.value);
  // Who is still typing is told nothing yet of what is open.
  const fault = wrong && !['quote', 'value'].includes(wrong.fault) ? wrong : wrongBefore;
  const without = (gone: Matcher) => matchers.filter((one) => one !== gone);
  const edit = (one: Matcher) => {
    setFilter(without(one));
    draft.value = write(one);
    filterField.current?.focus();
  };
  return (
    <search class="filter">
      {matchers.map((one) => (
        <span key={write(one)} class="chip" data-unapplied={givenUp.value.has(write(one)) ? '' : undefined}>
          <button class="quiet" type="button" aria-label={t('edit', { what: write(one) })} onClick={() => edit(one)}><bdi>{visible(write(one))}</bdi></button>
          <button class="quiet cross" type="button" aria-label={t('remove', { what: write(one) })} onClick={() => setFilter(without(one))}>×</button>
        </span>
      ))}
      <Completion
        label={t('filter')} value={draft.value} placeholder={matchers.length === 0 ? t('filterHint') : ''} of={filterField}
        options={(caret) => offers(draft.value, caret)} input={(text) => { draft.value = text; }}
        take={(option, caret) => taken(draft.value, option, caret)} enter={commit} describedBy={`${id}-wrong`} isWrong={fault !== null}
        back={() => matchers.length > 0 && draft.value === '' && edit(matchers.at(-1)!)}
      />
      {(matchers.length > 0 || draft.value !== '' || wrongBefore) && (
        <button class="quiet" type="button" onClick={() => { draft.value = ''; setFilter([]); }}>{t('clear')}</button>
      )}
      <span class="error" id={`${id}-wrong`} role="status">{fault ? told(fault.fault, fault.about) : slowText()}</span>
    </search>
  );
}
