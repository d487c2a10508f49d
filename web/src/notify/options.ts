// How a notification is shown, by pages and by the worker.

import type { Told, Worded } from './words.js';

/** There is one at a time: a newer one says what the older one did. */
export const TAG = 'bellwire-alerts';

/** What is known of a notification that is shown. */
export interface Shown {
  address: string;
  /** Which turns of which alerts it tells of. */
  turns: string[];
}

type Options = NotificationOptions & { renotify?: boolean; timestamp?: number };

export const turnsOf = ({ news }: Told): string[] => news.map(({ fingerprint, state, since }) => `${fingerprint} ${state} ${since}`);

export function optionsOf({ body, isPressing, address }: Worded, told: Told, { isQuiet }: { isQuiet: boolean }): Options {
  const isSilent = isQuiet || !isPressing;
  return {
    body,
    tag: TAG,
    icon: 'icon.svg',
    // What resolves changes what is shown, and rings for nobody.
    silent: isSilent,
    renotify: !isSilent,
    timestamp: told.time,
    data: { address, turns: turnsOf(told) } satisfies Shown,
  };
}
