// Makes an API key. It is shown once: nothing of it is kept, here or at the server.

import { useId, useRef, useState } from 'preact/hooks';
import { serverNow } from '../stores/clock.js';
import { texts } from '../text/text.js';
import { announce } from '../ui/announce.js';
import { Dialog } from '../ui/Dialog.js';
import { ask } from './api.js';

const t = texts({
  en: {
    title: 'Make an API key', subject: 'For whom', subjectHint: 'a person, a sensor, a program', roles: 'Roles', rolesHint: 'with commas between them',
    note: 'Note', ends: 'It ends', 'ends.0': 'not by itself', 'ends.1': 'in a day', 'ends.7': 'in a week', 'ends.30': 'in 30 days', 'ends.90': 'in 90 days', 'ends.365': 'in a year',
    make: 'Make', cancel: 'Cancel', madeTitle: 'The key of {who}', once: 'It is shown this once. Whoever has it is {who} here: put it where only the program reads it.',
    key: 'Key', copy: 'Copy', copied: 'Copied', select: 'This browser does not let the page copy: the key is selected.', done: 'Done',
  },
  de: {
    title: 'API-Schlüssel machen', subject: 'Für wen', subjectHint: 'eine Person, ein Sensor, ein Programm', roles: 'Rollen', rolesHint: 'mit Kommas dazwischen',
    note: 'Notiz', ends: 'Er endet', 'ends.0': 'nicht von selbst', 'ends.1': 'in einem Tag', 'ends.7': 'in einer Woche', 'ends.30': 'in 30 Tagen', 'ends.90': 'in 90 Tagen', 'ends.365': 'in einem Jahr',
    make: 'Machen', cancel: 'Abbrechen', madeTitle: 'Der Schlüssel von {who}', once: 'Er wird nur dieses eine Mal gezeigt. Wer ihn hat, ist hier {who}: Lege ihn dorthin, wo nur das Programm ihn liest.',
    key: 'Schlüssel', copy: 'Kopieren', copied: 'Kopiert', select: 'Dieser Browser lässt die Seite nicht kopieren: Der Schlüssel ist markiert.', done: 'Fertig',
  },
});

const DAY_MS = 86_400_000;
const ENDS = [0, 1, 7, 30, 90, 365] as const;
const SUBJECT_LENGTH_MAX = 255;

interface Made {
  subject: string;
  key: string;
}

export function MakeKey({ roles, onMade, onClose }: { roles: readonly string[]; onMade: () => void; onClose: () => void }) {
  const [made, setMade] = useState<Made | null>(null);
  if (made) return <Shown made={made} onClose={onClose} />;
  return <Form roles={roles} onClose={onClose} onMade={(made) => { setMade(made); onMade(); }} />;
}

function Form({ roles, onMade, onClose }: { roles: readonly string[]; onMade: (made: Made) => void; onClose: () => void }) {
  const [fault, setFault] = useState('');
  const list = useId();
  const isSending = useRef(false);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    // Each request makes a key, and one alone is shown.
    if (isSending.current) return;
    isSending.current = true;
    const typed = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(typed.get(name) ?? '').trim();
    const days = Number(text('ends'));
    const answer = await ask<Made>('POST', 'v1/keys', {
      subject: text('subject'),
      roles: text('roles').split(',').map((role) => role.trim()).filter(Boolean),
      note: text('note'),
      ...(days > 0 && { ends_at: Math.round(serverNow() + days * DAY_MS) }),
    });
    isSending.current = false;
    if ('fault' in answer) setFault(answer.fault);
    else onMade(answer.value);
  };
  return (
    <Dialog title={t('title')} onClose={onClose}>
      <form class="asked" onSubmit={send}>
        <label>{t('subject')} <span class="figure">{t('subjectHint')}</span><input name="subject" required maxLength={SUBJECT_LENGTH_MAX} autocomplete="off" spellcheck={false} /></label>
        <label>{t('roles')} <span class="figure">{t('rolesHint')}</span><input name="roles" required list={list} autocomplete="off" spellcheck={false} /></label>
        <datalist id={list}>{roles.map((role) => <option key={role} value={role} />)}</datalist>
        <label>{t('note')}<input name="note" maxLength={SUBJECT_LENGTH_MAX} autocomplete="off" /></label>
        <label>{t('ends')}<select name="ends">{ENDS.map((days) => <option key={days} value={days}>{t(`ends.${days}`)}</option>)}</select></label>
        <p class="error" role="alert">{fault}</p>
        <p class="buttons"><button type="button" onClick={onClose}>{t('cancel')}</button><button type="submit" class="primary">{t('make')}</button></p>
      </form>
    </Dialog>
  );
}

function Shown({ made: { subject, key }, onClose }: { made: Made; onClose: () => void }) {
  const [said, setSaid] = useState('');
  const field = useRef<HTMLInputElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(key);
      setSaid(t('copied'));
      announce(t('copied'));
    } catch {
      field.current?.select();
      setSaid(t('select'));
    }
  };
  return (
    <Dialog title={t('madeTitle', { who: subject })} onClose={onClose}>
      <p>{t('once', { who: subject })}</p>
      <label class="once">{t('key')}<input ref={field} readOnly value={key} autocomplete="off" spellcheck={false} onFocus={({ currentTarget }) => currentTarget.select()} /></label>
      <p class="figure" role="status">{said}</p>
      <p class="buttons"><button type="button" onClick={copy}>{t('copy')}</button><button type="button" class="primary" onClick={onClose}>{t('done')}</button></p>
    </Dialog>
  );
}
