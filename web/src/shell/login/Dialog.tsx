// The login's dialog; it is loaded when somebody has to log in.

import { useEffect, useRef, useState } from 'preact/hooks';
import { ended, hasShown, standing } from '../../stores/who.js';
import { texts } from '../../text/text.js';
import { type Credential, elsewhere, logIn, type Way, type Ways } from './ways.js';

const t = texts({
  en: {
    title: 'Log in', expired: 'Your session has ended.', revoked: 'Your session was ended.',
    plain: 'This page came over plain HTTP: whoever is on the way can read what you type here, and browsers keep no session.',
    elsewhere: 'Log in with single sign-on', or: 'or', with: 'Log in with', password: 'Name and password', token: 'Token or key',
    name: 'Name', secret: 'Password', key: 'Token or API key', cancel: 'Cancel', send: 'Log in', sending: 'Logging in…',
  },
  de: {
    title: 'Anmelden', expired: 'Deine Sitzung ist abgelaufen.', revoked: 'Deine Sitzung wurde beendet.',
    plain: 'Diese Seite kam über unverschlüsseltes HTTP: Wer dazwischen sitzt, liest mit, was du hier tippst, und Browser behalten keine Sitzung.',
    elsewhere: 'Mit Single Sign-on anmelden', or: 'oder', with: 'Anmelden mit', password: 'Name und Passwort', token: 'Token oder Schlüssel',
    name: 'Name', secret: 'Passwort', key: 'Token oder API-Schlüssel', cancel: 'Abbrechen', send: 'Anmelden', sending: 'Anmeldung läuft…',
  },
});

export interface DialogProps {
  ways: Ways;
  onDone: () => void;
  onCancel: () => void;
}

export function Dialog({ ways, onDone, onCancel }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  // Where nothing has come yet there is nothing to go back to.
  const isFirst = !hasShown.value;
  useEffect(() => {
    const { current } = dialog;
    if (current && !current.open) {
      if (isFirst) current.show();
      else current.showModal();
      // Not the first of all, which is how to log in.
      current.querySelector<HTMLInputElement>('fieldset:enabled [name="username"], fieldset:enabled [name="token"]')?.focus();
    }
    return () => current?.close();
  }, [isFirst]);
  const why = standing.value === 'unknown' ? ended.value : '';
  return (
    <dialog id="login" class={isFirst ? 'first' : undefined} ref={dialog} aria-labelledby="login-title" aria-describedby={why ? 'login-reason' : undefined} onCancel={(event) => { event.preventDefault(); onCancel(); }}>
      <h2 id="login-title">{t('title')}</h2>
      {why && <p class="reason" id="login-reason">{t(why)}</p>}
      {!isSecureContext && <p class="reason">{t('plain')}</p>}
      {ways.oidc && (
        <>
          <p><a class="button wide" href={elsewhere()}>{t('elsewhere')}</a></p>
          <p class="or">{t('or')}</p>
        </>
      )}
      <Form ways={ways} isFirst={isFirst} onDone={onDone} onCancel={onCancel} />
    </dialog>
  );
}

interface FormProps {
  ways: Ways;
  isFirst: boolean;
  onDone: () => void;
  onCancel: () => void;
}

function Form({ ways, isFirst, onDone, onCancel }: FormProps) {
  const [way, setWay] = useState<Way>(ways.password ? 'password' : 'token');
  const [fault, setFault] = useState('');
  const [isSending, setSending] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const field = (name: string) => form.current?.elements.namedItem(name) as HTMLInputElement | null;
  const send = async (event: Event) => {
    event.preventDefault();
    if (isSending) return;
    setSending(true);
    setFault('');
    const credential: Credential = way === 'token'
      ? { token: field('token')!.value.trim() }
      : { name: field('username')!.value, password: field('password')!.value };
    const wrong = await logIn(credential);
    setSending(false);
    if (!wrong) return onDone();
    setFault(wrong);
    const secret = field(way === 'token' ? 'token' : 'password');
    secret?.focus();
    secret?.select();
  };
  const choose = (chosen: Way) => {
    setFault('');
    setWay(chosen);
  };
  return (
    <form ref={form} onSubmit={send}>
      {ways.password && ways.token && <Choice way={way} onChoose={choose} />}
      {/* What is typed stays while the other way is looked at; those that are disabled are not sent. */}
      <fieldset hidden={way !== 'password'} disabled={way !== 'password'}>
        <label>{t('name')} <input name="username" required autocomplete="username" autocapitalize="none" spellcheck={false} aria-describedby="login-error" /></label>
        <label>{t('secret')} <input name="password" type="password" required autocomplete="current-password" aria-describedby="login-error" /></label>
      </fieldset>
      <fieldset hidden={way !== 'token'} disabled={way !== 'token'}>
        <label>{t('key')} <input name="token" type="password" required autocomplete="off" spellcheck={false} aria-describedby="login-error" /></label>
      </fieldset>
      <p class="error" id="login-error" role="alert">{fault}</p>
      <p class="buttons">
        {!isFirst && <button type="button" onClick={onCancel}>{t('cancel')}</button>}
        <button type="submit" class="primary" aria-busy={isSending}>{isSending ? t('sending') : t('send')}</button>
      </p>
    </form>
  );
}

function Choice({ way, onChoose }: { way: Way; onChoose: (way: Way) => void }) {
  return (
    <fieldset class="ways">
      <legend class="unseen">{t('with')}</legend>
      {(['password', 'token'] as const).map((one) => (
        <label key={one}><input type="radio" name="way" value={one} checked={way === one} onChange={() => onChoose(one)} /> {t(one)}</label>
      ))}
    </fieldset>
  );
}
