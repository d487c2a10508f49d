// Whether the server has another version of these pages than this tab: their files have their content's
// hash in their names, so the page says which script it would load now.

import { signal } from '@preact/signals';
import { inTime } from './who.js';

/** The server would give another page than this one. */
export const isOutdated = signal(false);

const SCRIPT = /<script type="module" src="([^"]+)"/;

/** The script that a page loads, whatever address it was loaded from. */
export const scriptOf = (page: string): string | null => SCRIPT.exec(page)?.[1]?.split('/').at(-1) ?? null;

/** What this tab was loaded with. */
function own(): string | null {
  const script = document.querySelector<HTMLScriptElement>('script[type="module"][src]');
  return script?.getAttribute('src')?.split('/').at(-1) ?? null;
}

/** Asks for the page, and looks whether it is this one. */
export async function lookForVersion(): Promise<void> {
  const mine = own();
  const answer = await fetch('.', { cache: 'no-cache', headers: { accept: 'text/html' }, signal: inTime() }).catch(() => null);
  if (!mine || !answer?.ok) return;
  const now = scriptOf(await answer.text().catch(() => ''));
  // What is no page of ours says nothing of ours.
  if (now !== null) isOutdated.value = now !== mine;
}
