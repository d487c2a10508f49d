// A long list of which only what is near the screen is in the document. All rows of a kind are of one
// height, which the style sheet says; the page itself scrolls.

import { type ComponentChild } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { type Signal, useSignal } from '@preact/signals';

/** So much is there above and below what is seen, in pixels: a quick scroll finds rows. */
const BEYOND = 600;

interface Props<Row> {
  rows: readonly Row[];
  keyOf(row: Row): string;
  /** The name of its kind, for which the style sheet has `--height-KIND`. */
  kindOf(row: Row): string;
  kinds: readonly string[];
  attributes(row: Row): Record<string, string | undefined>;
  render(row: Row): ComponentChild;
  /** A row that stays in the document wherever one scrolls, since the focus is in it. */
  kept: Signal<string | null>;
  label: string;
  class: string;
}

/** Where the rows of a window are, for what goes to one of them. */
export interface Places {
  scrollTo(index: number): void;
}

/** The window that is on the page; there is one at most. */
export const places: { current: Places | null } = { current: null };

export function Window<Row>({ rows, keyOf, kindOf, kinds, attributes, render, kept, label, class: name }: Props<Row>) {
  const list = useRef<HTMLUListElement>(null);
  const heights = useSignal<readonly number[]>(kinds.map(() => 0));
  const range = useSignal<readonly [number, number]>([0, 0]);
  const tops = useMemo(() => {
    const made = new Float64Array(rows.length + 1);
    const of = new Map(kinds.map((kind, index) => [kind, heights.value[index]!]));
    rows.forEach((row, index) => { made[index + 1] = made[index]! + of.get(kindOf(row))!; });
    return made;
  }, [rows, heights.value]);

  /** Where the list begins, from the top of what is seen: asked for when that may have changed, since to
   * ask in the middle of a change has the browser lay out everything. */
  const top = useRef(0);
  const look = () => {
    // Before the heights are known all rows would be seen.
    if (tops[rows.length] === 0) return;
    const first = Math.max(0, indexAt(tops, -top.current - BEYOND));
    const last = Math.min(rows.length, indexAt(tops, innerHeight - top.current + BEYOND) + 1);
    const [from, to] = range.peek();
    if (from !== first || to !== last) range.value = [first, last];
  };
  const looking = useRef(look);
  looking.current = look;

  useLayoutEffect(() => {
    const element = list.current!;
    const place = () => { top.current = element.getBoundingClientRect().top; };
    const measure = () => {
      place();
      const measured = [...element.querySelectorAll('.measure')].map((one) => one.getBoundingClientRect().height);
      if (measured.some((height, index) => height !== heights.peek()[index])) heights.value = measured;
      else looking.current();
    };
    const observer = new ResizeObserver(measure);
    for (const one of element.querySelectorAll('.measure')) observer.observe(one);
    observer.observe(document.documentElement);
    measure();
    const scrolled = () => {
      place();
      looking.current();
    };
    addEventListener('scroll', scrolled, { passive: true });
    return () => {
      observer.disconnect();
      removeEventListener('scroll', scrolled);
    };
  }, []);
  useAnchor(top, rows, keyOf, tops);
  useLayoutEffect(look, [tops]);
  useEffect(() => {
    const here: Places = {
      scrollTo(index) {
        const begin = list.current!.getBoundingClientRect().top + tops[index]!;
        const height = tops[index + 1]! - tops[index]!;
        const [least, most] = [parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0, innerHeight - height - 60];
        if (begin < least) scrollBy(0, begin - least);
        else if (begin > most) scrollBy(0, begin - most);
        top.current = list.current!.getBoundingClientRect().top;
        looking.current();
      },
    };
    places.current = here;
    return () => { if (places.current === here) places.current = null; };
  });

  const [first, last] = range.value;
  const at = kept.value === null ? -1 : rows.findIndex((row) => keyOf(row) === kept.value);
  const indices: number[] = [];
  for (let index = first; index < Math.min(last, rows.length); index += 1) indices.push(index);
  if (at >= 0 && at < first) indices.unshift(at);
  else if (at >= last) indices.push(at);
  return (
    <ul ref={list} class={`window ${name}`} aria-label={label} style={{ height: `${tops[rows.length]}px` }}>
      {indices.map((index) => {
        const row = rows[index]!;
        const key = keyOf(row);
        return <Place key={key} row={row} top={tops[index]!} index={index} count={rows.length} of={{ key, kind: kindOf(row), attributes, render }} />;
      })}
      {kinds.map((kind) => <li key={`measure ${kind}`} class="measure" aria-hidden="true" role="presentation" style={{ height: `var(--height-${kind})` }} />)}
    </ul>
  );
}

interface PlaceProps<Row> {
  row: Row;
  top: number;
  index: number;
  count: number;
  of: { key: string; kind: string; attributes(row: Row): Record<string, string | undefined>; render(row: Row): ComponentChild };
}

function Place<Row>({ row, top, index, count, of: { key, kind, attributes, render } }: PlaceProps<Row>) {
  return (
    <li class={`row ${kind}`} data-key={key} aria-setsize={count} aria-posinset={index + 1} style={{ transform: `translateY(${top}px)` }} {...attributes(row)}>
      {render(row)}
    </li>
  );
}

/** The last index whose top is not below the place. */
function indexAt(tops: Float64Array, place: number): number {
  let [low, high] = [0, tops.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle]! <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whoever has scrolled into the list keeps what is before their eyes, whatever comes above it. */
function useAnchor<Row>(top: { current: number }, rows: readonly Row[], keyOf: (row: Row) => string, tops: Float64Array): void {
  const before = useRef({ rows, tops });
  useLayoutEffect(() => {
    const { rows: old, tops: oldTops } = before.current;
    before.current = { rows, tops };
    // At the top of the list what is new is what one wants to see.
    if (old === rows || top.current >= 0 || oldTops[old.length] === 0) return;
    const anchor = indexAt(oldTops, -top.current);
    const key = old[anchor] && keyOf(old[anchor]);
    const index = key === undefined ? -1 : rows[anchor] && keyOf(rows[anchor]) === key ? anchor : rows.findIndex((row) => keyOf(row) === key);
    const moved = index < 0 ? 0 : tops[index]! - oldTops[anchor]!;
    if (Math.abs(moved) >= 1) scrollBy(0, moved);
  }, [rows, tops]);
}
