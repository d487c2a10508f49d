// Who else is at this board: heads and a number in the header, names in a sheet.

import { followers, isAlone, isFollowed, isKnown, people, type Person } from '../stores/presence.js';
import { texts } from '../text/text.js';
import { lazy } from '../ui/lazy.js';
import { Sheet } from '../ui/Sheet.js';
import { steady } from '../format/visible.js';

const t = texts({
  en: { unknown: 'Who is here is not known', alone: 'Only you', here: '{n} here', atBoard: '{n} at this board' },
  de: { unknown: 'Wer hier ist, ist nicht bekannt', alone: 'Nur du', here: '{n} hier', atBoard: '{n} an dieser Tafel' },
});

const Names = lazy(async () => (await import('./HereNames.js')).Names);

/** Heads that are drawn; the others are a number. */
const HEADS_MAX = 4;
const NUMBER_HEAD_MAX = 3;

export function Here() {
  if (!isFollowed.value) return null;
  const text = isAlone.value ? t('alone') : t('here', { n: followers.value });
  const title = !isKnown.value ? t('unknown') : isAlone.value ? t('alone') : t('atBoard', { n: followers.value });
  const button = (
    <>
      <Heads />
      <span class="here-count">{isKnown.value ? text : '–'}</span>
    </>
  );
  return <Sheet class="here" button={button} label={title} title={title}><Names /></Sheet>;
}

function Heads() {
  const shown = people.value.slice(0, HEADS_MAX);
  const rest = followers.value - shown.length;
  return (
    <span class="heads" aria-hidden="true">
      {shown.map((person) => <span key={person.key} class={person.isMe ? 'me' : undefined}>{head(person)}</span>)}
      {shown.length > 0 && rest > 0 && <span>+{rest}</span>}
    </span>
  );
}

/** The first letter as people see one, where the browser knows, or the number. */
function head({ name, number }: Person): string {
  if (name === null) return (number ?? '').slice(0, NUMBER_HEAD_MAX);
  const text = steady(name.trim());
  const first = Intl.Segmenter ? new Intl.Segmenter().segment(text).containing(0)?.segment : [...text][0];
  return first?.toUpperCase() ?? '?';
}
