// The proof of life, always there: how the page is connected, and when the server was last heard of.

import { age } from '../format/age.js';
import { isCurrent } from '../stores/proof.js';
import { connection, lastHeard } from '../stores/stream.js';
import { isUnknown } from '../stores/who.js';
import { texts } from '../text/text.js';
import { ticks } from '../ui/now.js';

const t = texts({
  en: {
    connecting: 'Connecting', live: 'Live', degraded: 'Held up', waiting: 'Reconnecting', closed: 'Refused', unknown: 'Not logged in',
    heard: 'heard {age} ago', heardTitle: 'When anything was last heard of the server', gaps: { one: '{n} gap', other: '{n} gaps' },
    gapsTitle: 'Ranges of events that this page will never see',
  },
  de: {
    connecting: 'Verbindet', live: 'Live', degraded: 'Steht still', waiting: 'Verbindet neu', closed: 'Abgewiesen', unknown: 'Nicht angemeldet',
    heard: 'gehört vor {age}', heardTitle: 'Wann zuletzt etwas vom Server zu hören war', gaps: { one: '{n} Lücke', other: '{n} Lücken' },
    gapsTitle: 'Bereiche von Ereignissen, die diese Seite nie sehen wird',
  },
});

export function Proof() {
  const { status, gaps } = connection.value;
  const shown = isUnknown.value ? 'unknown' : status === 'live' && !isCurrent() ? 'degraded' : status;
  const heard = lastHeard();
  const now = ticks.value;
  return (
    <div class="proof" id="connection" data-state={shown}>
      <span class="lamp" aria-hidden="true" />
      <span class="state" role="status">{t(shown)}</span>
      {heard !== null && <span class="figure heard" id="last-heard" title={t('heardTitle')}>{t('heard', { age: age(now - heard) })}</span>}
      {heard !== null && <span class="figure short" aria-hidden="true">{age(now - heard)}</span>}
      {gaps > 0 && <span class="figure some" id="gaps" title={t('gapsTitle')}>{t('gaps', { n: gaps })}</span>}
    </div>
  );
}
