// Whether somebody is in the midst of something: then nothing is offered that would take it away.

import { signal } from '@preact/signals';
import { ticks } from '../ui/now.js';

export const isTyping = signal(false);

const EDITED = 'input:not([type="checkbox"], [type="radio"], [type="search"]), textarea, [contenteditable="true"]';

function look(): boolean {
  const { activeElement } = document;
  if (document.querySelector('dialog[open]')) return true;
  return activeElement instanceof HTMLElement && activeElement.matches(EDITED);
}

/** Looks once a second. */
export function watchTyping(): void {
  ticks.subscribe(() => { isTyping.value = look(); });
}
