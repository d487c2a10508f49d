// Faults of the page itself: what it shows after one may not be so, and it says that.

import { signal } from '@preact/signals';

/** What went wrong first, as the browser says it; empty where nothing did. */
export const fault = signal('');

/** Faults that say nothing of what is shown. */
const HARMLESS = /ResizeObserver loop|AbortError|NotAllowedError|fetch|network|Load failed|dynamically imported/i;

export function noteFault(what: unknown): void {
  const text = what instanceof Error ? `${what.name}: ${what.message}` : String(what);
  if (!fault.value && !HARMLESS.test(text)) fault.value = text || 'fault';
}

/** Begins to listen for what nobody has caught. */
export function watchFaults(): void {
  // Scripts of extensions fail, too, and are none of this page's.
  addEventListener('error', ({ error, filename }) => {
    if (error && filename.startsWith(location.origin)) noteFault(error);
  });
  addEventListener('unhandledrejection', ({ reason }) => {
    if (reason instanceof TypeError || reason instanceof ReferenceError || reason instanceof RangeError) noteFault(reason);
  });
}
