// Who did what: the stream `$sys/audit`, read from its beginning on as far as there is room, the newest
// first, and followed from there.

import { computed, signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { clockOf } from '../format/clock.js';
import { visible } from '../format/visible.js';
import { serverNow } from '../stores/clock.js';
import { texts } from '../text/text.js';
import { type Entry, followAudit, KINDS } from './log.js';

const t = texts({
  en: {
    title: 'Audit', what: 'Who did what, the newest first.', kind: 'What', all: 'everything', search: 'Search names, targets and addresses', none: 'Nothing has been done yet that is kept.', noMatch: 'Nothing of it matches.',
    loading: 'Reading', failed: 'It cannot be read: {why}', more: 'Show {n} more', shown: '{n} of {all}', limited: 'There is more than is read at a time: read up to {time}.', goOn: 'Read on', forgotten: 'Older entries are not shown any more.',
    time: 'When', who: 'Who', target: 'On what', rest: 'Besides', stranger: 'nobody known', others: { one: 'and {n} more that is counted', other: 'and {n} more that are counted' },
    login: 'logged in', logout: 'logged out', renewed: 'renewed a credential', refused: 'was refused', forbidden: 'was not allowed to', ticket_made: 'made a ticket', ticket_displaced: 'displaced a ticket’s stream',
    key_made: 'made a key', key_revoked: 'took a key back', revoked: 'took back', revocation_deleted: 'let count again', silenced: 'silenced', silence_ended: 'ended a silence', acknowledged: 'acknowledged', unacknowledged: 'let go of an alert',
    query_recorded: 'recorded a query', query_deleted: 'deleted a query', reloaded: 'had the rules read again', reload_failed: 'had the rules read again, which failed', recorded: 'read the rules’ log',
  },
  de: {
    title: 'Protokoll', what: 'Wer was getan hat, das Neueste zuerst.', kind: 'Was', all: 'alles', search: 'Namen, Ziele und Adressen durchsuchen', none: 'Noch wurde nichts getan, was aufbewahrt wird.', noMatch: 'Nichts davon passt.',
    loading: 'Liest', failed: 'Es ist nicht zu lesen: {why}', more: '{n} weitere zeigen', shown: '{n} von {all}', limited: 'Es ist mehr, als auf einmal gelesen wird: gelesen bis {time}.', goOn: 'Weiterlesen', forgotten: 'Ältere Einträge werden nicht mehr gezeigt.',
    time: 'Wann', who: 'Wer', target: 'Woran', rest: 'Außerdem', stranger: 'niemand Bekanntes', others: { one: 'und {n} weiterer, nur gezählt', other: 'und {n} weitere, nur gezählt' },
    login: 'hat sich angemeldet', logout: 'hat sich abgemeldet', renewed: 'hat einen Nachweis erneuert', refused: 'wurde abgewiesen', forbidden: 'durfte nicht', ticket_made: 'hat ein Ticket gemacht', ticket_displaced: 'hat den Stream eines Tickets verdrängt',
    key_made: 'hat einen Schlüssel gemacht', key_revoked: 'hat einen Schlüssel zurückgenommen', revoked: 'hat widerrufen', revocation_deleted: 'hat wieder gelten lassen', silenced: 'hat stummgeschaltet', silence_ended: 'hat eine Stummschaltung beendet', acknowledged: 'hat quittiert', unacknowledged: 'hat einen Alarm losgelassen',
    query_recorded: 'hat eine Abfrage gespeichert', query_deleted: 'hat eine Abfrage gelöscht', reloaded: 'ließ die Regeln neu lesen', reload_failed: 'ließ die Regeln neu lesen, was misslang', recorded: 'hat das Protokoll der Regeln gelesen',
  },
});

type Kind = (typeof KINDS)[number];
const isKind = (text: string): text is Kind => (KINDS as readonly string[]).includes(text);

/** Rows are shown so many at a time. */
const STEP = 100;

const kind = signal('');
const words = signal('');

export function Audit() {
  const [log] = useState(followAudit);
  const [count, setCount] = useState(STEP);
  useEffect(() => log.close, []);
  const [found] = useState(() => computed(() => log.entries.value.filter(matches)));
  const { entries, state } = log;
  const rows = found.value.slice(0, count);
  return (
    <section class="panel" aria-labelledby="audit-title">
      <header class="heading">
        <h2 id="audit-title">{t('title')}</h2>
        <p class="aside">{t('what')} {entries.value.length > 0 && t('shown', { n: found.value.length, all: entries.value.length })}</p>
      </header>
      <form class="narrow" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>{t('kind')} <select value={kind.value} onChange={({ currentTarget }) => { kind.value = currentTarget.value; }}>
          <option value="">{t('all')}</option>
          {KINDS.map((name) => <option key={name} value={name}>{t(name)}</option>)}
        </select></label>
        <input type="search" aria-label={t('search')} placeholder={t('search')} value={words.value} onInput={({ currentTarget }) => { words.value = currentTarget.value; }} />
      </form>
      {state.value.fault && <p class="error" role="alert">{t('failed', { why: state.value.fault })}</p>}
      {state.value.isReading && <p class="empty" aria-busy="true">{t('loading')}</p>}
      {!state.value.isReading && !state.value.fault && found.value.length === 0 && <p class="empty">{t(entries.value.length === 0 ? 'none' : 'noMatch')}</p>}
      {state.value.goOn && <p class="notice-line">{t('limited', { time: clockOf(entries.value[0]?.time ?? 0, serverNow()) })} <button type="button" onClick={state.value.goOn}>{t('goOn')}</button></p>}
      {rows.length > 0 && <Table rows={rows} />}
      {found.value.length > count && <p><button type="button" onClick={() => setCount(count + STEP)}>{t('more', { n: Math.min(STEP, found.value.length - count) })}</button></p>}
      {state.value.hasForgotten && <p class="aside">{t('forgotten')}</p>}
    </section>
  );
}

function matches({ type, text }: Entry): boolean {
  return (kind.value === '' || kind.value === type) && words.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function Table({ rows }: { rows: readonly Entry[] }) {
  return (
    <table class="listing log">
      <thead><tr><th scope="col">{t('time')}</th><th scope="col">{t('who')}</th><th scope="col">{t('kind')}</th><th scope="col">{t('target')}</th><th scope="col">{t('rest')}</th></tr></thead>
      <tbody>{rows.map((entry) => <Row key={entry.id} of={entry} />)}</tbody>
    </table>
  );
}

function Row({ of: { time, type, deed } }: { of: Entry }) {
  const { by, means, address, target, count, ...more } = deed;
  const rest = [means, address, ...Object.entries(more).map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)];
  return (
    <tr>
      <td data-label={t('time')}><time dateTime={new Date(time).toISOString()}>{clockOf(time, serverNow())}</time></td>
      <th scope="row" data-label={t('who')}><bdi>{by === undefined ? t('stranger') : visible(by)}</bdi></th>
      <td data-label={t('kind')}>{isKind(type) ? t(type) : visible(type)}{typeof count === 'number' && ` ${t('others', { n: count })}`}</td>
      <td data-label={t('target')}>{target === undefined ? '–' : <code><bdi>{visible(target)}</bdi></code>}</td>
      <td data-label={t('rest')} class="aside"><bdi>{visible(rest.filter(Boolean).join(' · '))}</bdi></td>
    </tr>
  );
}
