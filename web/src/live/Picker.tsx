// The field in which somebody says what is to be shown: words are looked for in names and labels, the rest
// is an expression, completed word by word.

import { visible } from '../format/visible.js';
import { Completion, type Option } from '../ui/Completion.js';
import { metrics } from './known.js';
import { hasAll, ranked, rankOf, selector, wordsOf } from './names.js';
import { t } from './texts.js';
import type { Value, Values } from './values.js';

const OFFERED_MAX = 14;
/** Of one metric, by labels: others have their place, too. */
const OFFERED_OF_METRIC = 5;
const FUNCTIONS = ['rate', 'increase', 'irate', 'delta', 'sum', 'avg', 'min', 'max', 'count', 'topk', 'bottomk', 'quantile', 'histogram_quantile', 'avg_over_time', 'max_over_time', 'min_over_time', 'abs', 'by', 'without'];

/** What is not only words is an expression. */
const isExpression = (text: string) => /[(){}[\]+*/<>=!"']/.test(text);

interface Word { typed: string; from: number; to: number; within: 'labels' | 'value' | 'expression'; metric: string; label: string }

/** What stands at the caret of an expression. */
export function wordAt(text: string, caret: number): Word {
  const before = text.slice(0, caret);
  const typed = /[\w:]*$/.exec(before)![0];
  const after = /^[\w:]*/.exec(text.slice(caret))![0];
  const place = { from: caret - typed.length, to: caret + after.length };
  const open = before.lastIndexOf('{');
  if (open < 0 || before.indexOf('}', open) >= 0) return { typed, ...place, within: 'expression', metric: '', label: '' };
  const metric = /([a-zA-Z_:][\w:]*)?\s*$/.exec(before.slice(0, open))![1] ?? '';
  const value = /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(before.slice(open));
  if (!value) return { typed, ...place, within: 'labels', metric, label: '' };
  const [, label = '', text2 = ''] = value;
  return { typed: text2, from: caret - text2.length, to: caret, within: 'value', metric, label };
}

/** What fits, what begins so first. */
function fitting(counts: ReadonlyMap<string, number>, typed: string): Option[] {
  const wanted = typed.toLowerCase();
  return [...counts].filter(([text]) => text !== typed && text.toLowerCase().includes(wanted))
    .sort(([a, x], [b, y]) => Number(b.toLowerCase().startsWith(wanted)) - Number(a.toLowerCase().startsWith(wanted)) || y - x || (a < b ? -1 : 1))
    .slice(0, OFFERED_MAX).map(([text, count]) => ({ text: visible(text), hint: count > 0 ? t('seriesCount', { n: count }) : '', value: { put: text } }));
}

function labelsOf(values: Values, metric: string, label: string | null): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [name, series] of values.byMetric) {
    if (metric !== '' && name !== metric) continue;
    for (const { labels } of series.values()) {
      for (const found of label === null ? Object.keys(labels) : [labels[label]]) if (found !== undefined) counts.set(found, (counts.get(found) ?? 0) + 1);
    }
  }
  return counts;
}

function completions(text: string, caret: number, values: Values): Option[] {
  const { typed, within, metric, label } = wordAt(text, caret);
  if (within === 'value') return fitting(labelsOf(values, metric, label), typed);
  if (within === 'labels') return fitting(labelsOf(values, metric, null), typed);
  if (typed === '') return [];
  const names = new Map((metrics.value ?? []).map(({ name, keys }) => [name, keys]));
  for (const name of FUNCTIONS) if (!names.has(name)) names.set(name, 0);
  return fitting(names, typed);
}

/** Series of a metric, together where they have the labels in common in which the words are found. */
function byLabels(name: string, matching: readonly Value[], words: readonly string[]): Option[] {
  const sought = words.filter((word) => !name.toLowerCase().includes(word));
  const groups = new Map<string, { count: number; length: number }>();
  for (const { labels } of matching) {
    const own = Object.entries(labels).filter(([label, value]) => sought.some((word) => `${label}=${value}`.toLowerCase().includes(word)));
    const group = selector(name, Object.fromEntries(own));
    groups.set(group, { count: (groups.get(group)?.count ?? 0) + 1, length: group.length });
  }
  // The shortest is the likest to what is typed.
  return [...groups].sort(([a, x], [b, y]) => x.length - y.length || (a < b ? -1 : 1)).slice(0, OFFERED_OF_METRIC)
    .map(([group, { count }]) => ({ text: visible(group), hint: t('seriesCount', { n: count }), value: { show: group } }));
}

/** Metrics by their names, then series by their labels. */
export function found(typed: string, values: Values, firing: ReadonlySet<string>): Option[] {
  const words = wordsOf(typed);
  const all = ranked(metrics.value ?? [], firing);
  const hint = (name: string, keys: number) => [firing.has(name) ? t('fires') : '', t('seriesCount', { n: keys })].filter(Boolean).join(' · ');
  const byName = all.filter(({ name }) => hasAll(name.toLowerCase(), words)).slice(0, OFFERED_MAX).map(({ name, keys }) => ({ text: visible(name), hint: hint(name, keys), value: { show: selector(name, {}) } }));
  if (words.length === 0 || byName.length === OFFERED_MAX) return byName;
  const metricsWith = [...values.byMetric].filter(([name]) => !hasAll(name.toLowerCase(), words));
  metricsWith.sort(([a], [b]) => rankOf(a, firing) - rankOf(b, firing) || (a < b ? -1 : 1));
  const series = metricsWith.flatMap(([name, of]) => byLabels(name, [...of.values()].filter(({ searchable }) => hasAll(searchable, words)), words));
  return [...byName, ...series].slice(0, OFFERED_MAX);
}

interface Props {
  values: Values;
  firing: ReadonlySet<string>;
  draft: { value: string };
  field: { current: HTMLInputElement | null };
  show(expression: string): void;
}

export function Picker({ values, firing, draft, field, show }: Props) {
  const options = (caret: number) => (isExpression(draft.value) ? completions(draft.value, caret, values) : found(draft.value, values, firing));
  const enter = () => {
    const typed = draft.value.trim();
    if (typed === '') return;
    // Words that are no name stand for the first that they find.
    const first = isExpression(typed) || (metrics.value ?? []).some(({ name }) => name === typed) ? undefined : found(typed, values, firing)[0];
    show(first ? (first.value as { show: string }).show : typed);
  };
  const take = (option: Option, caret: number) => {
    const { show: whole, put } = option.value as { show?: string; put?: string };
    if (whole !== undefined) {
      show(whole);
      return { value: '', caret: 0 };
    }
    const { from, to, within } = wordAt(draft.value, caret);
    const text = within === 'labels' ? `${put}=""` : put!;
    return { value: draft.value.slice(0, from) + text + draft.value.slice(to), caret: from + text.length - (within === 'labels' ? 1 : 0) };
  };
  return (
    <form class="picker" onSubmit={(event) => { event.preventDefault(); enter(); }}>
      <Completion label={t('add')} value={draft.value} placeholder={t('addHint')} of={field} options={options} input={(text) => { draft.value = text; }} take={take} enter={enter} />
      <button class="primary" type="submit">{t('show')}</button>
    </form>
  );
}
