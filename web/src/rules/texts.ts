// What the page of rules says.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    title: 'Rules', all: { one: 'one rule', other: '{n} rules' }, find: 'Find a rule', only: 'Show', every: 'all', onlyFiring: 'that fire', onlyFailing: 'that fail', onlyBlind: 'that see no series',
    none: 'No rule is loaded, so nothing can fire but what others post. Start the server with rules:', noneFound: 'No rule is like this.', noneSeen: 'None of the rules that are loaded is yours to see.',
    reload: 'The rules in force are older than their files, which were wrong when they were read again. {detail}',
    rule: 'Rule', state: 'State', mode: 'Mode', series: 'Series', pace: 'Cost', sample: 'Last sample', details: 'Details of {name}',
    firing: { one: '{n} fires', other: '{n} fire' }, data_lost: { one: '{n} has lost its data', other: '{n} have lost their data' }, pending: { one: '{n} pending', other: '{n} pending' }, inactive: 'inactive', recording: 'records', failing: 'fails', unknown: 'not evaluated yet', blind: 'sees no series',
    stream: 'per sample', tick: 'each {every}', noSample: 'none since the start', notTold: 'not told',
    paceText: '{rate} evaluations', share: '{share} of what rules look at', waiting: 'measuring',
    expression: 'Expression', labels: 'Labels', annotations: 'Annotations', hold: 'For', keepFiring: 'Keeps firing for', why: 'Why on a tick', error: 'Last error', source: 'Source', line: '{file}, line {line}', since: 'Since it was loaded', done: '{evaluations} evaluations, {failures} failed, {looks} series looked at', memory: 'Memory', memoryText: '{series} a series and {sample} a sample', keeps: 'Keeps', keepsNewest: 'the newest sample', keepsFor: 'samples of {age}', restless: 'Looked at each second, since its value moves all the time.', parts: 'Parts', partsText: { one: '{series} series in one part', other: '{series} series in {n} parts' }, evaluated: 'Last evaluation', ago: '{age} ago',
    board: { one: 'The alert on the board', other: 'The {n} alerts on the board' }, tryIt: 'Try it',
    bench: 'Test bench', benchHint: 'An expression over what is in memory: what rules look at, and what they keep.', when: 'Over', now: 'now', minutes: { one: '{n} minute', other: '{n} minutes' }, hours: { one: '{n} hour', other: '{n} hours' },
    run: 'Evaluate', running: 'Evaluating', nothing: 'It comes to nothing: no series that is in memory fits, or none that passes the condition.', result: { one: 'one series', other: '{n} series' }, cut: 'the first {n} are shown', took: 'in {ms} ms', at: 'Line {line}, column {column}: {reason}', seriesColumn: 'Series', value: 'Value', course: 'Course', points: { one: 'one point', other: '{n} points, from {least} to {most}' }, failed: 'It cannot be evaluated: {detail}', empty: 'Write an expression first.', more: 'Show {n} more',
  },
  de: {
    title: 'Regeln', all: { one: 'eine Regel', other: '{n} Regeln' }, find: 'Eine Regel finden', only: 'Zeige', every: 'alle', onlyFiring: 'die ausgelöst sind', onlyFailing: 'die fehlschlagen', onlyBlind: 'die keine Reihe sehen',
    none: 'Es ist keine Regel geladen, also kann nichts auslösen, als was andere melden. Starte den Server mit Regeln:', noneFound: 'Keine Regel ist so.', noneSeen: 'Keine der geladenen Regeln darfst du sehen.',
    reload: 'Die geltenden Regeln sind älter als ihre Dateien, die beim erneuten Lesen fehlerhaft waren. {detail}',
    rule: 'Regel', state: 'Stand', mode: 'Art', series: 'Reihen', pace: 'Aufwand', sample: 'Letzte Messung', details: 'Einzelheiten zu {name}',
    firing: { one: '{n} ausgelöst', other: '{n} ausgelöst' }, data_lost: { one: '{n} ohne Daten', other: '{n} ohne Daten' }, pending: { one: '{n} schwebend', other: '{n} schwebend' }, inactive: 'ruhig', recording: 'zeichnet auf', failing: 'schlägt fehl', unknown: 'noch nicht ausgewertet', blind: 'sieht keine Reihe',
    stream: 'je Messung', tick: 'alle {every}', noSample: 'keine seit dem Start', notTold: 'wird nicht gesagt',
    paceText: '{rate} Auswertungen', share: '{share} dessen, was Regeln ansehen', waiting: 'wird gemessen',
    expression: 'Ausdruck', labels: 'Labels', annotations: 'Anmerkungen', hold: 'Für', keepFiring: 'Bleibt ausgelöst für', why: 'Warum im Takt', error: 'Letzter Fehler', source: 'Quelle', line: '{file}, Zeile {line}', since: 'Seit dem Laden', done: '{evaluations} Auswertungen, {failures} fehlgeschlagen, {looks} Reihen angesehen', memory: 'Speicher', memoryText: '{series} je Reihe und {sample} je Messung', keeps: 'Behält', keepsNewest: 'die neueste Messung', keepsFor: 'Messungen von {age}', restless: 'Jede Sekunde angesehen, weil der Wert sich immer bewegt.', parts: 'Teile', partsText: { one: '{series} Reihen in einem Teil', other: '{series} Reihen in {n} Teilen' }, evaluated: 'Letzte Auswertung', ago: 'vor {age}',
    board: { one: 'Der Alarm auf der Tafel', other: 'Die {n} Alarme auf der Tafel' }, tryIt: 'Ausprobieren',
    bench: 'Prüfstand', benchHint: 'Ein Ausdruck über das, was im Speicher ist: was Regeln ansehen und was sie behalten.', when: 'Über', now: 'jetzt', minutes: { one: '{n} Minute', other: '{n} Minuten' }, hours: { one: '{n} Stunde', other: '{n} Stunden' },
    run: 'Auswerten', running: 'Wird ausgewertet', nothing: 'Es ergibt nichts: Keine Reihe im Speicher passt, oder keine erfüllt die Bedingung.', result: { one: 'eine Reihe', other: '{n} Reihen' }, cut: 'die ersten {n} werden gezeigt', took: 'in {ms} ms', at: 'Zeile {line}, Spalte {column}: {reason}', seriesColumn: 'Reihe', value: 'Wert', course: 'Verlauf', points: { one: 'ein Punkt', other: '{n} Punkte, von {least} bis {most}' }, failed: 'Es lässt sich nicht auswerten: {detail}', empty: 'Schreib zuerst einen Ausdruck.', more: '{n} weitere zeigen',
  },
});
