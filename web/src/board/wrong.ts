// What is wrong with a filter, in words: loaded when something is.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    slow: 'Not applied, for it takes too long: {about}',
    quote: 'The quotation mark is not closed.', character: '“{about}” cannot stand here.', value: 'A value is missing behind “{about}”.',
    unopened: '“)” without “(” in the expression.', unclosed: '“{about}” is not closed in the expression.', repetition: 'Nothing stands before a repetition in the expression.',
    count: 'A count in the expression is none: {2} or {2,5}, 1000 at most.', depth: 'Too many groups within groups.', group: 'RE2 has no group of this kind, such as a look-ahead.',
    escape: '“{about}” is not known in an expression.', range: 'A range in the expression is none.', class: '“{about}” is no class that is known.', long: 'The expression is too long once its repetitions are written out.',
  },
  de: {
    slow: 'Wirkt nicht, denn es dauert zu lange: {about}',
    quote: 'Das Anführungszeichen ist nicht geschlossen.', character: '„{about}“ kann hier nicht stehen.', value: 'Hinter „{about}“ fehlt ein Wert.',
    unopened: '„)“ ohne „(“ im Ausdruck.', unclosed: '„{about}“ ist im Ausdruck nicht geschlossen.', repetition: 'Vor einer Wiederholung im Ausdruck steht nichts.',
    count: 'Eine Anzahl im Ausdruck ist keine: {2} oder {2,5}, höchstens 1000.', depth: 'Zu viele Gruppen in Gruppen.', group: 'Eine solche Gruppe, etwa ein Look-ahead, kennt RE2 nicht.',
    escape: '„{about}“ ist in einem Ausdruck nicht bekannt.', range: 'Ein Bereich im Ausdruck ist keiner.', class: '„{about}“ ist keine bekannte Klasse.', long: 'Der Ausdruck ist zu lang, sobald seine Wiederholungen ausgeschrieben sind.',
  },
});
