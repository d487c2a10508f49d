// How many fire, by severity: of all alerts, whatever the filter is.

import { LOOKS } from '../format/severity.js';
import { isCurrent } from '../stores/proof.js';
import { connection } from '../stores/stream.js';
import { totals } from '../stores/totals.js';
import { Sign } from '../ui/Sign.js';
import { t } from './texts.js';

export function Counts() {
  const { firing } = totals.value;
  // That there are none is known only while something would say so.
  const isKnown = connection.value.hasBegun && isCurrent();
  return (
    <ul class="totals" aria-label={t('counts')}>
      {LOOKS.map((look) => {
        const [number, word] = split(t(`count.${look}`, { n: firing[look] }));
        return (
          <li key={look} data-look={look} class={firing[look] === 0 ? 'none' : ''}>
            <Sign name={look} /> <b>{firing[look] > 0 || isKnown ? number : '–'}</b> {word}
          </li>
        );
      })}
    </ul>
  );
}

/** The number, which is the first word, and what it counts. */
const split = (text: string): [string, string] => [text.slice(0, text.indexOf(' ')), text.slice(text.indexOf(' ') + 1)];
