// Who else is at this board, by name, and how somebody shows themselves to the others.

import { age } from '../format/age.js';
import { steady } from '../format/visible.js';
import {
  areUnnamed, followers, hereFor, hides, isKnown, NAME_LENGTH_MAX, ownName, people, type Person, setHides, showAs,
} from '../stores/presence.js';
import { subject } from '../stores/who.js';
import { texts } from '../text/text.js';
import { ticks } from '../ui/now.js';

const t = texts({
  en: {
    title: 'At this board', cutOff: 'Not connected. Who is here now is not known.', many: 'So many are here that they are not named.',
    nobody: 'Nobody who shows themselves.', name: 'Your name, as others see it', show: 'Show',
    shows: 'Others see that I am here', visitor: 'Visitor {number}', you: 'you', since: 'for {age}', more: '{n} more',
  },
  de: {
    title: 'An dieser Tafel', cutOff: 'Nicht verbunden. Wer jetzt hier ist, ist nicht bekannt.', many: 'Hier sind so viele, dass sie nicht genannt werden.',
    nobody: 'Niemand, der sich zeigt.', name: 'Dein Name, wie andere ihn sehen', show: 'Zeigen',
    shows: 'Andere sehen, dass ich hier bin', visitor: 'Gast {number}', you: 'du', since: 'seit {age}', more: '{n} weitere',
  },
});

/** Rows of the list; the number stands above it. */
const NAMED_MAX = 100;

export function Names() {
  const here = people.value;
  return (
    <>
      <h2>{t('title')}</h2>
      {!isKnown.value && <p class="empty">{t('cutOff')}</p>}
      <ul class={`names${isKnown.value ? '' : ' stale'}`} aria-label={t('title')}>
        {here.slice(0, NAMED_MAX).map((person) => <Row key={person.key} person={person} />)}
      </ul>
      {here.length > NAMED_MAX && <p class="empty">{t('more', { n: here.length - NAMED_MAX })}</p>}
      {isKnown.value && areUnnamed.value && <p class="empty">{t('many')}</p>}
      {isKnown.value && followers.value === 0 && <p class="empty">{t('nobody')}</p>}
      {subject.value === null && !hides.value && <NameForm />}
      <label class="check"><input type="checkbox" checked={!hides.value} onChange={({ currentTarget }) => setHides(!currentTarget.checked)} /> {t('shows')}</label>
    </>
  );
}

function NameForm() {
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    showAs(String(new FormData(event.currentTarget as HTMLFormElement).get('name') ?? ''));
  };
  return (
    <form class="name" onSubmit={send}>
      <label>{t('name')} <input name="name" defaultValue={ownName.value} maxLength={NAME_LENGTH_MAX} autocomplete="name" spellcheck={false} /></label>
      <button type="submit">{t('show')}</button>
    </form>
  );
}

function Row({ person }: { person: Person }) {
  // How long somebody is here grows by itself.
  void ticks.value;
  const visitor = person.number === null ? null : t('visitor', { number: person.number });
  const more = [person.isMe && t('you'), person.name !== null && visitor, t('since', { age: age(hereFor(person)) })];
  return <li><b><bdi>{person.name === null ? visitor : steady(person.name)}</bdi></b> <span>{more.filter(Boolean).join(' · ')}</span></li>;
}
