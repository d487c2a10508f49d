// The proof of life, always there: how the page is connected, and when the server was last heard of.

import { age } from '../format/age.js';
import { connection, lastHeard } from '../stores/stream.js';
import { texts } from '../text/text.js';
import { ticks } from '../ui/now.js';

const t = texts({
  en: { connecting: 'Connecting', live: 'Live', waiting: 'Reconnecting', closed: 'Not connected', heard: 'heard {age} ago', gaps: { one: '{n} gap', other: '{n} gaps' }, gapsTitle: 'Ranges of events that this page will never see' },
  de: { connecting: 'Verbindet', live: 'Live', waiting: 'Verbindet neu', closed: 'Nicht verbunden', heard: 'gehört vor {age}', gaps: { one: '{n} Lücke', other: '{n} Lücken' }, gapsTitle: 'Bereiche von Ereignissen, die diese Seite nie sehen wird' },
});

export function Proof() {
  const { status, gaps } = connection.value;
  const heard = lastHeard();
  const now = ticks.value;
  return (
    <div class="proof" data-status={status}>
      <span class="lamp" aria-hidden="true" />
      <span class="status" role="status">{t(status)}</span>
      {heard !== null && <span class="figure">{t('heard', { age: age(now - heard) })}</span>}
      {gaps > 0 && <span class="figure some" title={t('gapsTitle')}>{t('gaps', { n: gaps })}</span>}
    </div>
  );
}
