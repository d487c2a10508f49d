// The server's reasons in German, by their codes. One that is not here is shown in the server's words.

import { language } from '../text/text.js';
import type { Reason } from './data.js';

type Say = (number: (name: string) => string) => string;

const GERMAN: Record<string, Say> = {
  goes_down: (v) => `Alles geht zu den Clients: ${v('down_per_second')} je Sekunde zu jedem.`,
  goes_up: (v) => `Alles kommt von den Clients: ${v('up_per_second')} je Sekunde von jedem.`,
  goes_both_ways: (v) => `${v('down_per_second')} je Sekunde gehen zu jedem Client, ${v('up_per_second')} kommen von jedem.`,
  sends_often: (v) => `Jeder Client sendet ${v('posts_per_second')}-mal je Sekunde, öfter als etwa einmal: Um ein POST liegen ${v('bytes_around_post')} Bytes und die Köpfe der Browser, um einen Frame samt Antwort ${v('bytes_around_frame')}.`,
  sends_gathered: (v) => `Was ein Client sendet, darf warten: Ein POST nimmt mit, was inzwischen kam, ${v('posts_per_second')}-mal je Sekunde.`,
  sends_seldom: (v) => `Ein Client sendet ${v('posts_per_second')}-mal je Sekunde: Dafür sind Anfragen da, und die Verbindung der Seite wird wieder benutzt.`,
  binary: (v) => `Die Nutzlast ist binär: Als Text ist sie Base64, ${v('bytes_per_second_more')} Bytes je Sekunde mehr für jeden Client. Ein WebSocket hat sie, wie sie ist.`,
  plain_http: () => 'SSE ist einfaches HTTP: Jeder Client liest es, `curl` zeigt es, es setzt mit seinem Cursor von selbst fort, und Proxys, Protokolle und Rechte sind die jeder Anfrage.',
  hybrid: () => 'Hinab über SSE, hinauf über POST: jede Richtung auf ihrem Weg, und ein gesendetes Ereignis kommt in derselben Reihenfolge zurück wie alle anderen.',
  websocket_passes: () => 'Ein WebSocket kommt durch, denn eine Verbindung nach dem Upgrade wird weitergereicht, wie sie ist.',
  poll_passes: () => 'Ein Long Poll ist eine Antwort, die endet, also hält sie nichts zurück: der letzte Ausweg, mit demselben Cursor.',
  nothing_comes_back: () => 'Zurück kommt nur die Antwort, also braucht es keinen Stream.',
  held_back: () => 'Ein Proxy auf dem Weg hält eine Antwort zurück, bis sie endet, und ein Stream endet nie. Ist es deiner, dann sagt docs/proxies.md, wie er Streams durchlässt.',
  websockets_blocked: () => 'WebSockets kommen nicht durch, also muss etwas anderes reichen.',
  proxies_unknown: () => 'Was Proxys tun, ist nicht bekannt: docs/proxies.md richtet sie ein, und @bellwire/client weicht auf WebSocket oder Long Poll aus, wo ein Stream stumm bleibt.',
  websockets_unknown: () => 'Ob WebSockets durchkommen, ist nicht bekannt: Manche Firmennetze beenden sie. Derselbe Cursor geht über SSE weiter.',
  new_to_team: () => 'Ein WebSocket ist im Zugriffsprotokoll eine einzige Anfrage: Nachrichten, Rückstände und Enden zählt der Server, in `/metrics` und `$sys/connections`.',
  six_connections: () => 'Ohne HTTP/2 hat ein Browser sechs Verbindungen zu einem Server, für alle Tabs zusammen, und ein Stream nimmt eine: mit TLS, oder mit `tabs` von @bellwire/client, das eine teilt.',
  no_back_cache: () => 'Eine Seite mit offenem WebSocket wird für den Zurück-Knopf nicht behalten: Er wird in `pagehide` geschlossen, wie es @bellwire/client tut.',
  samples: () => 'Messwerte sind Samples und keine Ereignisse: docs/ingest hat dafür MQTT, das Line Protocol und JSON.',
  faster_than_read: (v) => `${v('down_per_second')} je Sekunde liest niemand: Zählt nur der neueste Wert, dann sendet ein State-Topic mit \`max_rate=5\` jeden Schlüssel höchstens fünfmal je Sekunde.`,
  poll_is_late: () => 'Ein Ereignis, das kommt, während neu gefragt wird, ist einen Weg hin und her später, und dafür ist vielleicht keine Zeit.',
  ask_now_and_then: () => 'So spät darf ein Ereignis sein, dass ein GET mit dem letzten Cursor dann und wann dasselbe bringt und keine Verbindung hält.',
  compressed: () => 'Ereignisse dieser Größe werden unterwegs komprimiert, wo der Client es annimmt, wie Browser es tun: Von Text bleibt ein Bruchteil.',
  shares_websocket: (v) => `Ein Client, der für ${v('flows')} ohnehin einen WebSocket hat, kann auch diesem darüber folgen: eine Verbindung, eine Reihenfolge, ein Cursor.`,
  too_little: () => 'Es ist noch zu wenig, um etwas zu sagen.',
  published: (v) => `${v('requests_per_second')} Anfragen je Sekunde senden hierhin.`,
  followers_may_send_often: (v) => `Wenn die senden, die diesen Topics über Streams folgen, dann jeder ${v('posts_per_second')}-mal je Sekunde: Ein WebSocket hätte weniger um jedes Ereignis.`,
  polls_may_be_needed: () => 'Wo nichts anderes durchkommt, bleiben Long Polls richtig: @bellwire/client versucht zuerst Streams und kommt auf sie zurück.',
  could_change: (v) => `${v('percent')} % von dem, was hier läuft, geht zu den Clients. Gespart würden ${v('requests_per_second')} Anfragen und ${v('bytes_per_second')} Bytes je Sekunde und ${v('memory_bytes')} Bytes Speicher; was unter null ist, käme hinzu.`,
  change_saves_nothing: () => 'Etwas anderes ginge auch, spart aber nichts, was den Wechsel lohnt.',
};

export function reasonText(reason: Reason): string {
  const say = language.value === 'de' && Object.hasOwn(GERMAN, reason.code) ? GERMAN[reason.code]! : null;
  if (!say) return reason.text;
  const values: NonNullable<Reason['values']> = { ...reason.values };
  if (typeof values.down_share === 'number') values.percent = values.down_share * 100;
  return say((name) => {
    const value = values[name];
    if (Array.isArray(value)) return value.join(', ');
    return typeof value === 'number' ? value.toLocaleString('de', { maximumSignificantDigits: 3 }) : value ?? '?';
  });
}
