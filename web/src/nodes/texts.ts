// What the page of nodes says.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    title: 'Nodes', alone: 'This server stands alone.', aloneHint: 'With {flag} it shares its streams with every other node that names the same engine.',
    summary: { one: 'one node', other: '{n} nodes' }, cluster: 'cluster {name}', epoch: 'epoch {epoch}',
    standing: 'The node that answers', engine: 'The log', 'state.following': 'follows the log', 'state.starting': 'begins', 'state.away': 'The engine does not answer', 'state.unfit': 'The log cannot be used', 'state.stuck': 'Its own disk takes nothing', 'state.too_old': 'It is too old for what is in the log', behind: { one: 'one place behind', other: '{n} places behind' },
    kept: { one: 'the log keeps one place, up to {tail}', other: 'the log keeps {n} places, up to {tail}' }, losses: 'What the engine may lose of what it has acknowledged', noLosses: 'It says of nothing that it may lose it.',
    mixed: 'There are several versions: that is well while they are updated one after the other.', noDesk: 'No node has samples and alerts at the moment: one takes over.',
    node: 'Node', state: 'State', version: 'Version', address: 'Reached at', applied: 'Behind', action: 'Action', own: 'answers here', desk: 'samples and alerts', standby: 'hot standby', copies: 'becomes the standby',
    'is.there': 'is there', 'is.silent': 'silent for {age}', 'is.unknown': 'is being watched', unsaid: 'not said', upToDate: 'none',
    forget: 'Forget…', sure: 'Forget {node}?', sureText: 'It goes from the list, and holds the log no more. One that is there after all is back within seconds.', yes: 'Forget', cancel: 'Cancel', forgotten: '{node} was forgotten.', failed: 'It was not forgotten: {why}',
  },
  de: {
    title: 'Knoten', alone: 'Dieser Server steht allein.', aloneHint: 'Mit {flag} teilt er seine Ströme mit jedem anderen Knoten, der dieselbe Engine nennt.',
    summary: { one: 'ein Knoten', other: '{n} Knoten' }, cluster: 'Cluster {name}', epoch: 'Epoche {epoch}',
    standing: 'Der Knoten, der antwortet', engine: 'Das Log', 'state.following': 'folgt dem Log', 'state.starting': 'beginnt', 'state.away': 'Die Engine antwortet nicht', 'state.unfit': 'Das Log ist nicht zu gebrauchen', 'state.stuck': 'Seine eigene Platte nimmt nichts', 'state.too_old': 'Er ist zu alt für das, was im Log steht', behind: { one: 'eine Stelle zurück', other: '{n} Stellen zurück' },
    kept: { one: 'das Log hält eine Stelle, bis {tail}', other: 'das Log hält {n} Stellen, bis {tail}' }, losses: 'Was die Engine von Bestätigtem verlieren kann', noLosses: 'Sie sagt von nichts, dass sie es verlieren kann.',
    mixed: 'Es gibt mehrere Versionen: das ist gut, solange sie nacheinander erneuert werden.', noDesk: 'Gerade hat kein Knoten Messwerte und Alarme: einer übernimmt.',
    node: 'Knoten', state: 'Zustand', version: 'Version', address: 'Zu erreichen', applied: 'Zurück', action: 'Aktion', own: 'antwortet hier', desk: 'Messwerte und Alarme', standby: 'übernimmt sofort', copies: 'wird Reserve',
    'is.there': 'ist da', 'is.silent': 'still seit {age}', 'is.unknown': 'wird beobachtet', unsaid: 'nicht gesagt', upToDate: 'nichts',
    forget: 'Vergessen…', sure: '{node} vergessen?', sureText: 'Er geht von der Liste und hält das Log nicht mehr. Einer, der doch da ist, ist in Sekunden zurück.', yes: 'Vergessen', cancel: 'Abbrechen', forgotten: '{node} wurde vergessen.', failed: 'Er wurde nicht vergessen: {why}',
  },
});
