// The band across the page: what keeps it from telling the truth, for as long as it does.

import { doubtText } from './doubts.js';
import { age } from '../format/age.js';
import { isTrouble, proof } from '../stores/proof.js';
import { connection, lastHeard } from '../stores/stream.js';
import { texts } from '../text/text.js';
import { ticks } from '../ui/now.js';

const t = texts({
  en: {
    first: 'What is firing is not known yet.',
    stale: 'Not connected: what is shown is {age} old.',
    closed: 'The server refuses this page: {reason}',
  },
  de: {
    first: 'Was auslöst, ist noch nicht bekannt.',
    stale: 'Nicht verbunden: Was hier steht, ist {age} alt.',
    closed: 'Der Server weist diese Seite ab: {reason}',
  },
});

/** For so long a page that reconnects says nothing across it: most faults are over before. */
const PATIENCE_MS = 2_000;

/** What is wrong; nothing where nothing is. */
export function trouble(): string {
  const { status, hasBegun, since, reason } = connection.value;
  const now = ticks.value;
  if (status === 'closed') return t('closed', { reason });
  if (!hasBegun) return now > PATIENCE_MS ? `${t('first')}${reason && ` ${reason}`}` : '';
  if (status === 'live' || now - since < PATIENCE_MS) return '';
  return t('stale', { age: age(now - (lastHeard() ?? since)) });
}

/** Why nothing could fire, or nobody would be told. */
const doubt = (): string => (proof.value.doubt && isTrouble(proof.value.doubt) ? doubtText(proof.value) : '');

export function Trouble() {
  const broken = trouble();
  const text = broken || doubt();
  return text ? <div class={broken ? 'band' : 'band caution'}><p>{text}</p></div> : null;
}
