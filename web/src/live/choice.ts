// Which of very many lines are drawn: those that alerts are about, then those with the greatest newest values.
// Who is drawn stays so while it is among them, in its colour.

import type { Line } from './line.js';

export const DRAWN_MAX = 16;

const size = ({ newest }: Line) => (Number.isNaN(newest) ? -Infinity : newest);

/** The keys that are drawn, by their places; a place that is free is `null`. */
export function choose(lines: ReadonlyMap<string, Line>, before: readonly (string | null)[], isFirst: (line: Line) => boolean = () => false): (string | null)[] {
  const order = [...lines.values()].map((line) => ({ key: line.key, first: Number(isFirst(line)), size: size(line) }));
  // Infinities less themselves are no number.
  order.sort((a, b) => b.first - a.first || (a.size === b.size ? 0 : b.size - a.size) || (a.key < b.key ? -1 : 1));
  const wanted = order.slice(0, DRAWN_MAX).map(({ key }) => key);
  const isWanted = new Set(wanted);
  const places = before.map((key) => (key !== null && isWanted.has(key) ? key : null));
  const placed = new Set(places);
  for (const key of wanted) {
    if (placed.has(key)) continue;
    const free = places.indexOf(null);
    if (free < 0) places.push(key);
    else places[free] = key;
  }
  return places;
}

/** The labels in which lines differ; where there is one line, all that it has. */
export function differing(lines: readonly Line[]): string[] {
  const names = new Set(lines.flatMap(({ labels }) => Object.keys(labels)));
  if (lines.length < 2) return [...names].sort();
  return [...names].filter((name) => lines.some(({ labels }) => labels[name] !== lines[0]!.labels[name])).sort();
}
