// The audit, as it comes: pages of what there is, then what happens.

import type { TopicEvent } from '@bellwire/client';
import { type ReadonlySignal, signal } from '@preact/signals';
import { follower } from '../stores/stream.js';
import { ask, type Deed, type Page } from './api.js';

export const KINDS = [
  'login', 'logout', 'renewed', 'refused', 'forbidden', 'ticket_made', 'ticket_displaced', 'key_made', 'key_revoked', 'revoked',
  'revocation_deleted', 'silenced', 'silence_ended', 'acknowledged', 'unacknowledged', 'query_recorded', 'query_deleted', 'reloaded',
  'reload_failed', 'recorded',
] as const;

const TOPIC = '$sys/audit';
/** So many are asked for at a time, and so often before somebody is asked whether to go on. */
const PAGE_MAX = 1_000;
const PAGES_MAX = 10;
/** So many are kept, the newest. */
const KEPT_MAX = 5_000;

export interface Entry {
  id: string;
  time: number;
  type: string;
  deed: Deed;
  /** What is searched, in small letters. */
  text: string;
}

interface State {
  isReading: boolean;
  fault: string;
  /** Reads on; there where there is more than was read. */
  goOn: (() => void) | null;
  hasForgotten: boolean;
}

export interface Log {
  /** The newest first. */
  entries: ReadonlySignal<readonly Entry[]>;
  state: ReadonlySignal<State>;
  close: () => void;
}

function entryOf({ cursor, time, type = '', data }: TopicEvent<Deed>): Entry {
  const deed = data ?? {};
  return { id: cursor ?? `${time}`, time, type, deed, text: JSON.stringify(Object.values(deed)).toLowerCase() };
}

/** Reads all that there is, and follows what comes. */
export function followAudit(): Log {
  const entries = signal<readonly Entry[]>([]);
  const state = signal<State>({ isReading: true, fault: '', goOn: null, hasForgotten: false });
  const change = (changed: Partial<State>) => { state.value = { ...state.value, ...changed }; };
  let subscription: ReturnType<typeof follower.subscribe<Deed>> | null = null;
  let isOver = false;

  const add = (events: readonly TopicEvent<Deed>[]) => {
    const all = [...events.map(entryOf).reverse(), ...entries.value];
    if (all.length > KEPT_MAX) change({ hasForgotten: true });
    entries.value = all.slice(0, KEPT_MAX);
  };
  const follow = (after: string) => {
    subscription = follower.subscribe<Deed>(TOPIC, { after });
    subscription.addEventListener('event', ({ detail }) => add([detail]));
    subscription.addEventListener('status', ({ detail: { status, error } }) => {
      if (!isOver) change({ fault: status === 'closed' ? error?.message ?? '' : '' });
    });
  };
  const read = async (from: string) => {
    change({ isReading: true, goOn: null });
    let after = from;
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const answer = await ask<Page<Deed>>('GET', `v1/topics/${TOPIC}?${new URLSearchParams({ after, limit: `${PAGE_MAX}` })}`);
      if (isOver) return;
      if ('fault' in answer) return change({ isReading: false, fault: answer.fault });
      const { events, cursor } = answer.value;
      add(events);
      if (events.length === 0 || cursor === after) {
        change({ isReading: false });
        return follow(cursor);
      }
      after = cursor;
    }
    change({ isReading: false, goOn: () => void read(after) });
  };
  void read('earliest');
  return { entries, state, close: () => { isOver = true; subscription?.close(); } };
}
