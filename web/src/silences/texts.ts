// What the page of silences says.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    title: 'Silences', add: 'New silence', filter: 'Filter', filterHint: 'Words of matchers, reasons, names', loading: 'Loading', none: 'There is no silence: everything that fires is notified.', noneMatches: 'None of {n} silences has these words.', stale: 'What stands here may be old: {why}', notLive: 'Not connected: nothing can be done now.',
    'state.active': 'In force', 'state.pending': 'To come', 'state.expired': 'Ended', more: '{n} more',
    by: 'by {who}', noReason: 'no reason given', endsIn: 'ends in {age}, {time}', beginsIn: 'begins in {age}, {time}, until {until}', endedAgo: 'ended {age} ago, {time}', untilResolved: 'or once all that it matches has resolved',
    silences: { one: 'Silences {n} alert', other: 'Silences {n} alerts' }, uncounted: 'What it silences', silencesNone: 'It silences nothing now.', change: 'Change', end: 'End', ending: 'Ending …', again: 'Again', ended: 'The silence has ended.',
  },
  de: {
    title: 'Stummschaltungen', add: 'Neue Stummschaltung', filter: 'Filter', filterHint: 'Wörter aus Matchern, Gründen, Namen', loading: 'Lädt', none: 'Nichts ist stumm: Über alles, was auslöst, wird benachrichtigt.', noneMatches: 'Keine von {n} Stummschaltungen hat diese Wörter.', stale: 'Was hier steht, ist vielleicht alt: {why}', notLive: 'Nicht verbunden: jetzt lässt sich nichts tun.',
    'state.active': 'In Kraft', 'state.pending': 'Kommende', 'state.expired': 'Beendet', more: '{n} weitere',
    by: 'von {who}', noReason: 'ohne Grund', endsIn: 'endet in {age}, {time}', beginsIn: 'beginnt in {age}, {time}, bis {until}', endedAgo: 'endete vor {age}, {time}', untilResolved: 'oder sobald alles, was passt, erledigt ist',
    silences: { one: 'Schaltet {n} Alarm stumm', other: 'Schaltet {n} Alarme stumm' }, uncounted: 'Was stumm ist', silencesNone: 'Jetzt ist nichts davon stumm.', change: 'Ändern', end: 'Beenden', ending: 'Beendet …', again: 'Noch einmal', ended: 'Die Stummschaltung ist beendet.',
  },
});
