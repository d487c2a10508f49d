// What the page says.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    title: 'Live', span: 'Time span', minutes: '{n} min', hour: '1 h', pause: 'Pause', resume: 'Go on', paused: 'Paused at {time}',
    add: 'Metric, label or expression in PromQL', addHint: 'temperature oslo, or sum by (site) (rate(requests_total[1m]))', show: 'Show',
    added: '{what} is shown.', removed: '{what} is no longer shown.', full: 'There are {n} panels, as many as one page shows: remove one first.',
    remove: 'Remove {what}', edit: 'Change {what}', fires: 'fires', seriesCount: { one: '{n} series', other: '{n} series' },
    asking: 'Asking', live: 'Live', waiting: 'Waiting for the server', refused: 'Not followed',
    elements: { one: '{n} element', other: '{n} elements' }, drawn: '{drawn} of {n} are drawn, those that fire and those with the greatest values', many: 'at least {n}',
    nothing: 'Nothing answers it now.', wrongAt: 'At character {n}: {detail}', noAnswer: 'The server did not answer.', ended: 'The server follows it no more. {detail}',
    everyMs: 'Evaluated each {n} ms: the server has more to look at than it has time for.', noAnswerNow: 'No whole answer at the moment: {error}',
    legend: 'Series of {what}', series: 'Series', newest: 'Newest', at: 'At {time}', least: 'Least', most: 'Most', showLine: 'Show {what}', gone: 'gone', theAnswer: 'the answer', own: 'no labels of its own',
    limit: '{rule}: {operator} {value}', limits: 'Limits', pictureFailed: 'The picture did not come: reload the page.',
    values: 'Live values', find: 'Find', findHint: 'name or label', all: { one: '{n} series', other: '{n} series' }, found: '{found} of {n} series',
    left: { one: '{n} series of {metrics} metrics is not followed here: there are too many. Those that you look for come first.', other: '{n} series of {metrics} metrics are not followed here: there are too many. Those that you look for come first.' },
    chart: 'Chart', showAll: 'All {n} series', chartOf: 'Chart of {what}', moreSeries: { one: '{n} more: look for it by its labels.', other: '{n} more: look for them by their labels.' }, moreMetrics: { one: '{n} more metric: look for it by its name.', other: '{n} more metrics: look for them by their names.' },
    none: 'No samples have come yet.', noneFound: 'Nothing has this name or label.', since: '{age} ago', noRight: 'You may not see this: {detail}', cutOff: 'Not connected: values are of {age} ago.', to: '{least} to {most}',
    empty: 'Choose a metric, or write an expression. What is shown stands in the address: send it to whom you like.',
  },
  de: {
    title: 'Live', span: 'Zeitraum', minutes: '{n} min', hour: '1 h', pause: 'Anhalten', resume: 'Weiter', paused: 'Angehalten um {time}',
    add: 'Metrik, Label oder Ausdruck in PromQL', addHint: 'temperature oslo, oder sum by (site) (rate(requests_total[1m]))', show: 'Zeigen',
    added: '{what} wird gezeigt.', removed: '{what} wird nicht mehr gezeigt.', full: 'Es sind {n} Felder, so viele, wie eine Seite zeigt: erst eines entfernen.',
    remove: '{what} entfernen', edit: '{what} ändern', fires: 'löst aus', seriesCount: { one: '{n} Reihe', other: '{n} Reihen' },
    asking: 'Fragt', live: 'Live', waiting: 'Wartet auf den Server', refused: 'Nicht verfolgt',
    elements: { one: '{n} Element', other: '{n} Elemente' }, drawn: '{drawn} von {n} sind gezeichnet, die auslösen oder die größten Werte haben', many: 'mindestens {n}',
    nothing: 'Nichts entspricht dem jetzt.', wrongAt: 'Bei Zeichen {n}: {detail}', noAnswer: 'Der Server hat nicht geantwortet.', ended: 'Der Server verfolgt es nicht mehr. {detail}',
    everyMs: 'Alle {n} ms ausgewertet: Der Server hat mehr anzusehen, als er Zeit hat.', noAnswerNow: 'Gerade keine ganze Antwort: {error}',
    legend: 'Reihen von {what}', series: 'Reihe', newest: 'Neuester', at: 'Um {time}', least: 'Kleinster', most: 'Größter', showLine: '{what} zeigen', gone: 'weg', theAnswer: 'die Antwort', own: 'keine eigenen Labels',
    limit: '{rule}: {operator} {value}', limits: 'Grenzen', pictureFailed: 'Das Bild kam nicht an: Seite neu laden.',
    values: 'Live-Werte', find: 'Suchen', findHint: 'Name oder Label', all: { one: '{n} Reihe', other: '{n} Reihen' }, found: '{found} von {n} Reihen',
    left: { one: '{n} Reihe von {metrics} Metriken wird hier nicht verfolgt: Es sind zu viele. Gesuchte kommen zuerst.', other: '{n} Reihen von {metrics} Metriken werden hier nicht verfolgt: Es sind zu viele. Gesuchte kommen zuerst.' },
    chart: 'Bild', showAll: 'Alle {n} Reihen', chartOf: 'Bild von {what}', moreSeries: { one: '{n} weitere: nach ihren Labels suchen.', other: '{n} weitere: nach ihren Labels suchen.' }, moreMetrics: { one: '{n} weitere Metrik: nach ihrem Namen suchen.', other: '{n} weitere Metriken: nach ihren Namen suchen.' },
    none: 'Noch sind keine Messwerte gekommen.', noneFound: 'Nichts hat diesen Namen oder dieses Label.', since: 'vor {age}', noRight: 'Das darfst du nicht sehen: {detail}', cutOff: 'Nicht verbunden: Werte sind {age} alt.', to: '{least} bis {most}',
    empty: 'Eine Metrik wählen oder einen Ausdruck schreiben. Was gezeigt wird, steht in der Adresse: Sie lässt sich weitergeben.',
  },
});
