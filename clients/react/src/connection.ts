// How it is with all that the hooks follow.

import { useCallback, useSyncExternalStore } from 'react';
import { useStore } from './provider.js';
import { type Health, IDLE } from './shared.js';

/**
 * The health of all that is followed below the provider, as that of one: it waits where anything
 * waits, connects where anything connects, and is live where all that is open is.
 */
export function useConnection(): Health {
  const store = useStore();
  const watch = useCallback((look: () => void) => store.watch(look), [store]);
  return useSyncExternalStore(watch, () => store.health, () => IDLE);
}
