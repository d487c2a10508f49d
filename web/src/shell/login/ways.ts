// What the login asks of the server, and what it makes of the answers.

import { texts } from '../../text/text.js';
import { entering, inTime, leave, type Who, welcome, whoOf } from '../../stores/who.js';

export type Way = 'password' | 'token';

/** What is typed; it is sent once and kept nowhere. */
export type Credential = { name: string; password: string } | { token: string };

/** What there is to log in with. */
export interface Ways {
  password: boolean;
  token: boolean;
  oidc: boolean;
}

const t = texts({
  en: {
    unreachable: 'The server cannot be reached.',
    wrongPassword: 'Name or password is wrong.',
    wrongToken: 'This token or key does not count here: it is mistyped, has ended, or was taken back.',
    exhausted: 'Too many wrong passwords. Try again in {seconds} s, at {at}.',
    status: 'The server answers {status}.',
    noCookies: 'The login is right, but the browser did not keep it: it takes no cookies of this site. Allow them, and log in again.',
    noTls: 'The login is right, but the browser did not keep it: it keeps sessions over HTTPS only. Open https://{host}; where that does not answer, the server needs a certificate (tls_certificate), or a proxy with one in front.',
  },
  de: {
    unreachable: 'Der Server ist nicht zu erreichen.',
    wrongPassword: 'Name oder Passwort ist falsch.',
    wrongToken: 'Dieses Token oder dieser Schlüssel gilt hier nicht: vertippt, abgelaufen oder zurückgenommen.',
    exhausted: 'Zu viele falsche Passwörter. Versuche es in {seconds} s wieder, um {at}.',
    status: 'Der Server antwortet mit {status}.',
    noCookies: 'Die Anmeldung stimmt, aber der Browser hat sie nicht behalten: Er nimmt von dieser Seite keine Cookies an. Erlaube das, und melde dich noch einmal an.',
    noTls: 'Die Anmeldung stimmt, aber der Browser hat sie nicht behalten: Er behält Sitzungen nur über HTTPS. Öffne https://{host}; wo das nicht antwortet, braucht der Server ein Zertifikat (tls_certificate) oder davor einen Proxy mit einem.',
  },
});

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

let known: Ways | null = null;

/** What there is to log in with; where it is not told, a token or a key is worth a try. */
export async function learnWays(): Promise<Ways> {
  if (known) return known;
  const answer = await fetch('v1/session', { signal: inTime() }).catch(() => null);
  const told = answer?.ok ? await answer.json().catch(() => null) as { login?: string[] } | null : null;
  const names = told?.login?.length ? told.login : ['token'];
  const ways = { password: names.includes('password'), token: names.includes('token'), oidc: names.includes('oidc') };
  if (told) known = ways;
  return ways;
}

/** Where single sign-on begins; it leads back to where the page is. */
export const elsewhere = (): string => `v1/session/login?return=${encodeURIComponent(location.pathname)}`;

/** Logs in. Gives what went wrong; nothing where somebody is in. */
export function logIn(credential: Credential): Promise<string> {
  return entering(async () => {
    try {
      const answer = await fetch('v1/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(credential), signal: inTime() });
      if (!answer.ok) return await reason(answer, 'token' in credential ? 'token' : 'password');
      return await enter(await answer.json() as Who);
    } catch {
      return t('unreachable');
    }
  });
}

/** The session is made; whether the browser has kept it only another request tells. */
async function enter(made: Who): Promise<string> {
  const answer = await fetch('v1/whoami', { cache: 'no-store', signal: inTime() });
  const now = answer.ok ? await whoOf(answer) : null;
  // Another one that the browser has is not this one.
  if (now?.means === 'session' && now.session === made.session) {
    welcome(now);
    return '';
  }
  if (answer.status !== 401 && !now) return reason(answer);
  return location.protocol === 'https:' ? t('noCookies') : t('noTls', { host: location.hostname });
}

/** Logs out. Gives what went wrong. */
export async function logOut(): Promise<string> {
  const answer = await fetch('v1/session', { method: 'DELETE', signal: inTime() }).catch(() => null);
  if (!answer) return t('unreachable');
  if (!answer.ok) return reason(answer);
  leave();
  return '';
}

async function reason(answer: Response, way?: Way): Promise<string> {
  const problem = await answer.json().catch(() => ({})) as { code?: string; detail?: string };
  if (answer.status === 401 && way) return way === 'password' ? t('wrongPassword') : t('wrongToken');
  if (problem.code === 'logins_exhausted') {
    const seconds = Math.max(1, Number(answer.headers.get('retry-after')) || 1);
    return t('exhausted', { seconds, at: clock.format(Date.now() + seconds * 1_000) });
  }
  return problem.detail ?? t('status', { status: `${answer.status} ${answer.statusText}`.trim() });
}
