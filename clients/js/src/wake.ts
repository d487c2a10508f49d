// What browsers say of a page that sleeps, comes back or loses its network. Elsewhere nobody says so.

import type { Cancel } from './clock.js';

/** `online`: the network is another or new. `shown`: the page is looked at, and may have slept. */
export type Wake = 'online' | 'shown';

export function watchWakes(heard: (wake: Wake) => void): Cancel {
  if (typeof addEventListener !== 'function') return () => {};
  const online = () => heard('online');
  const shown = () => {
    if (typeof document === 'undefined' || document.visibilityState === 'visible') heard('shown');
  };
  const listened: [EventTarget, string, () => void][] = [
    [globalThis, 'online', online],
    [globalThis, 'pageshow', shown],
  ];
  if (typeof document !== 'undefined') listened.push([document, 'visibilitychange', shown]);
  for (const [target, type, listener] of listened) target.addEventListener(type, listener);
  return () => {
    for (const [target, type, listener] of listened) target.removeEventListener(type, listener);
  };
}
