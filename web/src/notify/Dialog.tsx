// The settings: for each kind of severity whether it is notified, sounds, and is pushed.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { texts } from '../text/text.js';
import { Sign } from '../ui/Sign.js';
import { choices, choose, kindsBy, type Way, WAYS } from './choices.js';
import { type Kind, KINDS } from './kinds.js';
import { ask, hasPush, permission } from './permission.js';
import { fault, isBusy, settlePush, subscribed, testPush } from './push.js';
import { sound, unlockSounds } from './sounds.js';

const t = texts({
  en: {
    title: 'Notifications', close: 'Close', intro: 'Of this browser. A burst of alerts is one notification, and one tab of many shows it.',
    severity: 'Severity', notification: 'Notification', sound: 'Sound', push: 'Page closed',
    critical: 'critical', warning: 'warning', info: 'others',
    label: '{way}: {kind}', hearOf: 'Hear the sound: {kind}',
    insecure: 'This page came without TLS, so browsers let it neither notify nor be told while it is closed. Open it by https://, or on the machine of the server by http://localhost. Sounds work.',
    unsupported: 'This browser shows no notifications. Sounds work.',
    denied: 'This browser does not let this page notify. Allow notifications beside the address, at the lock or the sliders, and come back here.',
    noPush: 'This browser knows no push messages. On an iPhone or iPad, add this page to the home screen and open it there.',
    off: 'The server has push messages turned off (push = false).',
    server: 'The server does not take it: {reason}', browser: 'The browser’s push service does not take it: {reason}',
    on: 'This browser is told through {service} while no page is open, for as long as a page is opened now and then.',
    failing: 'The server does not get through to {service}: {reason}',
    test: 'Send a test', busy: 'Asking …',
  },
  de: {
    title: 'Benachrichtigungen', close: 'Schließen', intro: 'In diesem Browser. Viele Alarme auf einmal sind eine Benachrichtigung, und von mehreren Tabs zeigt sie einer.',
    severity: 'Schwere', notification: 'Meldung', sound: 'Ton', push: 'Seite zu',
    critical: 'critical', warning: 'warning', info: 'andere',
    label: '{way}: {kind}', hearOf: 'Den Ton anhören: {kind}',
    insecure: 'Diese Seite kam ohne TLS. Dann lassen Browser sie weder benachrichtigen noch geschlossen etwas erfahren. Mit https:// öffnen, oder auf dem Rechner des Servers mit http://localhost. Töne gehen.',
    unsupported: 'Dieser Browser zeigt keine Benachrichtigungen. Töne gehen.',
    denied: 'Dieser Browser lässt diese Seite nicht benachrichtigen. Neben der Adresse, beim Schloss oder den Schiebereglern, Benachrichtigungen erlauben und hierher zurückkommen.',
    noPush: 'Dieser Browser kennt keine Push-Nachrichten. Auf iPhone und iPad diese Seite zum Home-Bildschirm hinzufügen und dort öffnen.',
    off: 'Der Server hat Push-Nachrichten ausgeschaltet (push = false).',
    server: 'Der Server nimmt es nicht an: {reason}', browser: 'Der Push-Dienst des Browsers nimmt es nicht an: {reason}',
    on: 'Dieser Browser erfährt es über {service}, wenn keine Seite offen ist, solange ab und zu eine geöffnet wird.',
    failing: 'Der Server kommt nicht zu {service} durch: {reason}',
    test: 'Test senden', busy: 'Fragt …',
  },
});

export function NotifyDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current!.showModal();
    void (kindsBy('push').length > 0 && settlePush());
  }, []);
  return (
    <dialog class="notify" ref={dialog} aria-labelledby="notify-title" onClose={onClose} onClick={({ target }) => target === dialog.current && dialog.current!.close()}>
      <form method="dialog">
        <h2 id="notify-title">{t('title')}</h2>
        <p>{t('intro')}</p>
        <Hindrance />
        <Table />
        <Push />
        <p class="actions"><button class="primary">{t('close')}</button></p>
      </form>
    </dialog>
  );
}

/** Why something is not to be had, and what to do. */
function Hindrance() {
  const now = permission.value;
  if (now === 'granted' || now === 'default') return null;
  return <Note kind="warning">{t(now)}</Note>;
}

function Note({ kind, children }: { kind: 'warning' | 'good'; children: ComponentChildren }) {
  return <p class={`note ${kind}`} role="status">{children}</p>;
}

const isOffered = (way: Way): boolean => {
  if (way === 'sound') return true;
  const may = permission.value === 'granted' || permission.value === 'default';
  return may && (way === 'notification' || hasPush());
};

function Table() {
  return (
    <table>
      <thead>
        <tr><th scope="col">{t('severity')}</th>{WAYS.map((way) => <th scope="col" key={way}>{t(way)}</th>)}</tr>
      </thead>
      <tbody>{KINDS.map((kind) => <Row key={kind} kind={kind} />)}</tbody>
    </table>
  );
}

function Row({ kind }: { kind: Kind }) {
  const box = (way: Way) => (
    <input
      type="checkbox"
      aria-label={t('label', { way: t(way), kind: t(kind) })}
      checked={choices.value[kind][way] && isOffered(way)}
      disabled={!isOffered(way)}
      onChange={(event) => void change(kind, way, event.currentTarget)}
    />
  );
  return (
    <tr>
      <th scope="row" class={`kind ${kind}`}><Sign name={kind} /> {t(kind)}</th>
      <td>{box('notification')}</td>
      <td>{box('sound')} <button type="button" aria-label={t('hearOf', { kind: t(kind) })} title={t('hearOf', { kind: t(kind) })} onClick={() => hear(kind)}><span aria-hidden="true">♪</span></button></td>
      <td>{box('push')}</td>
    </tr>
  );
}

async function change(kind: Kind, way: Way, box: HTMLInputElement): Promise<void> {
  const isChosen = box.checked;
  if (way === 'sound' && isChosen) unlockSounds();
  if (way !== 'sound' && isChosen && await ask() !== 'granted') {
    box.checked = false;
    return;
  }
  choose(kind, way, isChosen);
  if (way === 'push') await settlePush();
}

function hear(kind: Kind): void {
  unlockSounds();
  // The first press opens the way, which takes a moment.
  setTimeout(() => sound(kind), 50);
}

function Push() {
  if (permission.value === 'insecure' || permission.value === 'unsupported') return null;
  if (!hasPush()) return <Note kind="warning">{t('noPush')}</Note>;
  if (isBusy.value) return <p class="note" role="status">{t('busy')}</p>;
  if (fault.value) return <Note kind="warning">{t(fault.value.what, { reason: fault.value.reason })}</Note>;
  if (!subscribed.value) return null;
  const { service, failing } = subscribed.value;
  return (
    <>
      {failing === null ? <Note kind="good">{t('on', { service })}</Note> : <Note kind="warning">{t('failing', { service, reason: failing })}</Note>}
      <p><button type="button" onClick={() => void testPush()}>{t('test')}</button></p>
    </>
  );
}
