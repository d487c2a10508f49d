// The picture of a panel. What it says stands in the legend, too: who sees no canvas misses nothing.

import { effect, type ReadonlySignal, type Signal, untracked } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type UPlot from 'uplot';
import { quantity, type Unit } from '../format/quantity.js';
import { serverNow } from '../stores/clock.js';
import { language, locale } from '../text/text.js';
import { ticks } from '../ui/now.js';
import { DRAWN_MAX } from './choice.js';
import { columns, stretchOf, type Stretch } from './line.js';
import { holds, type Plot } from './plots.js';
import type { Threshold } from './thresholds.js';

/** As many colours as there are; further lines are dashed. */
export const COLOURS = 8;
const DASHES: number[][] = [[], [6, 4]];
const HEIGHT = { narrow: 180, wide: 240 };
/** Thresholds far from all values are named, and not drawn: they would make a flat line of everything. */
const FAR = 10;

/** Steps of an axis of bytes, which are told in powers of 1,024. */
const POWERS = Array.from({ length: 60 }, (_, power) => 2 ** (power - 4));

/** Where the pointer is, in time; nothing where it is elsewhere. */
export type Here = Signal<number | null>;

interface Props {
  plot: Plot;
  spanMs: ReadonlySignal<number>;
  /** Until when is shown; nothing while it goes on. */
  pausedAt: ReadonlySignal<number | null>;
  thresholds: readonly Threshold[];
  unit: Unit | null;
  hidden: ReadonlySignal<ReadonlySet<string>>;
  here: Here;
}

const EMPTY: Stretch = { times: [], values: [] };

/** What is drawn, place by place. */
export function stretches(plot: Plot, from: number, until: number, hidden: ReadonlySet<string>): Stretch[] {
  const holdUntil = holds(plot) && plot.state.peek() !== 'waiting' ? until : null;
  return Array.from({ length: DRAWN_MAX }, (_, place) => {
    const key = plot.drawn[place];
    const line = key === null || key === undefined || hidden.has(key) ? undefined : plot.lines.get(key);
    if (!line) return EMPTY;
    // A query that is not heard of holds nothing.
    return holds(plot) && holdUntil === null ? stretchOf(line, from, line.times.at(-1) ?? 0) : stretchOf(line, from, holdUntil);
  });
}

/** The values that an axis has room for: all that are drawn, and thresholds that are not far away. */
export function rangeOf(least: number | null, most: number | null, thresholds: readonly Threshold[]): [number, number] {
  const values = [least, most].filter((value) => value !== null && Number.isFinite(value)) as number[];
  let [low, high] = values.length > 0 ? [Math.min(...values), Math.max(...values)] : [Infinity, -Infinity];
  const size = Math.max(high - low, Math.abs(low), Math.abs(high)) || 1;
  for (const { value } of thresholds) {
    if (values.length > 0 && (value > high + size * FAR || value < low - size * FAR)) continue;
    [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  if (low > high) return [0, 1];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  // What is never below zero begins there, unless that wastes the picture.
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

/** Points without a neighbour, which no line shows. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  let [before, last]: [number | null, number] = [null, -1];
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (value === undefined) continue;
    if (value === null) {
      if (last >= 0 && before === null) found.push(last);
      [before, last] = [null, -1];
    } else {
      before = last >= 0 ? last : null;
      last = index;
    }
  }
  if (last >= 0 && before === null) found.push(last);
  return found;
}

function timeAxis(): (chart: UPlot, splits: number[]) => string[] {
  const format = new Intl.DateTimeFormat(language.peek(), { hour: '2-digit', minute: '2-digit' });
  const fine = new Intl.DateTimeFormat(language.peek(), { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return (_, splits) => splits.map((time) => (splits.length > 1 && splits[1]! - splits[0]! < 60_000 ? fine : format).format(time));
}

export function Chart({ plot, spanMs, pausedAt, thresholds, unit, hidden, here }: Props) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current!;
    let chart: UPlot | null = null;
    let isOver = false;
    const ends: (() => void)[] = [];
    // Only who looks at charts loads what draws them.
    void import('uplot').then(({ default: Plotter }) => {
      if (isOver) return;
      const make = () => {
        chart?.destroy();
        chart = new Plotter(options(Plotter, element, { plot, thresholds, unit, here }), [[], ...Array.from({ length: DRAWN_MAX }, () => [])] as UPlot.AlignedData, element);
        show();
      };
      const show = () => {
        const until = pausedAt.peek() ?? serverNow();
        const from = until - spanMs.peek();
        chart!.batch(() => {
          chart!.setData(columns(stretches(plot, from, until, hidden.peek())) as UPlot.AlignedData, false);
          chart!.setScale('x', { min: from, max: until });
        });
      };
      make();
      ends.push(effect(() => {
        void [spanMs.value, pausedAt.value, hidden.value];
        if (pausedAt.value === null) void [plot.version.value, ticks.value];
        if (!document.hidden && chart) show();
      }));
      let width = element.clientWidth;
      const resized = new ResizeObserver(() => {
        if (element.clientWidth === width || element.clientWidth === 0) return;
        width = element.clientWidth;
        chart!.setSize({ width, height: heightOf(element) });
      });
      resized.observe(element);
      ends.push(() => resized.disconnect());
      const contrast = matchMedia('(prefers-contrast: more)');
      contrast.addEventListener('change', make);
      ends.push(() => contrast.removeEventListener('change', make));
      // Light or dark is the page's to choose.
      const themed = new MutationObserver(make);
      themed.observe(document.documentElement, { attributeFilter: ['data-theme'] });
      ends.push(() => themed.disconnect());
    }).catch(() => { element.dataset.failed = ''; });
    return () => {
      isOver = true;
      for (const end of ends) end();
      chart?.destroy();
    };
  }, [plot, thresholds, unit, language.value]);
  return <div class="chart" ref={place} aria-hidden="true" />;
}

const heightOf = (element: HTMLElement) => (element.clientWidth < 480 ? HEIGHT.narrow : HEIGHT.wide);

type Drawn = Pick<Props, 'plot' | 'thresholds' | 'unit' | 'here'>;

function options(Plotter: typeof UPlot, element: HTMLElement, { plot, thresholds, unit, here }: Drawn): UPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const [ink, grid, limit] = [colour('--ink-2'), colour('--line-soft'), colour('--critical')];
  const font = `12px ${style.fontFamily}`;
  const paths = holds(plot) ? Plotter.paths.stepped!({ align: 1 }) : Plotter.paths.linear!();
  const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(120, element.clientWidth),
    height: heightOf(element),
    ms: 1,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true }, y: { range: (_, least, most) => rangeOf(least, most, thresholds) } },
    axes: [
      { ...axis, values: timeAxis(), size: 30 },
      { ...axis, ...(unit?.startsWith('bytes') && { incrs: POWERS }), values: (_, splits) => splits.map((value) => axisValue(value, unit)), size: (_, values) => 16 + 7 * Math.max(4, ...(values ?? []).map((text) => text.length)) },
    ],
    series: [
      {},
      ...Array.from({ length: DRAWN_MAX }, (_, place): UPlot.Series => ({
        stroke: colour(`--line-${place % COLOURS}`), width: 1.5, dash: DASHES[Math.floor(place / COLOURS) % DASHES.length]!, paths, points: { show: true, size: 5, filter: (chart, series) => lonely(chart.data[series]!) }, spanGaps: false,
      })),
    ],
    hooks: {
      draw: [(chart) => drawThresholds(chart, thresholds, { limit, font })],
      setCursor: [(chart) => { here.value = chart.cursor.left != null && chart.cursor.left >= 0 ? chart.posToVal(chart.cursor.left, 'x') : null; }],
    },
  };
}

/** Dates are too long for an axis: their time is enough. */
function axisValue(value: number, unit: Unit | null): string {
  if (unit !== 'date') return quantity(value, unit);
  return new Date(value < 1e11 ? value * 1_000 : value).toLocaleString(untracked(locale), { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
}

function drawThresholds(chart: UPlot, thresholds: readonly Threshold[], { limit, font }: { limit: string; font: string }): void {
  const { ctx, bbox: { left, top, width, height } } = chart;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = limit;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.font = font.replace(/^\d+px/, `${11 * devicePixelRatio}px`);
  ctx.textBaseline = 'bottom';
  ctx.textAlign = 'left';
  for (const { value, rule } of thresholds) {
    const y = chart.valToPos(value, 'y', true);
    if (!(y >= top && y <= top + height)) continue;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.fillText(rule, left + 4 * devicePixelRatio, y - 2 * devicePixelRatio, width);
  }
  ctx.restore();
}
