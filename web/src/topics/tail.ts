// The newest events of what is followed: as many as a page has room for, shown a few times a second.

import type { TopicEvent } from '@bellwire/client';
import { type Signal, signal } from '@preact/signals';

/** Events that are kept. */
export const TAIL_MAX = 200;
/** Characters of an event's data that are kept. */
export const DATA_MAX = 4_096;
/** In place of a gap's reason: what came while nothing was taken. */
export const PAUSED = 'paused';
/** How often what has come is shown. */
export const SHOW_MS = 250;

export interface Line {
  /** Its number, from the first on. */
  number: number;
  topic: string;
  key: string | null;
  type: string | null;
  time: number;
  cursor: string | null;
  /** Its data as text, or a part of it. */
  data: string;
  /** Characters that are left out; of what came while paused, how many events. */
  left: number;
  isDeleted: boolean;
  /** A gap in place of an event. */
  gap: string | null;
}

export interface Tail {
  lines: Signal<readonly Line[]>;
  /** All that have come. */
  count: Signal<number>;
  isPaused: Signal<boolean>;
  /** Those that have come since it was paused. */
  missed: Signal<number>;
  push(event: TopicEvent): void;
  gap(reason: string): void;
  clear(): void;
  pause(paused: boolean): void;
}

/** An event's data as one writes it, no longer than the page has room for. */
export function written(event: Pick<TopicEvent, 'data' | 'encoding'>): { data: string; left: number } {
  const text = typeof event.data === 'string' ? event.data : JSON.stringify(event.data) ?? '';
  return { data: text.slice(0, DATA_MAX), left: Math.max(0, text.length - DATA_MAX) };
}

export function tail(later: (show: () => void) => void = (show) => void setTimeout(show, SHOW_MS)): Tail {
  const lines = signal<readonly Line[]>([]);
  const [count, missed, isPaused] = [signal(0), signal(0), signal(false)];
  let waiting: Line[] = [];
  let number = 0;
  /** Lines that are no events. */
  let lacks = 0;
  let isShowing = false;
  const show = () => {
    isShowing = false;
    if (waiting.length === 0) return;
    lines.value = [...lines.value, ...waiting].slice(-TAIL_MAX);
    waiting = [];
    count.value = number - lacks;
  };
  const add = (line: Omit<Line, 'number'>) => {
    number += 1;
    if (isPaused.value) {
      missed.value += 1;
      return;
    }
    waiting.push({ ...line, number });
    if (waiting.length > TAIL_MAX) waiting.shift();
    if (isShowing) return;
    isShowing = true;
    later(show);
  };
  const none = { key: null, type: null, cursor: null, data: '', left: 0, isDeleted: false, gap: null };
  return {
    lines, count, isPaused, missed,
    push: (event) => add({
      ...none, topic: event.topic, key: event.key ?? null, type: event.type ?? null, time: event.time,
      cursor: event.cursor ?? null, ...(event.deleted ? {} : written(event)), isDeleted: event.deleted === true,
    }),
    gap: (reason) => {
      lacks += 1;
      add({ ...none, topic: '', time: 0, gap: reason });
    },
    clear: () => {
      waiting = [];
      lines.value = [];
    },
    pause: (paused) => {
      show();
      isPaused.value = paused;
      if (paused || missed.value === 0) return;
      const left = missed.value;
      missed.value = 0;
      lacks += 1;
      add({ ...none, topic: '', time: 0, gap: PAUSED, left });
    },
  };
}
