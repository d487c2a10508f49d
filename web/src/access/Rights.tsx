// What somebody may do, in words.

import type { Right, Who } from '../stores/who.js';
import { texts } from '../text/text.js';
import { List } from './You.js';

const t = texts({
  en: {
    title: 'What you may do', all: 'all', none: 'no', some: 'some',
    subscribe: 'follow topics', publish: 'publish on topics', alerts: 'see alerts', attend: 'acknowledge and silence alerts', query: 'see values and ask for them',
    ingest: 'send samples', post_alerts: 'post alerts', admin: 'administer: keys, rules, the audit', yes: 'yes', right: 'Right', how: 'How far',
  },
  de: {
    title: 'Was du darfst', all: 'alle', none: 'nein', some: 'manche',
    subscribe: 'Themen folgen', publish: 'zu Themen veröffentlichen', alerts: 'Alarme sehen', attend: 'Alarme quittieren und stummschalten', query: 'Werte sehen und abfragen',
    ingest: 'Messwerte senden', post_alerts: 'Alarme melden', admin: 'verwalten: Schlüssel, Regeln, Protokoll', yes: 'ja', right: 'Recht', how: 'Wie weit',
  },
});

const RIGHTS = ['alerts', 'attend', 'subscribe', 'publish', 'query', 'ingest', 'post_alerts'] as const satisfies readonly Right[];
/** What lets all pass, of topics and of matchers. */
const ALL = new Set(['**', '{}']);

export function Rights({ who: { rights } }: { who: Who }) {
  return (
    <section class="panel" aria-labelledby="rights-title">
      <h2 id="rights-title">{t('title')}</h2>
      <table class="rights">
        <thead class="unseen"><tr><th scope="col">{t('right')}</th><th scope="col">{t('how')}</th></tr></thead>
        <tbody>
          {RIGHTS.map((right) => <tr key={right}><th scope="row">{t(right)}</th><td><Reach of={rights[right]} /></td></tr>)}
          <tr><th scope="row">{t('admin')}</th><td><Mark isGiven={rights.admin} text={rights.admin ? t('yes') : t('none')} /></td></tr>
        </tbody>
      </table>
    </section>
  );
}

function Reach({ of }: { of: readonly string[] }) {
  if (of.length === 0) return <Mark isGiven={false} text={t('none')} />;
  if (of.some((one) => ALL.has(one))) return <Mark isGiven text={t('all')} />;
  return <><Mark isGiven text={t('some')} /> <List of={of} /></>;
}

const Mark = ({ isGiven, text }: { isGiven: boolean; text: string }) => (
  <span class={isGiven ? 'given' : 'not-given'}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d={isGiven ? 'm9.5 17.2-5-5 1.7-1.7 3.3 3.3 8.3-8.3 1.7 1.7z' : 'M5 11h14v2H5z'} /></svg>{text}
  </span>
);
