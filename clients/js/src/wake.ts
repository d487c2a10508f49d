// What browsers say of a page that sleeps, comes back or loses its network. Elsewhere nobody says so.

import type { Cancel } from './clock.js';

/** `online`: the network is another or new. `shown`: the page is looked at, and may have slept. */
export type Wake = 'online' | 'shown';

export function watchWakes(heard: (wake: Wake) => void): Cancel {
  const control = new AbortController();
  const page: Partial<typeof globalThis> = globalThis;
  const { document } = page;
  const shown = () => {
    if (!document || document.visibilityState === 'visible') heard('shown');
  };
  page.addEventListener?.('online', () => heard('online'), control);
  page.addEventListener?.('pageshow', shown, control);
  document?.addEventListener('visibilitychange', shown, control);
  return () => control.abort();
}
