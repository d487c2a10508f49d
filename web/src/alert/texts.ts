// What the page of one alert says.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    close: 'Close', loading: 'Loading', unreachable: 'The server cannot be reached.',
    missing: 'This alert is on no board, and nothing is kept of what became of it; or you may not see it.', reading: 'The server has just started and still reads what was before.', stale: 'What stands here may be old: {why}',
    acknowledge: 'Acknowledge', 'take-back': 'Take back', assign: 'Assign', comment: 'Comment', silence: 'Silence', copy: 'Copy the address', copied: 'Copied',
    'state.firing': 'firing', 'state.acknowledged': 'acknowledged', 'state.data_lost': 'data lost', 'state.pending': 'pending', 'state.silenced': 'silenced', 'state.inhibited': 'inhibited', 'state.resolved': 'resolved',
    why: 'Why', todo: 'What to do', care: 'Who is on it', past: 'What happened', labels: 'Labels', notified: 'Who was told',
    value: 'Value', threshold: 'Compared with', pendingSince: 'The condition holds since', pendedSince: 'The condition held since', firingSince: 'Fires since', firedSince: 'Fired at', resolvedAt: 'Resolved', holdFor: 'Has to hold for', keepFor: 'Goes on for', ago: '{age} ago', lasted: 'after {age}', atTime: 'measured {time}',
    expression: 'Expression', source: 'Rule', ruleGone: 'The rule is there no more.', posted: 'Posted by another system', generator: 'Where it comes from', latency: 'Sample to screen', ms: '{n} ms',
    chart: 'The newest value is {value}.', chartBound: 'It is compared with {bounds}.', noValues: 'No values are remembered of what the rule compares.', noRight: 'Values: {why}',
    fires: 'fires', resolved: 'resolves', dataLost: 'data lost',
    runbook: 'Runbook', dashboard: 'Dashboard', noRunbook: 'The rule names no runbook (annotation runbook_url).',
    nobody: 'Nobody has taken it up.', has: '{who} has it, since {time}', hasNote: '{who} has it, since {time}: {note}', assigned: '{to} is to see to it, says {by}', silencedBy: 'Silenced until {time} by {who}', willSilence: 'To be silenced from {from} to {time} by {who}', wasSilenced: 'Was silenced until {time} by {who}', untilResolved: 'or until all it matches has resolved', moreSilences: 'There are more silences that match it.', inhibitedBy: 'Kept quiet by', comments: 'Comments', say: 'Say something', send: 'Send', sending: 'Sending …', by: 'Your name', nameNeeded: 'Say who you are.', overOnly: 'It is over: what is said now stands in the history alone.',
    change: 'Change', end: 'End', ending: 'Ending …', ended: 'The silence has ended.',
    toldFiring: 'was told that it fires', toldResolved: 'was told that it resolved', toldOther: 'was told', toldFailed: 'could not be told', tries: { one: 'at once', other: 'at attempt {n}' }, notTold: 'Nobody was told, as far as is known.', again: 'once more', times: '× {n}', webhook: 'webhook {n}', answers: 'it answers {status}',
    'verb.alert.firing': 'fires', 'verb.alert.data_lost': 'is silent: its data is lost', 'verb.alert.resolved': 'resolved', 'verb.alert.acknowledged': '{who} took it up', 'verb.alert.unacknowledged': 'nobody is on it any more', 'verb.alert.assigned': '{who} is to see to it', 'verb.alert.unassigned': 'nobody is to see to it any more', 'verb.alert.commented': '{who} said', says: 'says {who}', at: 'at {value}', last: 'last {value}', after: 'after {age}', then: 'The expression of then',
    others: { one: '{who} has this alert open, too.', other: '{who} have this alert open, too.' }, unnamed: { one: '{n} other', other: '{n} others' },
    older: 'Older', nothing: 'Nothing is kept of what became of it.', since: 'What was before {time} may be gone.',
  },
  de: {
    close: 'Schließen', loading: 'Lädt', unreachable: 'Der Server ist nicht erreichbar.',
    missing: 'Dieser Alarm steht auf keiner Tafel, und was aus ihm wurde, ist nicht bekannt; oder du darfst ihn nicht sehen.', reading: 'Der Server ist gerade gestartet und liest noch, was vorher war.', stale: 'Was hier steht, ist vielleicht alt: {why}',
    acknowledge: 'Übernehmen', 'take-back': 'Zurücknehmen', assign: 'Zuweisen', comment: 'Kommentieren', silence: 'Stummschalten', copy: 'Adresse kopieren', copied: 'Kopiert',
    'state.firing': 'ausgelöst', 'state.acknowledged': 'übernommen', 'state.data_lost': 'Daten fehlen', 'state.pending': 'wartend', 'state.silenced': 'stumm', 'state.inhibited': 'unterdrückt', 'state.resolved': 'erledigt',
    why: 'Warum', todo: 'Was zu tun ist', care: 'Wer sich kümmert', past: 'Was war', labels: 'Labels', notified: 'Wer benachrichtigt wurde',
    value: 'Wert', threshold: 'Verglichen mit', pendingSince: 'Die Bedingung gilt seit', pendedSince: 'Die Bedingung galt seit', firingSince: 'Ausgelöst seit', firedSince: 'Ausgelöst', resolvedAt: 'Erledigt', holdFor: 'Muss gelten', keepFor: 'Geht weiter', ago: 'vor {age}', lasted: 'nach {age}', atTime: 'gemessen {time}',
    expression: 'Ausdruck', source: 'Regel', ruleGone: 'Die Regel gibt es nicht mehr.', posted: 'Von einem anderen System gemeldet', generator: 'Woher er kommt', latency: 'Von der Messung zum Schirm', ms: '{n} ms',
    chart: 'Der neueste Wert ist {value}.', chartBound: 'Er wird verglichen mit {bounds}.', noValues: 'Von dem, was die Regel vergleicht, sind keine Werte bekannt.', noRight: 'Werte: {why}',
    fires: 'ausgelöst', resolved: 'erledigt', dataLost: 'Daten fehlen',
    runbook: 'Runbook', dashboard: 'Dashboard', noRunbook: 'Die Regel nennt kein Runbook (Annotation runbook_url).',
    nobody: 'Niemand kümmert sich.', has: '{who} kümmert sich, seit {time}', hasNote: '{who} kümmert sich, seit {time}: {note}', assigned: '{to} soll sich kümmern, sagt {by}', silencedBy: 'Stumm bis {time}, von {who}', willSilence: 'Wird stumm von {from} bis {time}, von {who}', wasSilenced: 'War stumm bis {time}, von {who}', untilResolved: 'oder bis alles, was passt, erledigt ist', moreSilences: 'Es gibt weitere Stummschaltungen, die passen.', inhibitedBy: 'Unterdrückt von', comments: 'Kommentare', say: 'Etwas sagen', send: 'Senden', sending: 'Sendet …', by: 'Dein Name', nameNeeded: 'Sag, wer du bist.', overOnly: 'Er ist erledigt: Was jetzt gesagt wird, steht nur im Verlauf.',
    change: 'Ändern', end: 'Beenden', ending: 'Beendet …', ended: 'Die Stummschaltung ist beendet.',
    toldFiring: 'hat erfahren, dass er ausgelöst ist', toldResolved: 'hat erfahren, dass er erledigt ist', toldOther: 'wurde benachrichtigt', toldFailed: 'war nicht zu erreichen', tries: { one: 'sofort', other: 'beim {n}. Versuch' }, notTold: 'Soweit bekannt, wurde niemand benachrichtigt.', again: 'noch einmal', times: '× {n}', webhook: 'Webhook {n}', answers: 'antwortet {status}',
    'verb.alert.firing': 'ausgelöst', 'verb.alert.data_lost': 'schweigt: Seine Daten fehlen', 'verb.alert.resolved': 'erledigt', 'verb.alert.acknowledged': '{who} kümmert sich', 'verb.alert.unacknowledged': 'niemand kümmert sich mehr', 'verb.alert.assigned': '{who} soll sich kümmern', 'verb.alert.unassigned': 'niemand soll sich mehr kümmern', 'verb.alert.commented': '{who} sagt', says: 'sagt {who}', at: 'bei {value}', last: 'zuletzt {value}', after: 'nach {age}', then: 'Der Ausdruck von damals',
    others: { one: '{who} hat diesen Alarm auch offen.', other: '{who} haben diesen Alarm auch offen.' }, unnamed: { one: '{n} weitere Person', other: '{n} weitere' },
    older: 'Ältere', nothing: 'Was aus ihm wurde, ist nicht bekannt.', since: 'Was vor {time} war, ist vielleicht weg.',
  },
});
