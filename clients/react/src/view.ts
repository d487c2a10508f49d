// How a component looks at what it shares with others.

import { useCallback, useSyncExternalStore } from 'react';
import { useStore } from './provider.js';
import { CONNECTING, type Health, IDLE } from './shared.js';
import type { Store } from './store.js';

/** What there is before anything has come. */
export interface Blank<Part> {
  /** While nothing is followed. */
  idle: Part & Health;
  /** Before the first answer; servers render it, and pages begin with it. */
  initial: Part & Health;
}

export function blank<Part>(part: Part): Blank<Part> {
  return { idle: Object.freeze({ ...part, ...IDLE }), initial: Object.freeze({ ...part, ...CONNECTING }) };
}

/** What all hooks take. */
export interface HookOptions {
  /** Whether what has closed it is thrown, for an error boundary, and not only told as `error`. */
  throws?: boolean;
}

/** What a component follows. */
export interface Following<Part> {
  /** All that tells it from what others follow; nothing is followed without one. */
  key: string | null;
  /** Opens it, or finds it open, and gives what lets go of it. */
  hold(store: Store, key: string, look: () => void): () => void;
  blank: Blank<Part>;
  /** Whether the component is rendered anew when there is another view. */
  isShown: boolean;
  /** What `hold` depends on beside the key. */
  others: readonly unknown[];
}

export function useView<Part>({ key, hold, blank, isShown, others }: Following<Part>, { throws }: HookOptions): Part & Health {
  const store = useStore();
  const follow = useCallback(
    (look: () => void) => (key === null ? () => {} : hold(store, key, look)),
    [store, key, isShown, ...others],
  );
  const before = key === null ? blank.idle : blank.initial;
  const found = () => (store.find(key ?? '')?.view as (Part & Health) | undefined) ?? before;
  const view = useSyncExternalStore(follow, isShown ? found : () => before, () => before);
  if (throws && view.status === 'closed' && view.error) throw view.error;
  return view;
}
