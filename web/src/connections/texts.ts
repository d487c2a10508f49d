// What the page of connections says.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    title: 'Connections', streams: { one: 'one stream', other: '{n} streams' }, polls: { one: 'one long poll waits', other: '{n} long polls wait' }, connections: { one: 'one connection of any kind', other: '{n} connections of any kind' }, refused: { one: 'one was refused', other: '{n} were refused' },
    transports: 'By transport', transport: 'Transport', encoding: 'Encoding', open: 'Open', opened: 'Opened since the start', perSecond: 'Opened now', noStreams: 'No stream is open but what this page itself needs.',
    laggards: 'Who lags', keepsUp: 'Everybody keeps up: no client is behind what there is.', more: { one: 'one more lags less', other: '{n} more lag less' }, client: 'Client', follows: 'Follows', behind: 'Events behind', behindBy: 'By', stalled: 'Takes nothing for', cursor: 'Cursor',
    lagHint: 'A client that lags is not cut off: it gets what it lacks, or is told of a gap. One that takes no byte for a minute is.',
    closed: 'Why streams have ended', noneClosed: 'No stream has ended since the server began.', reason: 'Reason', when: 'When', duration: 'Open for', bytes: 'Got', subject: 'Who', lagged: 'lagged', show: 'Show', every: 'all reasons', faults: 'those that are a fault', what: 'What to do', ago: '{age} ago', total: { one: 'one since the start', other: '{n} since the start' }, left: { one: 'and one more', other: 'and {n} more' }, nobody: 'nobody known', shownOf: 'Of each reason the 32 newest are kept.', atMost: 'at least {bytes}',
  },
  de: {
    title: 'Verbindungen', streams: { one: 'ein Strom', other: '{n} Ströme' }, polls: { one: 'ein Long Poll wartet', other: '{n} Long Polls warten' }, connections: { one: 'eine Verbindung jeder Art', other: '{n} Verbindungen jeder Art' }, refused: { one: 'eine wurde abgewiesen', other: '{n} wurden abgewiesen' },
    transports: 'Nach Transport', transport: 'Transport', encoding: 'Kodierung', open: 'Offen', opened: 'Geöffnet seit dem Start', perSecond: 'Geöffnet jetzt', noStreams: 'Kein Strom ist offen außer dem, den diese Seite selbst braucht.',
    laggards: 'Wer zurückliegt', keepsUp: 'Alle kommen mit: Kein Client liegt hinter dem zurück, was da ist.', more: { one: 'einer mehr liegt weniger zurück', other: '{n} weitere liegen weniger zurück' }, client: 'Client', follows: 'Folgt', behind: 'Ereignisse zurück', behindBy: 'Um', stalled: 'Nimmt nichts seit', cursor: 'Cursor',
    lagHint: 'Ein Client, der zurückliegt, wird nicht abgeschnitten: Er bekommt, was ihm fehlt, oder erfährt von einer Lücke. Wer eine Minute kein Byte nimmt, schon.',
    closed: 'Warum Ströme geendet haben', noneClosed: 'Seit dem Start des Servers hat kein Strom geendet.', reason: 'Grund', when: 'Wann', duration: 'Offen', bytes: 'Bekam', subject: 'Wer', lagged: 'lag zurück', show: 'Zeige', every: 'alle Gründe', faults: 'die ein Fehler sind', what: 'Was zu tun ist', ago: 'vor {age}', total: { one: 'einer seit dem Start', other: '{n} seit dem Start' }, left: { one: 'und einer mehr', other: 'und {n} weitere' }, nobody: 'niemand bekannt', shownOf: 'Von jedem Grund werden die 32 neuesten behalten.', atMost: 'mindestens {bytes}',
  },
});

const names = texts({
  en: {
    client_closed: 'The client closed it', connection_lost: 'The connection was lost', stalled: 'The client took nothing', unanswered: 'The client did not answer', input_exceeded: 'The client sent too much', protocol_violation: 'The client broke the protocol', hoarding: 'The client left too much unfinished', held_up_others: 'It held up others', credential_expired: 'The credential ended', credential_revoked: 'The credential was taken back', displaced: 'Another connection took its ticket', forbidden: 'Its rights ended', rights_changed: 'Its rights changed', topics_ended: 'Its topics ended', journal_unreadable: 'The journal could not be read', drain: 'The server ended', server_fault: 'A fault of the server',
  },
  de: {
    client_closed: 'Der Client hat geschlossen', connection_lost: 'Die Verbindung ging verloren', stalled: 'Der Client nahm nichts', unanswered: 'Der Client antwortete nicht', input_exceeded: 'Der Client schickte zu viel', protocol_violation: 'Der Client verletzte das Protokoll', hoarding: 'Der Client ließ zu viel unvollendet', held_up_others: 'Er hielt andere auf', credential_expired: 'Der Ausweis lief ab', credential_revoked: 'Der Ausweis wurde entzogen', displaced: 'Eine andere Verbindung nahm sein Ticket', forbidden: 'Seine Rechte endeten', rights_changed: 'Seine Rechte änderten sich', topics_ended: 'Seine Topics endeten', journal_unreadable: 'Das Journal war nicht zu lesen', drain: 'Der Server endete', server_fault: 'Ein Fehler des Servers',
  },
});

const meanings = texts({
  en: {
    client_closed: 'A page was left, or a program ended. Nothing to do.', connection_lost: 'It was reset, or the network says that nobody is there any more: a laptop that sleeps, a proxy that restarts. The client comes back with its cursor.', stalled: 'For a minute it took no byte although there was something to send: a sleeping device, a program that does not read, or a proxy that buffers. See the laggards.', unanswered: 'Two pings had no answer, or a message was not completed: the client has vanished, or something between passes no pings on.', input_exceeded: 'It sent more than 64 KiB on a stream to which nobody listens: it should use a WebSocket, or POST.', protocol_violation: 'What it sent on its WebSocket is no frame, no UTF-8, or of the wrong kind: look at that client’s library.', hoarding: 'It began messages and did not end them, and the server held too much of that.', held_up_others: 'Too many deleted keys waited for it alone: it reads too slowly for this state topic. max_rate helps.', credential_expired: 'It showed nothing newer in time: the client should renew its token.', credential_revoked: 'Somebody has taken it back. The audit says who.', displaced: 'A client came back with the same ticket before this one was gone. Nothing to do.', forbidden: 'What it was renewed with lets it read nothing of this.', rights_changed: 'It sees other alerts or series now, and comes back for them.', topics_ended: 'Everything that it followed is complete. Nothing to do.', journal_unreadable: 'Look at the disk and at the log: readers were sent away.', drain: 'It shut down and said so: clients come back by themselves.', server_fault: 'An invariant was broken for this connection. The log has more; please report it.',
  },
  de: {
    client_closed: 'Eine Seite wurde verlassen, oder ein Programm endete. Nichts zu tun.', connection_lost: 'Sie wurde zurückgesetzt, oder das Netz sagt, dass niemand mehr da ist: ein Laptop, der schläft, ein Proxy, der neu startet. Der Client kommt mit seinem Cursor zurück.', stalled: 'Eine Minute lang nahm er kein Byte, obwohl es etwas zu senden gab: ein schlafendes Gerät, ein Programm, das nicht liest, oder ein Proxy, der puffert. Siehe: Wer zurückliegt.', unanswered: 'Zwei Pings blieben ohne Antwort, oder eine Nachricht wurde nicht fertig: Der Client ist verschwunden, oder etwas dazwischen leitet keine Pings weiter.', input_exceeded: 'Er schickte mehr als 64 KiB auf einem Strom, dem niemand zuhört: Er sollte einen WebSocket benutzen, oder POST.', protocol_violation: 'Was er auf seinem WebSocket schickte, ist kein Frame, kein UTF-8 oder von der falschen Art: Sieh dir die Bibliothek dieses Clients an.', hoarding: 'Er begann Nachrichten und beendete sie nicht, und der Server hielt zu viel davon.', held_up_others: 'Zu viele gelöschte Schlüssel warteten nur auf ihn: Er liest zu langsam für dieses Zustands-Topic. max_rate hilft.', credential_expired: 'Er zeigte nicht rechtzeitig etwas Neueres: Der Client sollte sein Token erneuern.', credential_revoked: 'Jemand hat ihn entzogen. Das Audit sagt, wer.', displaced: 'Ein Client kam mit demselben Ticket zurück, bevor dieser weg war. Nichts zu tun.', forbidden: 'Womit er erneuert wurde, lässt ihn nichts davon lesen.', rights_changed: 'Er sieht jetzt andere Alarme oder Reihen und kommt für sie zurück.', topics_ended: 'Alles, dem er folgte, ist vollständig. Nichts zu tun.', journal_unreadable: 'Sieh nach der Platte und ins Log: Leser wurden weggeschickt.', drain: 'Er fuhr herunter und sagte es: Clients kommen von selbst zurück.', server_fault: 'Für diese Verbindung war eine Invariante gebrochen. Mehr steht im Log; bitte melden.',
  },
});

type Reason = Parameters<typeof names>[0];

const KNOWN: readonly string[] = ['client_closed', 'connection_lost', 'stalled', 'unanswered', 'input_exceeded', 'protocol_violation', 'hoarding', 'held_up_others', 'credential_expired', 'credential_revoked', 'displaced', 'forbidden', 'rights_changed', 'topics_ended', 'journal_unreadable', 'drain', 'server_fault'] satisfies Reason[];

const isKnown = (reason: string): reason is Reason => KNOWN.includes(reason);

/** A reason in words. One of a newer server is shown as it is called there. */
export const reasonName = (reason: string): string => (isKnown(reason) ? names(reason) : reason);

/** What it means, and what to do. */
export const reasonMeaning = (reason: string): string => (isKnown(reason) ? meanings(reason) : '');
