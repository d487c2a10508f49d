// The lines of a panel as a table: what each is, and its newest, least and greatest value.

import type { ReadonlySignal, Signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { quantity, type Unit } from '../format/quantity.js';
import { visible } from '../format/visible.js';
import { serverNow } from '../stores/clock.js';
import { locale } from '../text/text.js';
import { ticks } from '../ui/now.js';
import { COLOURS, type Here } from './Chart.js';
import { differing } from './choice.js';
import { figuresOf, type Line } from './line.js';
import type { Plot } from './plots.js';
import { t } from './texts.js';

interface Props {
  plot: Plot;
  spanMs: ReadonlySignal<number>;
  pausedAt: ReadonlySignal<number | null>;
  unit: Unit | null;
  hidden: Signal<ReadonlySet<string>>;
  here: Here;
}

const clock = (time: number) => new Date(time).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** The value that a line has at a time: the newest until then. */
function valueAt({ times, values }: Line, time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  return low > 0 ? values[low - 1]! : NaN;
}

/** What a line is called beside the others. */
export function titleOf(line: Line, names: readonly string[]): string {
  const own = names.filter((name) => Object.hasOwn(line.labels, name)).map((name) => `${visible(name)}=${visible(line.labels[name])}`);
  return own.join(' · ') || (Object.keys(line.labels).length > 0 ? visible(line.name) || t('own') : visible(line.name) || t('theAnswer'));
}

export function Legend({ plot, spanMs, pausedAt, unit, hidden, here }: Props) {
  // While it is paused nothing but the pointer changes what it says.
  if (pausedAt.value === null) void [plot.version.value, ticks.value];
  const until = pausedAt.value ?? serverNow();
  const from = until - spanMs.value;
  const lines = plot.drawn.flatMap((key, place) => {
    const line = key === null ? undefined : plot.lines.get(key);
    return line && line.times.at(-1)! >= from - spanMs.value ? [{ line, place }] : [];
  });
  const names = differing(lines.map(({ line }) => line));
  const time = here.value;
  if (lines.length === 0) return null;
  const say = (value: number | null) => (value === null || Number.isNaN(value) ? '–' : quantity(value, unit));
  return (
    <div class="legend">
      {/* On a phone a row is no row of a table to the eye: it stays one to who hears it. */}
      <table role="table" aria-label={t('legend', { what: visible(plot.expression) })}>
        <thead role="rowgroup"><tr role="row">
          <th role="columnheader">{t('series')}</th>
          <th role="columnheader">{time === null ? t('newest') : t('at', { time: clock(time) })}</th>
          <th role="columnheader">{t('least')}</th>
          <th role="columnheader">{t('most')}</th>
        </tr></thead>
        <tbody role="rowgroup">
          {lines.map(({ line, place }) => {
            const { newest, least, most } = figuresOf(line, from);
            const title = titleOf(line, names);
            const isHidden = hidden.value.has(line.key);
            return (
              <tr key={line.key} role="row" data-gone={line.isGone || undefined}>
                <th role="rowheader">
                  <button class="quiet" type="button" aria-pressed={!isHidden} aria-label={t('showLine', { what: title })} onClick={() => toggle(hidden, line.key)}><Swatch place={place} /></button>
                  <bdi>{title}</bdi>
                </th>
                <td role="cell">{time === null ? (line.isGone ? t('gone') : Number.isNaN(newest) && line.values.length > 0 ? 'NaN' : say(newest)) : say(valueAt(line, time))}</td>
                <td role="cell">{say(least)}</td>
                <td role="cell">{say(most)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function toggle(hidden: Signal<ReadonlySet<string>>, key: string): void {
  const next = new Set(hidden.value);
  if (!next.delete(key)) next.add(key);
  hidden.value = next;
}

/** The colour of a line, and whether it is dashed. */
function Swatch({ place }: { place: number }) {
  const element = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => { element.current!.style.setProperty('--swatch', `var(--line-${place % COLOURS})`); }, [place]);
  return <span class="swatch" ref={element} data-dashed={place >= COLOURS || undefined} />;
}
