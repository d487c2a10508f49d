// What is said to who does not see the page change: short, seldom, in counts, in one polite region.

import { signal } from '@preact/signals';

/** What is said once more must be another text, or nobody hears it. */
const AGAIN = '\u00a0';

const said = signal('');

export function announce(text: string): void {
  said.value = said.value === text ? text + AGAIN : text;
}

/** The region; there is one, from the start on. */
export function Announcer() {
  return <p class="unseen" aria-live="polite">{said}</p>;
}
