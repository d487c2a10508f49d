// A line through the newest values, and across it the numbers that it is compared with. What is not a
// number leaves a hole; an infinite value stands at the edge.

import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';

export type Point = readonly [time: number, value: number];

export interface Bound {
  value: number;
  operator: string;
}

/** Something that happened at a time. */
export interface Mark {
  time: number;
  text: string;
  kind: string;
}

interface Props {
  points: readonly Point[];
  bounds: readonly Bound[];
  marks?: readonly Mark[];
  /** Until when time goes. */
  now: number;
  quantity: (value: number) => string;
  time: (time: number) => string;
  /** What it shows, in words. */
  label: string;
}

const HEIGHT = 132;
const TOP = 8;
const BOTTOM = 22;
/** Room for the numbers at the side. */
const SIDE = 84;
/** So many points are drawn at most: of more, the least and the greatest of each pixel. */
const WIDTH_FIRST = 480;

export function Sparkline({ points, bounds, marks = [], now, quantity, time, label }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(WIDTH_FIRST);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => { width.value = Math.max(160, Math.round(entry!.contentRect.width)); });
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const plot = { left: 4, right: width.value - SIDE, top: TOP, bottom: HEIGHT - BOTTOM };
  const finite = points.filter(([, value]) => Number.isFinite(value));
  const values = [...finite.map(([, value]) => value), ...bounds.map(({ value }) => value).filter(Number.isFinite)];
  if (points.length === 0) return <div ref={box} class="sparkline" />;
  const [start, end] = [points[0]![0], Math.max(now, points.at(-1)![0])];
  const [low, high] = rangeOf(values);
  const x = (at: number) => plot.left + ((at - start) / Math.max(1, end - start)) * (plot.right - plot.left);
  const y = (value: number) => {
    const clipped = value === Infinity ? high : value === -Infinity ? low : value;
    return plot.bottom - ((clipped - low) / (high - low)) * (plot.bottom - plot.top);
  };
  const last = points.at(-1)!;
  return (
    <div ref={box} class="sparkline">
      <svg viewBox={`0 0 ${width.value} ${HEIGHT}`} width={width.value} height={HEIGHT} role="img" aria-label={label}>
        {bounds.map((bound) => <Area key={`${bound.operator}${bound.value}`} bound={bound} plot={plot} y={y} />)}
        {marks.filter(({ time: at }) => at >= start && at <= end).map(({ time: at, text, kind }) => (
          <line key={`${kind}${at}`} class="mark" data-kind={kind} x1={x(at)} x2={x(at)} y1={plot.top} y2={plot.bottom}><title>{text}</title></line>
        ))}
        {bounds.map(({ value, operator }) => Number.isFinite(value) && (
          <g key={`${operator}${value}`} class="bound">
            <line x1={plot.left} x2={plot.right} y1={y(value)} y2={y(value)} />
            <text x={plot.right + 6} y={apart(y(value), Number.isFinite(last[1]) ? y(last[1]) : null)}>{operator} {quantity(value)}</text>
          </g>
        ))}
        {pieces(points).map((piece, index) => piece.length === 1
          ? <circle key={index} class="line" cx={x(piece[0]![0])} cy={y(piece[0]![1])} r={1.5} />
          : <polyline key={index} class="line" points={thinned(piece, x, y).map(([at, value]) => `${at.toFixed(1)},${value.toFixed(1)}`).join(' ')} />)}
        {!Number.isNaN(last[1]) && (
          <g class="last">
            <circle cx={x(last[0])} cy={y(last[1])} r={3} />
            <text x={plot.right + 6} y={y(last[1]) + 4}>{quantity(last[1])}</text>
          </g>
        )}
        <text class="time" x={plot.left} y={HEIGHT - 6}>{time(start)}</text>
        <text class="time end" x={plot.right} y={HEIGHT - 6}>{time(end)}</text>
      </svg>
    </div>
  );
}

interface Plot { left: number; right: number; top: number; bottom: number }

/** Where the condition holds. */
function Area({ bound: { value, operator }, plot, y }: { bound: Bound; plot: Plot; y: (value: number) => number }) {
  const at = Math.min(plot.bottom, Math.max(plot.top, y(value)));
  const [from, to] = operator.startsWith('>') ? [plot.top, at] : operator.startsWith('<') ? [at, plot.bottom] : [0, 0];
  return to > from ? <rect class="breach" x={plot.left} y={from} width={plot.right - plot.left} height={to - from} /> : null;
}

/** The text of a bound stands above or below that of the newest value. */
function apart(bound: number, value: number | null): number {
  if (value === null || Math.abs(bound - value) >= 14) return bound + 4;
  return bound <= value ? value - 10 : value + 18;
}

/** From the least to the greatest, with some room around. */
function rangeOf(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low > high) return [0, 1];
  const room = (high - low) * 0.12 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/** Cut where there is no number. */
function pieces(points: readonly Point[]): Point[][] {
  const found: Point[][] = [[]];
  for (const point of points) {
    if (Number.isNaN(point[1])) found.push([]);
    else found.at(-1)!.push(point);
  }
  return found.filter(({ length }) => length > 0);
}

/** Of each pixel the first, the least, the greatest and the last. */
function thinned(points: readonly Point[], x: (time: number) => number, y: (value: number) => number): [number, number][] {
  const places = points.map(([time, value]): [number, number] => [x(time), y(value)]);
  if (places.length < 2 * WIDTH_FIRST) return places;
  const kept: [number, number][] = [];
  for (let first = 0; first < places.length;) {
    let [end, least, greatest] = [first, first, first];
    while (end < places.length && Math.floor(places[end]![0]) === Math.floor(places[first]![0])) {
      if (places[end]![1] < places[least]![1]) least = end;
      if (places[end]![1] > places[greatest]![1]) greatest = end;
      end += 1;
    }
    const wanted = new Set([first, ...[least, greatest].sort((a, b) => a - b), end - 1]);
    for (const place of wanted) kept.push(places[place]!);
    first = end;
  }
  return kept;
}
