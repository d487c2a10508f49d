// All live values, by metric: compact, and to be looked through.

import { type Signal, useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { age } from '../format/age.js';
import { quantity } from '../format/quantity.js';
import { visible } from '../format/visible.js';
import { ticks } from '../ui/now.js';
import { metrics, metricsFault, unitFor } from './known.js';
import { hasAll, isOf, type Plan, ranked, selector, wordsOf } from './names.js';
import { numberOf } from './line.js';
import { t } from './texts.js';
import type { Value, Values } from './values.js';

/** Rows and metrics that are shown: who looks for one finds it by its name. */
const ROWS_FIRST = 9;
const ROWS_MAX = 60;
const METRICS_MAX = 200;
/** Metrics that are open of themselves, where so few are found. */
const OPEN_MAX = 3;
/** A value that is older is told to be. */
const OLD_MS = 60_000;

interface Props {
  values: Values;
  plan: Plan;
  firing: ReadonlySet<string>;
  /** Labels of the alerts that fire. */
  alerts: readonly Readonly<Record<string, string>>[];
  search: Signal<string>;
  isPaused: boolean;
  show(expression: string): void;
}

export function List({ values, plan, firing, alerts, search, isPaused, show }: Props) {
  const opened = useSignal<ReadonlyMap<string, boolean>>(new Map());
  if (!isPaused) void values.version.value;
  const words = wordsOf(search.value);
  // Nothing moves under a pointer or the focus: what fires now comes first once nobody is at the list.
  const isHeld = useRef(false);
  const first = useRef(firing);
  if (!isHeld.current) first.current = firing;
  const hold = (held: boolean) => () => { isHeld.current = held; };
  const all = ranked([...values.byMetric].map(([name, series]) => ({ name, series })), first.current);
  const found = all.flatMap(({ name, series }) => {
    const rows = words.length === 0 ? [...series.values()] : [...series.values()].filter(({ searchable }) => hasAll(searchable, words));
    return rows.length > 0 ? [{ name, rows }] : [];
  });
  const count = found.reduce((sum, { rows }) => sum + rows.length, 0);
  const isOpen = (name: string, index: number) => opened.value.get(name) ?? (index < OPEN_MAX && (found.length <= OPEN_MAX || first.current.has(name)));
  const state = values.state.value;
  return (
    <section class="panel values" aria-labelledby="values-title" onPointerEnter={hold(true)} onPointerLeave={hold(false)} onFocusIn={hold(true)} onFocusOut={hold(false)}>
      <header>
        <h2 id="values-title">{t('values')}</h2>
        <label>{t('find')} <input type="search" value={search.value} placeholder={t('findHint')} maxLength={1000} onInput={(event) => { search.value = event.currentTarget.value; }} /></label>
        <span class="figure" role="status">{words.length > 0 ? t('found', { found: count, n: values.count }) : t('all', { n: values.count })}</span>
      </header>
      {(metricsFault.value || values.fault.value) && state !== 'live' && <p class="error">{state === 'closed' || metricsFault.value ? t('noRight', { detail: metricsFault.value || values.fault.value }) : t('cutOff', { age: age(ticks.value - values.since) })}</p>}
      {state === 'live' && values.count === 0 && plan.left.series === 0 && <p class="empty">{t('none')}</p>}
      {words.length > 0 && values.count > 0 && found.length === 0 && <p class="empty">{t('noneFound')}</p>}
      {found.slice(0, METRICS_MAX).map(({ name, rows }, index) => (
        <Group
          key={name} name={name} rows={rows} isOpen={isOpen(name, index)} fires={firing.has(name)} alerts={alerts} show={show}
          toggle={(open) => { opened.value = new Map(opened.value).set(name, open); }}
        />
      ))}
      {found.length > METRICS_MAX && <p class="empty">{t('moreMetrics', { n: found.length - METRICS_MAX })}</p>}
      {plan.left.series > 0 && <p class="empty">{t('left', { n: plan.left.series, metrics: plan.left.metrics })}</p>}
      {metrics.value === null && <p class="empty" aria-busy="true">{t('asking')}</p>}
    </section>
  );
}

interface GroupProps {
  name: string;
  rows: readonly Value[];
  isOpen: boolean;
  fires: boolean;
  alerts: readonly Readonly<Record<string, string>>[];
  show(expression: string): void;
  toggle(open: boolean): void;
}

function Group({ name, rows, isOpen, fires, alerts, show, toggle }: GroupProps) {
  const unit = unitFor(name);
  const numbers = rows.map(({ value }) => numberOf(value)).filter((value) => !Number.isNaN(value));
  const [least, most] = [numbers.reduce((a, b) => Math.min(a, b), Infinity), numbers.reduce((a, b) => Math.max(a, b), -Infinity)];
  const text = rows.length === 1 ? quantity(rows[0]!.value, unit) : numbers.length > 0 ? t('to', { least: quantity(least, unit), most: quantity(most, unit) }) : 'NaN';
  const showsAll = useSignal(false);
  const burning = (value: Value) => fires && alerts.some((alert) => isOf(value.labels, alert));
  const sorted = !isOpen ? [] : [...rows].sort((a, b) => Number(burning(b)) - Number(burning(a)) || (a.key < b.key ? -1 : 1));
  return (
    <details open={isOpen} onToggle={(event) => event.currentTarget.open !== isOpen && toggle(event.currentTarget.open)}>
      <summary>
        <b class="name"><bdi>{visible(name)}</bdi></b>
        {fires && <span class="mark">{t('fires')}</span>}
        <span class="figure">{t('seriesCount', { n: rows.length })}</span>
        <span class="value">{text}</span>
      </summary>
      <div class="all-series">
        <ul>
          {sorted.slice(0, showsAll.value ? ROWS_MAX : ROWS_FIRST).map((row) => <Row key={row.key} name={name} row={row} text={quantity(row.value, unit)} fires={burning(row)} show={show} />)}
        </ul>
        <p>
          <button type="button" onClick={() => show(selector(name, {}))} aria-label={t('chartOf', { what: name })}>{t('chart')}</button>
          {isOpen && !showsAll.value && rows.length > ROWS_FIRST && <button type="button" onClick={() => { showsAll.value = true; }}>{t('showAll', { n: rows.length })}</button>}
        </p>
        {isOpen && showsAll.value && rows.length > ROWS_MAX && <p class="empty">{t('moreSeries', { n: rows.length - ROWS_MAX })}</p>}
      </div>
    </details>
  );
}

function Row({ name, row, text, fires, show }: { name: string; row: Value; text: string; fires: boolean; show(expression: string): void }) {
  const labels = Object.entries(row.labels).map(([label, value]) => `${visible(label)}=${visible(value)}`).join(' · ') || visible(name);
  const silent = ticks.value - row.cameAt;
  return (
    <li>
      <button class="quiet" type="button" onClick={() => show(selector(name, row.labels))} aria-label={t('chartOf', { what: labels })}><bdi>{labels}</bdi></button>
      {fires && <span class="mark">{t('fires')}</span>}
      {silent > OLD_MS && <span class="figure">{t('since', { age: age(silent) })}</span>}
      <span class="value">{text}</span>
    </li>
  );
}
