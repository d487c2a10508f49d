// All API keys, for administrators: to make one, which is shown once, and to take one back.

import { useEffect, useState } from 'preact/hooks';
import { age } from '../format/age.js';
import { dateOf } from '../format/clock.js';
import { visible } from '../format/visible.js';
import { serverNow } from '../stores/clock.js';
import { subject } from '../stores/who.js';
import { texts } from '../text/text.js';
import { announce } from '../ui/announce.js';
import { Dialog } from '../ui/Dialog.js';
import { ask, type Key } from './api.js';
import { MakeKey } from './MakeKey.js';
import { List } from './You.js';

const t = texts({
  en: {
    title: 'API keys', make: 'Make a key…', none: 'There is no key yet. Programs, such as sensors, show one in place of a login.', loading: 'Asking for the keys', failed: 'The keys are not known: {why}', again: 'Ask again',
    subject: 'For', roles: 'Roles', note: 'Note', made: 'Made', used: 'Last used', ends: 'Ends', state: 'State', action: 'Action', never: 'never', unknown: 'not known', ago: '{age} ago', by: 'by {who}', configured: 'in the configuration',
    counts: 'counts', revoked: 'taken back', over: 'over', back: 'Take back…',
    sure: 'Take back the key of {who}?', sureText: 'It counts no more from then on, and its streams end. That cannot be undone.', yes: 'Take back', cancel: 'Cancel', gone: 'The key of {who} was taken back.',
    mine: 'yours', inactive: { one: 'Show {n} that counts no more', other: 'Show {n} that count no more' },
  },
  de: {
    title: 'API-Schlüssel', make: 'Schlüssel machen…', none: 'Es gibt noch keinen Schlüssel. Programme, etwa Sensoren, zeigen einen statt einer Anmeldung.', loading: 'Fragt nach den Schlüsseln', failed: 'Die Schlüssel sind nicht bekannt: {why}', again: 'Noch einmal fragen',
    subject: 'Für', roles: 'Rollen', note: 'Notiz', made: 'Gemacht', used: 'Zuletzt benutzt', ends: 'Endet', state: 'Zustand', action: 'Aktion', never: 'nie', unknown: 'nicht bekannt', ago: 'vor {age}', by: 'von {who}', configured: 'in der Konfiguration',
    counts: 'gilt', revoked: 'zurückgenommen', over: 'abgelaufen', back: 'Zurücknehmen…',
    sure: 'Den Schlüssel von {who} zurücknehmen?', sureText: 'Er gilt von da an nicht mehr, und seine Streams enden. Das lässt sich nicht rückgängig machen.', yes: 'Zurücknehmen', cancel: 'Abbrechen', gone: 'Der Schlüssel von {who} wurde zurückgenommen.',
    mine: 'deiner', inactive: { one: '{n} zeigen, der nicht mehr gilt', other: '{n} zeigen, die nicht mehr gelten' },
  },
});

type State = 'counts' | 'revoked' | 'over';

const stateOf = ({ revoked_at: revokedAt, ends_at: endsAt }: Key): State =>
  (revokedAt !== undefined ? 'revoked' : endsAt !== undefined && endsAt <= serverNow() ? 'over' : 'counts');

/** Those that count first, then the newest. */
const inOrder = (a: Key, b: Key): number =>
  Number(stateOf(b) === 'counts') - Number(stateOf(a) === 'counts') || (b.made_at ?? 0) - (a.made_at ?? 0) || (a.id < b.id ? -1 : 1);

export function Keys() {
  const [keys, setKeys] = useState<Key[] | null>(null);
  const [fault, setFault] = useState('');
  const [isMaking, setMaking] = useState(false);
  const [leaving, setLeaving] = useState<Key | null>(null);
  const [showsAll, setShowsAll] = useState(false);
  const load = async () => {
    const answer = await ask<{ keys: Key[] }>('GET', 'v1/keys');
    if ('fault' in answer) return setFault(answer.fault);
    setFault('');
    setKeys(answer.value.keys.sort(inOrder));
  };
  useEffect(() => void load(), []);
  const count = keys?.filter((key) => stateOf(key) !== 'counts').length ?? 0;
  const shown = keys?.filter((key) => showsAll || stateOf(key) === 'counts') ?? [];
  return (
    <section class="panel" aria-labelledby="keys-title">
      <header class="heading">
        <h2 id="keys-title">{t('title')}</h2>
        <button type="button" onClick={() => setMaking(true)}>{t('make')}</button>
      </header>
      {fault && <p class="error" role="alert">{t('failed', { why: fault })} <button type="button" onClick={load}>{t('again')}</button></p>}
      {!keys && !fault && <p class="empty" aria-busy="true">{t('loading')}</p>}
      {keys?.length === 0 && <p class="empty">{t('none')}</p>}
      {shown.length > 0 && <Table keys={shown} onLeave={setLeaving} />}
      {count > 0 && !showsAll && <p><button type="button" onClick={() => setShowsAll(true)}>{t('inactive', { n: count })}</button></p>}
      {isMaking && <MakeKey roles={rolesOf(keys ?? [])} onMade={load} onClose={() => setMaking(false)} />}
      {leaving && <TakeBack of={leaving} onDone={load} onClose={() => setLeaving(null)} />}
    </section>
  );
}

/** Roles that keys have, to choose from. */
const rolesOf = (keys: readonly Key[]): string[] => [...new Set(keys.flatMap(({ roles }) => roles))].sort();

function Table({ keys, onLeave }: { keys: readonly Key[]; onLeave: (key: Key) => void }) {
  return (
    <table class="listing">
      <thead>
        <tr>{(['subject', 'roles', 'note', 'made', 'used', 'ends', 'state'] as const).map((name) => <th key={name} scope="col">{t(name)}</th>)}<th scope="col"><span class="unseen">{t('action')}</span></th></tr>
      </thead>
      <tbody>{keys.map((key) => <Row key={key.id} of={key} onLeave={onLeave} />)}</tbody>
    </table>
  );
}

function Row({ of: key, onLeave }: { of: Key; onLeave: (key: Key) => void }) {
  const state = stateOf(key);
  const isConfigured = key.source === 'configuration';
  const made = [key.made_at !== undefined && dateOf(key.made_at), isConfigured ? t('configured') : key.made_by && t('by', { who: visible(key.made_by) })];
  const used = key.last_used_at === undefined ? (isConfigured ? t('unknown') : t('never')) : t('ago', { age: age(serverNow() - key.last_used_at) });
  return (
    <tr class={state === 'counts' ? undefined : 'past'}>
      <th scope="row" data-label={t('subject')}><bdi>{visible(key.subject)}</bdi> {key.subject === subject.value && <span class="badge">{t('mine')}</span>} <code class="id">{key.id}</code></th>
      <td data-label={t('roles')}><List of={key.roles} /></td>
      <td data-label={t('note')}><bdi>{visible(key.note) || '–'}</bdi></td>
      <td data-label={t('made')}>{made.filter(Boolean).join(', ')}</td>
      <td data-label={t('used')}>{used}</td>
      <td data-label={t('ends')}>{key.ends_at === undefined ? t('never') : dateOf(key.ends_at)}</td>
      <td data-label={t('state')}>{t(state)}</td>
      <td class="act">{state === 'counts' && <button type="button" onClick={() => onLeave(key)}>{t('back')}</button>}</td>
    </tr>
  );
}

function TakeBack({ of: key, onDone, onClose }: { of: Key; onDone: () => void; onClose: () => void }) {
  const [fault, setFault] = useState('');
  const who = visible(key.subject);
  const send = async () => {
    const answer = await ask<unknown>('DELETE', `v1/keys/${encodeURIComponent(key.id)}`);
    if ('fault' in answer) return setFault(answer.fault);
    announce(t('gone', { who }));
    onDone();
    onClose();
  };
  return (
    <Dialog title={t('sure', { who })} onClose={onClose}>
      <p>{t('sureText')}</p>
      <p class="error" role="alert">{fault}</p>
      <p class="buttons"><button type="button" onClick={onClose}>{t('cancel')}</button><button type="button" class="danger" onClick={send}>{t('yes')}</button></p>
    </Dialog>
  );
}
