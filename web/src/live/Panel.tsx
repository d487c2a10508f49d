// One expression: its chart, its legend, and what is wrong with it.

import { type ReadonlySignal, useComputed, useSignal } from '@preact/signals';
import { quantity } from '../format/quantity.js';
import { visible } from '../format/visible.js';
import { Chart } from './Chart.js';
import { rules, unitFor } from './known.js';
import { Legend } from './Legend.js';
import { COUNTED_MAX, countOf, holds, type Plot } from './plots.js';
import { thresholdsOf } from './thresholds.js';
import { t } from './texts.js';

/** So much of an expression is shown on either side of what is wrong in it. */
const AROUND = 80;

interface Props {
  plot: Plot;
  spanMs: ReadonlySignal<number>;
  pausedAt: ReadonlySignal<number | null>;
  remove(): void;
  edit(): void;
}

export function Panel({ plot, spanMs, pausedAt, remove, edit }: Props) {
  const { expression } = plot;
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const here = useSignal<number | null>(null);
  const thresholds = useComputed(() => thresholdsOf(expression, rules.value)).value;
  const unit = useComputed(() => unitFor(expression)).value;
  const what = visible(expression);
  const { value: refusal } = plot.refusal;
  return (
    <section class="panel plot" aria-label={what} data-state={plot.state}>
      <header>
        <h2><bdi>{what}</bdi></h2>
        <button class="quiet" type="button" aria-label={t('edit', { what })} onClick={edit}>✎</button>
        <button class="quiet" type="button" aria-label={t('remove', { what })} onClick={remove}>×</button>
        <Count plot={plot} />
      </header>
      {refusal && <Refused plot={plot} />}
      {!refusal && <Chart plot={plot} spanMs={spanMs} pausedAt={pausedAt} thresholds={thresholds} unit={unit} hidden={hidden} here={here} />}
      {!refusal && thresholds.length > 0 && (
        <p class="limits"><span>{t('limits')}</span> {thresholds.map(({ rule, operator, value }) => <span key={rule}><bdi>{t('limit', { rule: visible(rule), operator, value: quantity(value, unit) })}</bdi></span>)}</p>
      )}
      {!refusal && <Legend plot={plot} spanMs={spanMs} pausedAt={pausedAt} unit={unit} hidden={hidden} here={here} />}
      <Note plot={plot} />
    </section>
  );
}

/** How it stands with the answer, in a word, and how much of it is drawn. */
function Count({ plot }: { plot: Plot }) {
  void plot.version.value;
  const { count } = countOf(plot);
  const drawn = plot.drawn.filter((key) => key !== null).length;
  const all = count >= COUNTED_MAX ? t('many', { n: count }) : t(holds(plot) ? 'elements' : 'seriesCount', { n: count });
  const state = plot.state.value;
  return (
    <p class="figure" role="status">
      {state === 'live' ? '' : t(state)}{state !== 'live' && state !== 'refused' && count > 0 ? ' · ' : ''}
      {state !== 'refused' && (count > drawn ? t('drawn', { drawn, n: all }) : state === 'live' && count === 0 ? t('nothing') : count > 0 ? all : '')}
    </p>
  );
}

/** What is wrong with the expression, and where. */
function Refused({ plot }: { plot: Plot }) {
  const { detail, at, passes } = plot.refusal.value!;
  const text = detail === '' ? (passes ? t('noAnswer') : t('ended', { detail: '' })) : at === null ? detail : t('wrongAt', { n: at + 1, detail });
  const { expression } = plot;
  return (
    <div class="refused">
      <p class="error" role="alert">{text}</p>
      {at !== null && <p><code>{at > AROUND ? '…' : ''}{visible(expression.slice(Math.max(0, at - AROUND), at))}<mark>{visible(expression.slice(at, at + 1)) || '\u00a0'}</mark>{visible(expression.slice(at + 1, at + AROUND))}{at + AROUND < expression.length ? '…' : ''}</code></p>}
    </div>
  );
}

function Note({ plot }: { plot: Plot }) {
  const note = plot.note.value;
  if (!note) return null;
  return <p class="note">{note.error !== undefined ? t('noAnswerNow', { error: note.error }) : t('everyMs', { n: note.everyMs ?? 0 })}</p>;
}
