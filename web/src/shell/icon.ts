// The icon of a tab tells what its title does: that something fires, or that this is not known.

import { computed, effect } from '@preact/signals';
import { fault } from '../stores/faults.js';
import { proof } from '../stores/proof.js';
import { connection } from '../stores/stream.js';
import { totals } from '../stores/totals.js';
import firingFile from './icons/firing.svg';
import unsureFile from './icons/unsure.svg';

type Icon = 'quiet' | 'firing' | 'unsure';

const icon = computed<Icon>(() => {
  const { status, hasBegun } = connection.value;
  if (fault.value || status !== 'live' || !hasBegun) return 'unsure';
  if (totals.value.burning > 0) return 'firing';
  return proof.value.doubt === null ? 'quiet' : 'unsure';
});

export function keepIcon(): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (!link) return;
  // They lie beside the script, wherever that is.
  const beside = (file: string) => new URL(file, import.meta.url).href;
  const files: Record<Icon, string> = { quiet: link.href, firing: beside(firingFile), unsure: beside(unsureFile) };
  effect(() => { link.href = files[icon.value]; });
}
