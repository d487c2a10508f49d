// Who is at the page, in the header: the name, what it may do, and the way out or in.

import { signal } from '@preact/signals';
import { clockOf } from '../../format/clock.js';
import { visible } from '../../format/visible.js';
import { hasShown, isUnknown, lacking, lacks, subject, who } from '../../stores/who.js';
import { texts } from '../../text/text.js';
import { Sheet } from '../../ui/Sheet.js';
import { address } from '../router.js';
import { openLogin } from './Login.js';

const t = texts({
  en: {
    logIn: 'Log in', logOut: 'Log out', account: 'Account of {name}', still: 'You are still logged in: {why}',
    noRole: 'You have no role.', roles: { one: 'Role: {roles}', other: 'Roles: {roles}' }, until: 'Logged in until {time}',
    access: 'Access and rights', look: 'to look at only', hide: 'Hide',
  },
  de: {
    logIn: 'Anmelden', logOut: 'Abmelden', account: 'Konto von {name}', still: 'Du bist noch angemeldet: {why}',
    noRole: 'Du hast keine Rolle.', roles: { one: 'Rolle: {roles}', other: 'Rollen: {roles}' }, until: 'Angemeldet bis {time}',
    access: 'Zugang und Rechte', look: 'nur zum Ansehen', hide: 'Ausblenden',
  },
});

/** What went wrong where no dialog is open. */
const fault = signal('');

export function Account() {
  const now = who.value;
  // At first the login itself stands there.
  if (isUnknown.value && !hasShown.value) return null;
  if (isUnknown.value || now?.means === 'anonymous') {
    return <button type="button" id="log-in" onClick={openLogin}>{t('logIn')}</button>;
  }
  const name = subject.value;
  if (!now || name === null) return null;
  const roles = now.roles.map(visible);
  return (
    <Sheet class="account" label={t('account', { name: visible(name) })} button={<><Head /><bdi class="subject">{visible(name)}</bdi></>}>
      {(close) => (
        <>
          <h2><bdi>{visible(name)}</bdi></h2>
          <p>{roles.length === 0 ? t('noRole') : t('roles', { n: roles.length, roles: roles.join(', ') })}</p>
          {now.ends_at !== undefined && <p class="figure">{t('until', { time: clockOf(now.ends_at) })}</p>}
          <p><a href={address('access')} onClick={close}>{t('access')}</a></p>
          {now.means === 'session' && <p><button type="button" onClick={leave}>{t('logOut')}</button></p>}
        </>
      )}
    </Sheet>
  );
}

const Head = () => (
  <svg class="head" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3.5a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4zm0 10.2c4.6 0 8 2.3 8 5.3v1.5H4V19c0-3 3.4-5.3 8-5.3z" /></svg>
);

/** Said beside the name to whoever may look and do nothing. */
export function LookOnly() {
  if (subject.value === null && who.value?.means !== 'anonymous') return null;
  if (isUnknown.value || lacks('subscribe') || !lacks('attend')) return null;
  return <span class="badge" id="view-only" tabIndex={0} title={lacking('attend')} aria-label={`${t('look')}. ${lacking('attend')}`} role="note">{t('look')}</span>;
}

async function leave(): Promise<void> {
  const { logOut } = await import('./ways.js');
  const why = await logOut();
  fault.value = why && t('still', { why });
}

/** Shown until it is put away, or does not matter any more. */
export function LogOutFault() {
  if (!fault.value || isUnknown.value) return null;
  return <p class="notice" role="alert">{fault.value} <button type="button" onClick={() => { fault.value = ''; }}>{t('hide')}</button></p>;
}
