// Who has the same alert open, of those who show themselves: the followers of `alerts/at/<fingerprint>`,
// where the server tells of them. It is a stream of its own, which all tabs share that show this alert.

import { useComputed, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { alertsChanged, entryOf } from '../stores/alerts.js';
import { TopicState } from '../stores/client.js';
import { COUNT, hides, ownName, person, type Person, presenting, type Told } from '../stores/presence.js';
import { connection, follower } from '../stores/stream.js';
import { offersPresence, subject } from '../stores/who.js';

export interface Others {
  /** Those who have a name, longest there first. */
  named: readonly Person[];
  /** How many there are, with those who have none. */
  all: number;
}

type Count = { followers: number; named: boolean };

const NONE: ReadonlyMap<string, Told> = new Map();

/** Over HTTP/1.1 a browser has six connections to a server for all its tabs. */
const areConnectionsFew = (): boolean => {
  const [page] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return !/^h[23]/.test(page?.nextHopProtocol ?? '');
};

/** Whether somebody may look at this tab who would be missed: in the background one gives up its connection
 * where others may need it. */
function useIsLooked(): boolean {
  const isHidden = useSignal(document.hidden);
  useEffect(() => {
    const look = () => { isHidden.value = document.hidden; };
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  return !isHidden.value || !areConnectionsFew();
}

export function useOthers(fingerprint: string): Others {
  const there = useSignal(NONE);
  // Who is at an alert is told while it is on the board.
  void alertsChanged.value;
  const topic = `alerts/at/${fingerprint}`;
  const isOnBoard = entryOf(fingerprint) !== undefined;
  const isAsked = useIsLooked() && isOnBoard && connection.value.status === 'live' && offersPresence(topic);
  useEffect(() => {
    if (!isAsked) return;
    const asked = presenting();
    const topics = asked.presentId === undefined ? [] : [topic];
    const opened = follower.subscribe<Told>([...topics, `presence/${topic}`], { state: 'changes', ...asked });
    const state = new TopicState(opened);
    state.addEventListener('change', () => { there.value = state.snapshot(); });
    return () => {
      state.close();
      there.value = NONE;
    };
  }, [topic, isAsked, hides.value, ownName.value, subject.value]);
  return useComputed(() => othersOf(there.value)).value;
}

function othersOf(there: ReadonlyMap<string, Told>): Others {
  const count = there.get(COUNT) as Count | undefined;
  const others = [...there].filter(([key]) => key !== COUNT).map(person).filter(({ isMe }) => !isMe);
  // Of very many there is no more than their number, and whoever shows themselves is one of them.
  const all = count?.named === false ? count.followers - (hides.value ? 0 : 1) : others.length;
  return { named: others.filter(({ name }) => name !== null).sort((a, b) => a.since - b.since), all };
}
