// The band across the page: what keeps it from telling the truth, for as long as it does.

import { age } from '../format/age.js';
import { fault } from '../stores/faults.js';
import { isTrouble, proof } from '../stores/proof.js';
import { retryStream } from '../stores/session.js';
import { connection, FOLLOWED, lastHeard } from '../stores/stream.js';
import { isOutdated } from '../stores/version.js';
import { isUnknown, who } from '../stores/who.js';
import { texts } from '../text/text.js';
import { ticks } from '../ui/now.js';
import { doubtText } from './doubts.js';
import { openLogin } from './login/Login.js';
import { isTyping } from './typing.js';

const t = texts({
  en: {
    first: 'What is firing is not known yet.',
    unanswered: 'The server does not answer.',
    stale: 'Not connected: what is shown is {age} old.',
    offline: 'This browser is offline.',
    closed: 'The server refuses this page: {reason}',
    lacksAll: 'This page follows {topics}, and your roles lack the right “subscribe”.',
    lacksSome: 'This page follows {topics}, and your roles let you follow {given} only.',
    retry: 'Try again',
    unknown: 'Nobody is logged in.',
    logIn: 'Log in',
    fault: 'This page has a fault of its own, so what it shows may not be so.',
    newer: 'The server has a newer version of this page.',
    reload: 'Reload',
    and: '{some} and {last}', more: '{n} more',
  },
  de: {
    first: 'Was auslöst, ist noch nicht bekannt.',
    unanswered: 'Der Server antwortet nicht.',
    stale: 'Nicht verbunden: Was hier steht, ist {age} alt.',
    offline: 'Dieser Browser ist offline.',
    closed: 'Der Server weist diese Seite ab: {reason}',
    lacksAll: 'Diese Seite folgt {topics}, und deinen Rollen fehlt das Recht „subscribe“.',
    lacksSome: 'Diese Seite folgt {topics}, und deine Rollen lassen dich nur {given} folgen.',
    retry: 'Noch einmal',
    unknown: 'Niemand ist angemeldet.',
    logIn: 'Anmelden',
    fault: 'Diese Seite hat selbst einen Fehler: Was sie zeigt, stimmt vielleicht nicht.',
    newer: 'Der Server hat eine neuere Fassung dieser Seite.',
    reload: 'Neu laden',
    and: '{some} und {last}', more: '{n} weiteren',
  },
});

/** For so long a page that reconnects says nothing across it: most faults are over before. */
const PATIENCE_MS = 2_000;
/** Of what is many, so many are named. */
const NAMED_MAX = 5;

/** What is wrong; nothing where nothing is. */
export function trouble(): string {
  if (fault.value) return t('fault');
  const { status, hasBegun, since, reason, isForbidden } = connection.value;
  const now = ticks.value;
  const stale = () => t('stale', { age: age(now - (lastHeard() ?? since)) });
  // The login stands there in place of all else, until something has been shown.
  if (isUnknown.value) return hasBegun ? `${t('unknown')} ${stale()}` : '';
  if (status === 'closed') return [isForbidden ? lackingTopics() : t('closed', { reason }), hasBegun && stale()].filter(Boolean).join(' ');
  if (status === 'live') return '';
  const offline = typeof navigator !== 'undefined' && navigator.onLine === false ? t('offline') : '';
  if (!hasBegun) return now > PATIENCE_MS ? [offline || (reason && t('unanswered')), t('first')].filter(Boolean).join(' ') : '';
  if (now - since < PATIENCE_MS) return '';
  return [offline, stale()].filter(Boolean).join(' ');
}

/** What somebody lacks to follow what the page follows. */
function lackingTopics(): string {
  const given = who.value?.rights.subscribe ?? [];
  const topics = several(FOLLOWED);
  return given.length === 0 ? t('lacksAll', { topics }) : t('lacksSome', { topics, given: several(given) });
}

function several(names: readonly string[]): string {
  const shown = names.length > NAMED_MAX ? [...names.slice(0, NAMED_MAX), t('more', { n: names.length - NAMED_MAX })] : [...names];
  const last = shown.pop() ?? '';
  return shown.length > 0 ? t('and', { some: shown.join(', '), last }) : last;
}

const reload = () => location.reload();

/** What can be done about it. */
function Remedy() {
  if (fault.value) return <button type="button" onClick={reload}>{t('reload')}</button>;
  if (isUnknown.value) return connection.value.hasBegun ? <button type="button" onClick={openLogin}>{t('logIn')}</button> : null;
  return connection.value.status === 'closed' ? <button type="button" onClick={retryStream}>{t('retry')}</button> : null;
}

/** Why nothing could fire, or nobody would be told. */
const doubt = (): string => (proof.value.doubt && isTrouble(proof.value.doubt) ? doubtText(proof.value) : '');

export function Trouble() {
  const broken = trouble();
  const text = broken || doubt();
  return (
    <>
      {text && <div class={broken ? 'band' : 'band caution'} id="trouble"><p>{text} <Remedy /></p></div>}
      {isOutdated.value && !isTyping.value && <div class="band offer" id="newer"><p>{t('newer')} <button type="button" onClick={reload}>{t('reload')}</button></p></div>}
    </>
  );
}
