// Has what tells of news loaded behind the first look, which it would be in the way of. What happens until
// it has come is kept for it: whoever sees that the page is live is told of all that comes from then on.

import { effect } from '@preact/signals';
import { alertsChanged, type Change, onAlerts, waitingCount } from '../stores/alerts.js';
import { connection } from '../stores/stream.js';

/** How long the first look takes once all values have come, and how long it is waited for. */
const LOOK_MS = 200;
const LOOK_MAX_MS = 4_000;
/** Changes that are kept meanwhile: were there more, none would be worth a word. */
const CHANGES_MAX = 50_000;

export function notifyBehindLook(): void {
  const early: Change[] = [];
  let isAsked = false;
  const load = () => {
    if (isAsked) return;
    isAsked = true;
    // Whoever has chosen to be told is not, until it comes.
    import('./start.js').then(({ startNotifying }) => { startNotifying(early); stop(); }, () => {
      isAsked = false;
      setTimeout(load, LOOK_MAX_MS);
    });
  };
  let hasSettled = false;
  const stop = onAlerts((changes) => { if (hasSettled && early.length < CHANGES_MAX) early.push(...changes); });
  effect(() => {
    void alertsChanged.value;
    if (hasSettled || !connection.value.hasBegun || waitingCount() > 0) return;
    hasSettled = true;
    setTimeout(load, LOOK_MS);
  });
  setTimeout(load, LOOK_MAX_MS);
}
