// Matchers, each a chip, completed by the labels that alerts have.

import type { Signal } from '@preact/signals';
import { useId, useMemo, useRef } from 'preact/hooks';
import { LabelIndex } from '../board/labels.js';
import { visible } from '../format/visible.js';
import { type Matcher, parse, placeAt, STATE, write } from '../match/matchers.js';
import { allEntries } from '../stores/alerts.js';
import { Completion, type Option } from '../ui/Completion.js';
import { t } from './texts.js';

const OFFERED_MAX = 12;

interface Props {
  matchers: Signal<readonly Matcher[]>;
  draft: Signal<string>;
}

/** What begins with what is typed first, then what contains it; the most frequent first. */
function fitting(counts: Iterable<[string, number]>, typed: string): [string, number][] {
  const wanted = typed.toLowerCase();
  const found = [...counts].filter(([text]) => text !== typed && text !== STATE && text.toLowerCase().includes(wanted));
  const begins = ([text]: [string, number]) => Number(text.toLowerCase().startsWith(wanted));
  return found.sort((a, b) => begins(b) - begins(a) || b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, OFFERED_MAX);
}

function offers(index: LabelIndex, text: string, caret: number): Option[] {
  const { what, name, typed } = placeAt(text, caret);
  if (what === 'value') return fitting(index.values(name), typed).map(([value, n]) => ({ text: visible(value), hint: t('alertsCount', { n }), value }));
  return fitting(index.names(), typed).map(([label, n]) => ({ text: `${visible(label)}=`, hint: String(n), value: label }));
}

function taken(text: string, { value }: Option, caret: number): { value: string; caret: number } {
  const { what, from, to, name } = placeAt(text, caret);
  const written = write({ name: what === 'value' ? name : String(value), operator: '=', value: what === 'value' ? String(value) : '' });
  const piece = what === 'name' ? written.slice(0, -2) : written.slice(written.lastIndexOf('="') + 1);
  return { value: text.slice(0, from) + piece + text.slice(to), caret: from + piece.length };
}

export function MatcherField({ matchers, draft }: Props) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const index = useMemo(() => {
    const labels = new LabelIndex();
    for (const entry of allEntries()) labels.add(entry.alert.peek().labels);
    return labels;
  }, []);
  const parsed = parse(draft.value);
  const word = parsed.matchers.find(({ name }) => name === '');
  const fault = word && draft.value.endsWith(' ') ? t('wordNoMatcher', { about: visible(word.value) }) : '';
  const commit = () => {
    if (parsed.wrong || parsed.matchers.length === 0 || word) return;
    const known = new Set(matchers.value.map(write));
    matchers.value = [...matchers.value, ...parsed.matchers.filter((one) => !known.has(write(one)))];
    draft.value = '';
  };
  const without = (gone: Matcher) => { matchers.value = matchers.value.filter((one) => one !== gone); };
  const edit = (one: Matcher) => {
    without(one);
    draft.value = write(one);
    field.current?.focus();
  };
  return (
    <div class="field">
      <span id={`${id}-label`}>{t('matchers')}</span>
      <div class="filter" role="group" aria-labelledby={`${id}-label`}>
        {matchers.value.map((one) => (
          <span key={write(one)} class="chip">
            <button class="quiet" type="button" aria-label={t('change', { what: write(one) })} onClick={() => edit(one)}><bdi>{visible(write(one))}</bdi></button>
            <button class="quiet cross" type="button" aria-label={t('remove', { what: write(one) })} onClick={() => without(one)}>×</button>
          </span>
        ))}
        <Completion
          label={t('matchers')} value={draft.value} placeholder={matchers.value.length === 0 ? t('matchersHint') : ''} of={field}
          options={(caret) => offers(index, draft.value, caret)} input={(text) => { draft.value = text; }}
          take={(option, caret) => taken(draft.value, option, caret)} enter={commit} isWrong={fault !== ''} describedBy={`${id}-fault`}
          back={() => { const last = matchers.value.at(-1); if (last && draft.value === '') edit(last); }}
        />
        {draft.value.trim() !== '' && <button type="button" onClick={commit}>{t('add')}</button>}
      </div>
      <span class="error" id={`${id}-fault`} role="status">{fault}</span>
    </div>
  );
}
