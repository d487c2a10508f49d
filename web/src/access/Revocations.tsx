// What was taken back, for administrators: of a subject, or a session.

import { useEffect, useState } from 'preact/hooks';
import { dateOf } from '../format/clock.js';
import { visible } from '../format/visible.js';
import { texts } from '../text/text.js';
import { announce } from '../ui/announce.js';
import { Dialog } from '../ui/Dialog.js';
import { ask, type Revocation } from './api.js';

const t = texts({
  en: {
    title: 'Taken back', what: 'Of a subject all counts no more that was issued before it was taken back; of a session its login.', none: 'Nothing was taken back.', failed: 'What was taken back is not known: {why}', again: 'Ask again', loading: 'Asking what was taken back',
    take: 'Take back…', subject: 'Subject', session: 'Session', when: 'When', by: 'By', action: 'Action', restore: 'Let count again…', made: '{what} was taken back.', restored: '{what} counts again.',
    name: 'Name', of: 'Of', send: 'Take back', cancel: 'Cancel', sure: 'Let {what} count again?', sureText: 'What was shown before and has not ended is good again.', yes: 'Let count again', warn: 'Their streams end at once, and they have to log in again.',
  },
  de: {
    title: 'Widerrufen', what: 'Von einem Subjekt gilt nichts mehr, was vor dem Widerruf ausgestellt wurde; von einer Sitzung ihre Anmeldung nicht mehr.', none: 'Nichts wurde widerrufen.', failed: 'Was widerrufen wurde, ist nicht bekannt: {why}', again: 'Noch einmal fragen', loading: 'Fragt, was widerrufen wurde',
    take: 'Widerrufen…', subject: 'Subjekt', session: 'Sitzung', when: 'Wann', by: 'Von', action: 'Aktion', restore: 'Wieder gelten lassen…', made: '{what} wurde widerrufen.', restored: '{what} gilt wieder.',
    name: 'Name', of: 'Von', send: 'Widerrufen', cancel: 'Abbrechen', sure: '{what} wieder gelten lassen?', sureText: 'Was vorher gezeigt wurde und nicht abgelaufen ist, gilt wieder.', yes: 'Wieder gelten lassen', warn: 'Ihre Streams enden sofort, und sie müssen sich neu anmelden.',
  },
});

const nameOf = ({ subject, session }: Revocation): string => visible(subject ?? session ?? '');

export function Revocations() {
  const [all, setAll] = useState<Revocation[] | null>(null);
  const [fault, setFault] = useState('');
  const [isTaking, setTaking] = useState(false);
  const [restored, setRestored] = useState<Revocation | null>(null);
  const load = async () => {
    const answer = await ask<{ revocations: Revocation[] }>('GET', 'v1/revocations');
    if ('fault' in answer) return setFault(answer.fault);
    setFault('');
    setAll(answer.value.revocations.reverse());
  };
  useEffect(() => void load(), []);
  return (
    <section class="panel" aria-labelledby="revocations-title">
      <header class="heading">
        <h2 id="revocations-title">{t('title')}</h2>
        <button type="button" onClick={() => setTaking(true)}>{t('take')}</button>
      </header>
      <p class="aside">{t('what')}</p>
      {fault && <p class="error" role="alert">{t('failed', { why: fault })} <button type="button" onClick={load}>{t('again')}</button></p>}
      {!all && !fault && <p class="empty" aria-busy="true">{t('loading')}</p>}
      {all?.length === 0 && <p class="empty">{t('none')}</p>}
      {all && all.length > 0 && <Table all={all} onRestore={setRestored} />}
      {isTaking && <Take onDone={load} onClose={() => setTaking(false)} />}
      {restored && <Restore of={restored} onDone={load} onClose={() => setRestored(null)} />}
    </section>
  );
}

function Table({ all, onRestore }: { all: readonly Revocation[]; onRestore: (one: Revocation) => void }) {
  return (
    <table class="listing">
      <thead><tr><th scope="col">{t('name')}</th><th scope="col">{t('of')}</th><th scope="col">{t('when')}</th><th scope="col">{t('by')}</th><th scope="col"><span class="unseen">{t('action')}</span></th></tr></thead>
      <tbody>
        {all.map((one) => (
          <tr key={one.id}>
            <th scope="row" data-label={t('name')}><bdi>{nameOf(one)}</bdi></th>
            <td data-label={t('of')}>{t(one.subject === undefined ? 'session' : 'subject')}</td>
            <td data-label={t('when')}>{dateOf(one.made_at)}</td>
            <td data-label={t('by')}><bdi>{visible(one.made_by)}</bdi></td>
            <td class="act"><button type="button" onClick={() => onRestore(one)}>{t('restore')}</button></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Asked {
  onDone: () => void;
  onClose: () => void;
}

function Take({ onDone, onClose }: Asked) {
  const [fault, setFault] = useState('');
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget as HTMLFormElement);
    const name = String(typed.get('name') ?? '').trim();
    const answer = await ask<Revocation>('POST', 'v1/revocations', { [String(typed.get('of'))]: name });
    if ('fault' in answer) return setFault(answer.fault);
    announce(t('made', { what: visible(name) }));
    onDone();
    onClose();
  };
  return (
    <Dialog title={t('take').replace('…', '')} onClose={onClose}>
      <form class="asked" onSubmit={send}>
        <label>{t('of')}<select name="of"><option value="subject">{t('subject')}</option><option value="session">{t('session')}</option></select></label>
        <label>{t('name')}<input name="name" required autocomplete="off" spellcheck={false} /></label>
        <p>{t('warn')}</p>
        <p class="error" role="alert">{fault}</p>
        <p class="buttons"><button type="button" onClick={onClose}>{t('cancel')}</button><button type="submit" class="danger">{t('send')}</button></p>
      </form>
    </Dialog>
  );
}

function Restore({ of: one, onDone, onClose }: Asked & { of: Revocation }) {
  const [fault, setFault] = useState('');
  const send = async () => {
    const answer = await ask<unknown>('DELETE', `v1/revocations/${encodeURIComponent(one.id)}`);
    if ('fault' in answer) return setFault(answer.fault);
    announce(t('restored', { what: nameOf(one) }));
    onDone();
    onClose();
  };
  return (
    <Dialog title={t('sure', { what: nameOf(one) })} onClose={onClose}>
      <p>{t('sureText')}</p>
      <p class="error" role="alert">{fault}</p>
      <p class="buttons"><button type="button" onClick={onClose}>{t('cancel')}</button><button type="button" class="primary" onClick={send}>{t('yes')}</button></p>
    </Dialog>
  );
}
