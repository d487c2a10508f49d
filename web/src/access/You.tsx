// Who somebody is, how that is known, and until when.

import { age } from '../format/age.js';
import { dateOf } from '../format/clock.js';
import { visible } from '../format/visible.js';
import { serverNow } from '../stores/clock.js';
import type { Who } from '../stores/who.js';
import { texts } from '../text/text.js';
import { ticks } from '../ui/now.js';

const t = texts({
  en: {
    title: 'You', name: 'Name', known: 'Known by', roles: 'Roles', noRole: 'none: you may do nothing', until: 'Until', ends: '{time}, in {age}', over: '{time}: it is over',
    never: 'it does not end by itself', session: 'Session', stranger: 'nobody has said', limits: 'Limits', left: '{left} of {max} left',
    'means.open': 'nobody is asked', 'means.anonymous': 'nothing: you are a stranger', 'means.token': 'a token', 'means.key': 'an API key', 'means.password': 'a password',
    'means.session': 'a login in this browser', 'means.ticket': 'a ticket', 'means.proxy': 'a proxy in front of the server',
  },
  de: {
    title: 'Du', name: 'Name', known: 'Bekannt durch', roles: 'Rollen', noRole: 'keine: Du darfst nichts', until: 'Bis', ends: '{time}, in {age}', over: '{time}: vorbei',
    never: 'endet nicht von selbst', session: 'Sitzung', stranger: 'niemand hat es gesagt', limits: 'Grenzen', left: '{left} von {max} übrig',
    'means.open': 'niemand wird gefragt', 'means.anonymous': 'nichts: Du bist fremd', 'means.token': 'ein Token', 'means.key': 'einen API-Schlüssel', 'means.password': 'ein Passwort',
    'means.session': 'eine Anmeldung in diesem Browser', 'means.ticket': 'ein Ticket', 'means.proxy': 'einen Proxy vor dem Server',
  },
});

export function You({ who }: { who: Who }) {
  const isSomebody = who.means !== 'open' && who.means !== 'anonymous';
  const limits = Object.entries(who.limits);
  return (
    <section class="panel" aria-labelledby="you-title">
      <h2 id="you-title">{t('title')}</h2>
      <dl class="facts">
        <dt>{t('name')}</dt><dd>{isSomebody ? <b><bdi>{visible(who.subject)}</bdi></b> : t('stranger')}</dd>
        <dt>{t('known')}</dt><dd>{t(`means.${who.means}`)}</dd>
        {who.means !== 'open' && <><dt>{t('roles')}</dt><dd>{who.roles.length > 0 ? <List of={who.roles} /> : t('noRole')}</dd></>}
        {isSomebody && <><dt>{t('until')}</dt><dd><Until at={who.ends_at} /></dd></>}
        {who.session !== undefined && <><dt>{t('session')}</dt><dd><code>{who.session}</code></dd></>}
        {limits.map(([name, { max, left }]) => [<dt key={name}><code>{name}</code></dt>, <dd key={`${name}-left`}>{t('left', { left, max })}</dd>])}
      </dl>
    </section>
  );
}

export const List = ({ of }: { of: readonly string[] }) => (
  <ul class="chips">{of.map((name) => <li key={name}><code><bdi>{visible(name)}</bdi></code></li>)}</ul>
);

function Until({ at }: { at: number | undefined }) {
  void ticks.value;
  if (at === undefined) return <>{t('never')}</>;
  const left = at - serverNow();
  return <>{left > 0 ? t('ends', { time: dateOf(at), age: age(left) }) : t('over', { time: dateOf(at) })}</>;
}
