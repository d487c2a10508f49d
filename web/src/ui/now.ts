// The time, as the page shows it: it goes on once a second, and stands still for nobody in between.

import { signal } from '@preact/signals';

const TICK_MS = 1_000;

/** Milliseconds since the page was opened, once a second; no clock that is set back moves it. */
export const ticks = signal(0);

export function startTicking(): void {
  const tick = () => { ticks.value = performance.now(); };
  tick();
  setInterval(tick, TICK_MS);
  // Timers of a page in the background come late: who looks again sees what is.
  document.addEventListener('visibilitychange', tick);
}
