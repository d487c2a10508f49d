// What the page of all that happens says.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    title: 'History', what: 'What happens to alerts, the newest first.', kind: 'What', filter: 'Filter', filterHint: 'severity="critical", or any word',
    'kind.all': 'Everything', 'kind.turns': 'Fired, resolved, data lost', 'kind.people': 'What people did',
    shown: { one: '{n} of {all} read', other: '{n} of {all} read' }, reading: 'Reading …', none: 'Nothing has happened yet that is kept.', noMatch: 'Nothing of what is read matches.',
    waits: { one: '{n} new · show', other: '{n} new · show' }, older: 'Older', whole: 'What was before is not kept.', full: 'That is as much as is shown at once. The page of an alert has all of it.',
    failed: 'It could not be read: {why}', unreachable: 'The server cannot be reached.', again: 'Try again',
    gap: 'Events are missing here: {why}', 'gap.expired': 'they were too old to be kept', 'gap.epoch': 'the server has begun anew',
    hole: 'More happened here than is read at once.', fill: 'Read on', named: 'without a name',
  },
  de: {
    title: 'Verlauf', what: 'Was mit Alarmen geschieht, das Neueste zuerst.', kind: 'Was', filter: 'Filter', filterHint: 'severity="critical", oder ein Wort',
    'kind.all': 'Alles', 'kind.turns': 'Ausgelöst, erledigt, Daten fehlen', 'kind.people': 'Was Menschen taten',
    shown: { one: '{n} von {all} gelesenen', other: '{n} von {all} gelesenen' }, reading: 'Liest …', none: 'Noch ist nichts geschehen, was aufbewahrt wird.', noMatch: 'Nichts des Gelesenen passt.',
    waits: { one: '{n} neu · zeigen', other: '{n} neu · zeigen' }, older: 'Ältere', whole: 'Was davor war, ist nicht aufbewahrt.', full: 'Mehr wird auf einmal nicht gezeigt. Die Seite eines Alarms hat alles von ihm.',
    failed: 'Es ist nicht zu lesen: {why}', unreachable: 'Der Server ist nicht zu erreichen.', again: 'Noch einmal',
    gap: 'Hier fehlen Ereignisse: {why}', 'gap.expired': 'Sie waren zu alt, um aufbewahrt zu werden', 'gap.epoch': 'Der Server hat neu begonnen',
    hole: 'Hier geschah mehr, als auf einmal gelesen wird.', fill: 'Weiterlesen', named: 'ohne Namen',
  },
});
