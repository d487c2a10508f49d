// What is said of whether nothing fires.

import { age } from '../format/age.js';
import type { Proof } from '../stores/proof.js';
import { texts } from '../text/text.js';

export const t = texts({
  en: {
    calm: 'Nothing fires', calmSome: 'Nothing that you may see fires', calmBut: { one: 'Nothing fires but {n} that is silenced or inhibited', other: 'Nothing fires but {n} that are silenced or inhibited' },
    calmButSome: { one: 'Nothing that you may see fires but {n} that is silenced or inhibited', other: 'Nothing that you may see fires but {n} that are silenced or inhibited' }, unused: { one: '{n} rule finds no series', other: '{n} rules find no series' },
    rules: { one: 'one rule', other: '{n} rules' }, sample: 'last sample {age} ago', reload: 'newer rule files are wrong and not in force',
    login: 'Nobody is logged in: what fires is not known.', refused: 'Nothing is shown: {about}', connecting: 'Connecting: what fires is not known yet.', away: 'Not connected: what fires now is not known.',
    unknown: 'Whether rules are loaded is not known yet.', degraded: 'The server takes no events in, so what fires now may not be shown: {about}', unready: 'The server is not ready, so new alerts may not be told: {about}', unseen: 'You may see no alerts.',
    'no-rules': 'No rules are loaded, so only alerts that others post can fire. Give the server some with --rules.',
    'no-samples': { one: 'No sample has come yet that the rule asks for.', other: 'No sample has come yet that any of {n} rules asks for.' },
    'no-series': { one: 'What the rule asks for is not measured any more.', other: 'What {n} rules ask for is not measured any more.' },
    failing: { one: '{n} rule fails', other: '{n} rules fail' }, allFail: 'Rules fail ({failing}) or find no series ({unused}): what fires may not be known.',
    dropped: 'The server has refused series or alerts in the last minutes, since a limit is reached: some that fire may be missing.',
    'old-sample': 'The last sample came {age} ago: nothing is measured.', noProof: 'That nothing is listed here proves nothing.',
  },
  de: {
    calm: 'Nichts ist ausgelöst', calmSome: 'Nichts ist ausgelöst, was du sehen darfst', calmBut: { one: 'Nichts ist ausgelöst außer {n} stummen oder unterdrückten', other: 'Nichts ist ausgelöst außer {n} stummen oder unterdrückten' },
    calmButSome: { one: 'Nichts, was du sehen darfst, ist ausgelöst außer {n} stummen oder unterdrückten', other: 'Nichts, was du sehen darfst, ist ausgelöst außer {n} stummen oder unterdrückten' }, unused: { one: '{n} Regel findet keine Zeitreihe', other: '{n} Regeln finden keine Zeitreihe' },
    rules: { one: 'eine Regel', other: '{n} Regeln' }, sample: 'letzte Messung vor {age}', failing: { one: '{n} Regel schlägt fehl', other: '{n} Regeln schlagen fehl' }, reload: 'neuere Regeldateien sind fehlerhaft und gelten nicht',
    login: 'Niemand ist angemeldet: Was ausgelöst ist, ist nicht bekannt.', refused: 'Nichts wird gezeigt: {about}', connecting: 'Verbindet: Was ausgelöst ist, ist noch nicht bekannt.', away: 'Nicht verbunden: Was jetzt ausgelöst ist, ist nicht bekannt.',
    unknown: 'Ob Regeln geladen sind, ist noch nicht bekannt.', degraded: 'Der Server nimmt keine Ereignisse an, was jetzt auslöst, fehlt hier vielleicht: {about}', unready: 'Der Server ist nicht bereit, neue Alarme werden vielleicht nicht gemeldet: {about}', unseen: 'Du darfst keine Alarme sehen.',
    'no-rules': 'Es sind keine Regeln geladen, also können nur Alarme auslösen, die andere melden. Gib dem Server welche mit --rules.',
    'no-samples': { one: 'Es kam noch keine Messung, nach der die Regel fragt.', other: 'Es kam noch keine Messung, nach der eine von {n} Regeln fragt.' },
    'no-series': { one: 'Wonach die Regel fragt, wird nicht mehr gemessen.', other: 'Wonach {n} Regeln fragen, wird nicht mehr gemessen.' },
    allFail: 'Regeln schlagen fehl ({failing}) oder finden keine Zeitreihe ({unused}): Was ausgelöst ist, ist vielleicht nicht bekannt.',
    dropped: 'Der Server hat in den letzten Minuten Zeitreihen oder Alarme abgewiesen, weil eine Grenze erreicht ist: Ausgelöste können fehlen.',
    'old-sample': 'Die letzte Messung kam vor {age}: Es wird nichts gemessen.', noProof: 'Dass hier nichts steht, beweist nichts.',
  },
});

/** Why it is not known whether nothing fires. */
export function doubtText({ doubt, about, rules, failing, unused, sampleAgeMs }: Proof): string {
  if (doubt === 'failing') return t('allFail', { failing, unused });
  if (doubt === 'no-series') return t(doubt, { n: unused });
  return doubt ? t(doubt, { about, n: rules, age: age(sampleAgeMs ?? 0) }) : '';
}
