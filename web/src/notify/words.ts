// What a notification says, in each language: of what is new, and of what fires in all. Pages and the
// service worker say the same.

import { filled, type Text, type Values } from '../text/filled.js';

export type Language = 'en' | 'de';

/** An alert that began to fire, or has resolved. */
export interface News {
  fingerprint: string;
  state: 'firing' | 'resolved';
  alertname: string;
  severity: string;
  labels: Record<string, string>;
  summary?: string | undefined;
  /** When, in milliseconds since 1970. */
  since: number;
}

/** What is told at once: as the server's push messages have it. */
export interface Told {
  news: readonly News[];
  /** How many are new besides. */
  more: number;
  /** How many of those have resolved; older messages do not say. */
  more_resolved?: number | undefined;
  /** How many fire in all of those that are told, by severity. */
  firing: Record<string, number>;
  time: number;
  about?: 'test' | 'ended' | undefined;
}

export interface Worded {
  title: string;
  body: string;
  /** Whether there is something that somebody has to know now. */
  isPressing: boolean;
  /** Where a click leads: the fragment of an address. */
  address: string;
}

/** News that a notification has a line for. */
const LINES_MAX = 5;

const TABLES = {
  en: {
    fires: '{name} fires',
    fireMany: { one: '{n} alert fires', other: '{n} alerts fire' },
    over: '{name} has resolved',
    overMany: { one: '{n} alert has resolved', other: '{n} alerts have resolved' },
    unnamed: 'An alert',
    line: '{severity}: {name}',
    resolved: 'resolved: {name}',
    more: '… and {n} more',
    all: { one: '{n} fires in all', other: '{n} fire in all' },
    none: 'Nothing of this fires any more.',
    test: 'Notifications reach this browser',
    testBody: 'This is a test. Alerts come like this, also while no page is open.',
    ended: 'Notifications have ended',
    endedBody: 'No page of Bellwire was open here for long. Open it once to go on.',
    unread: 'Something is new on the board',
    unreadBody: 'Open the board: this browser has an older version of it.',
  },
  de: {
    fires: '{name} löst aus',
    fireMany: { one: '{n} Alarm löst aus', other: '{n} Alarme lösen aus' },
    over: '{name} hat sich erledigt',
    overMany: { one: '{n} Alarm hat sich erledigt', other: '{n} Alarme haben sich erledigt' },
    unnamed: 'Ein Alarm',
    line: '{severity}: {name}',
    resolved: 'erledigt: {name}',
    more: '… und {n} weitere',
    all: { one: 'Insgesamt löst {n} aus', other: 'Insgesamt lösen {n} aus' },
    none: 'Davon löst nichts mehr aus.',
    test: 'Benachrichtigungen erreichen diesen Browser',
    testBody: 'Dies ist ein Test. So kommen Alarme, auch wenn keine Seite offen ist.',
    ended: 'Die Benachrichtigungen haben geendet',
    endedBody: 'Hier war lange keine Seite von Bellwire offen. Einmal öffnen, dann geht es weiter.',
    unread: 'Auf dem Board gibt es Neues',
    unreadBody: 'Das Board öffnen: Dieser Browser hat eine ältere Version davon.',
  },
} satisfies Record<Language, Record<string, Text>>;

export const languageOf = (tag: unknown): Language => (String(tag).slice(0, 2).toLowerCase() === 'de' ? 'de' : 'en');

export function worded(told: Told, language: Language): Worded {
  const t = (key: keyof typeof TABLES.en, values: Values = {}) => filled(TABLES[language][key], values, language);
  if (told.about === 'test') return { title: t('test'), body: t('testBody'), isPressing: true, address: '#/' };
  if (told.about === 'ended') return { title: t('ended'), body: t('endedBody'), isPressing: true, address: '#/' };

  const named = ({ alertname }: News) => alertname || t('unnamed');
  const firing = told.news.filter(({ state }) => state === 'firing');
  const resolved = told.news.filter(({ state }) => state === 'resolved');
  const all = Object.values(told.firing).reduce((sum, number) => sum + number, 0);
  // Where nothing says what has become of those that are only counted, as many fire as may.
  const fires = firing.length + (told.more_resolved === undefined
    ? Math.min(told.more, Math.max(0, all - firing.length))
    : Math.max(0, told.more - told.more_resolved));
  const isPressing = fires > 0;
  const count = isPressing ? fires : resolved.length + told.more;
  const [main] = isPressing ? firing : resolved;
  const turn = count === 1 && main
    ? t(isPressing ? 'fires' : 'over', { name: named(main) })
    : t(isPressing ? 'fireMany' : 'overMany', { n: count });
  // What is over is no all-clear while something else fires.
  const title = !isPressing && all > 0 ? `${t('all', { n: all })} · ${turn}` : turn;

  const lines = told.news.slice(0, LINES_MAX).map((one) => {
    const line = one.state === 'firing' ? t('line', { severity: one.severity, name: named(one) }) : t('resolved', { name: named(one) });
    const labels = Object.entries(one.labels).map(([name, value]) => `${name}=${value}`).join(' ');
    return [line, labels, one.state === 'firing' ? one.summary : undefined].filter(Boolean).join(' · ');
  });
  const unsaid = told.more + Math.max(0, told.news.length - LINES_MAX);
  if (unsaid > 0) lines.push(t('more', { n: unsaid }));
  if (all === 0 && !isPressing) lines.push(t('none'));
  else if (isPressing && all > firing.length) lines.push(t('all', { n: all }));
  return { title, body: lines.join('\n'), isPressing, address: addressOf(told) };
}

/** What is said where a message cannot be read. */
export function wordedUnread(language: Language): Worded {
  return { title: TABLES[language].unread, body: TABLES[language].unreadBody, isPressing: true, address: '#/' };
}

/** The board, at the alert where it is one. */
function addressOf({ news, more }: Told): string {
  const names = new Set(news.map(({ alertname }) => alertname));
  const [name] = names;
  if (names.size !== 1 || more > 0 || !name) return '#/alerts';
  const quoted = `alertname="${name.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
  return `#/alerts?${new URLSearchParams({ filter: quoted })}`;
}
