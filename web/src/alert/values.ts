// What an alert's rule compares, over the last minutes: followed live as a query where the server says
// which, else what the history has of the series.

import type { TopicEvent } from '@bellwire/client';
import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { follower } from '../stores/stream.js';
import type { Point } from '../ui/Sparkline.js';
import type { Measured } from './told.js';

const HISTORY = '15m';
/** Points that are kept of one series. */
export const POINTS_MAX = 2_000;
/** Series of a query that are kept: it is of one nearly always. */
const SERIES_MAX = 32;

interface Element { name?: string; labels?: Record<string, string>; value?: number | string; timestamp?: number; timestamps?: number[]; values?: (number | string)[] }

export const numberOf = (value: number | string | undefined): number =>
  typeof value === 'number' ? value : value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : NaN;

/** Whether a series is that of an alert: what it has in common with it says the same. */
const isOf = (labels: Record<string, string>, alert: Readonly<Record<string, string>>) =>
  Object.entries(labels).every(([name, value]) => !Object.hasOwn(alert, name) || alert[name] === value);

/** The values of a query's elements that may be an alert's; empty while there are none. */
export function useValues(query: string | undefined, alert: Readonly<Record<string, string>>): Signal<readonly Point[]> {
  const shown = useSignal<readonly Point[]>([]);
  const labels = JSON.stringify(alert);
  useEffect(() => {
    shown.value = [];
    if (query === undefined) return;
    const series = new Map<string, Point[]>();
    let isDrawing = false;
    const draw = () => {
      if (isDrawing) return;
      isDrawing = true;
      requestAnimationFrame(() => {
        isDrawing = false;
        // The one that has something to tell.
        let longest: Point[] = [];
        for (const points of series.values()) if (points.length > longest.length) longest = points;
        shown.value = [...longest];
      });
    };
    const own = JSON.parse(labels) as Record<string, string>;
    const take = ({ key, type, data }: TopicEvent) => {
      const element = data as Element | undefined;
      if (key === undefined || key === 'query' || !element?.labels || !isOf(element.labels, own)) return;
      if (!series.has(key) && series.size >= SERIES_MAX) return;
      const points = series.get(key) ?? [];
      if (type === 'history') {
        const { timestamps = [], values = [] } = element;
        series.set(key, timestamps.map((time, index): Point => [time, numberOf(values[index])]).slice(-POINTS_MAX));
      } else if (element.timestamp !== undefined) {
        points.push([element.timestamp, numberOf(element.value)]);
        if (points.length > POINTS_MAX) points.shift();
        series.set(key, points);
      }
      draw();
    };
    const opened = follower.subscribe([], { queries: [query], history: HISTORY });
    opened.addEventListener('event', ({ detail }) => take(detail));
    return () => opened.close();
  }, [query, labels]);
  return shown;
}

/** The points of what was measured, of all pages together, in the order of time. */
export function measured(series: readonly Measured[] | undefined): Point[] {
  const [first] = series ?? [];
  if (!first) return [];
  const key = keyOf(first);
  const points = new Map<number, number>();
  for (const one of series!) {
    if (keyOf(one) === key) one.timestamps.forEach((time, index) => points.set(time, numberOf(one.values[index])));
  }
  return [...points].sort((a, b) => a[0] - b[0]).slice(-POINTS_MAX);
}

export const keyOf = ({ name, labels }: Measured) => JSON.stringify([name, Object.entries(labels).sort()]);
