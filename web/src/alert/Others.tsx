// Who else has this alert open, by name; of those who have none, how many.

import { visible } from '../format/visible.js';
import { language } from '../text/text.js';
import { useOthers } from './present.js';
import { t } from './texts.js';

/** Names in the sentence; the others are a number. */
const NAMED_MAX = 4;

export function Others({ fingerprint }: { fingerprint: string }) {
  const { named, all } = useOthers(fingerprint);
  const parts = named.slice(0, NAMED_MAX).map(({ name }) => visible(name));
  if (all > parts.length) parts.push(t('unnamed', { n: all - parts.length }));
  const who = new Intl.ListFormat(language.value).format(parts);
  // It is there before there is anybody, so that who comes is heard, too.
  return <p class="others" dir="auto" aria-live="polite">{all > 0 && t('others', { n: all, who })}</p>;
}
