// All keys, in a dialog.

import { useEffect, useRef } from 'preact/hooks';
import { texts } from '../text/text.js';
import { attend } from './attention.js';
import { isHelpOpen } from './keys.js';

const t = texts({
  en: {
    title: 'Keys', close: 'Close', move: 'to the next and the previous row', first: 'to the first and the last row', open: 'open the alert', group: 'open and close a group', select: 'select',
    escape: 'clear the selection', acknowledge: 'acknowledge', silence: 'silence', comment: 'comment', filter: 'filter', grouping: 'group by', show: 'show what waits', pause: 'pause and resume', help: 'this list',
    acts: 'What is done is done with what is selected, or with the row that has the focus.',
  },
  de: {
    title: 'Tasten', close: 'Schließen', move: 'zur nächsten und vorigen Zeile', first: 'zur ersten und letzten Zeile', open: 'Alarm öffnen', group: 'Gruppe öffnen und schließen', select: 'auswählen',
    escape: 'Auswahl aufheben', acknowledge: 'übernehmen', silence: 'stummschalten', comment: 'kommentieren', filter: 'filtern', grouping: 'gruppieren', show: 'zeigen, was wartet', pause: 'anhalten und weiter', help: 'diese Liste',
    acts: 'Was geschieht, geschieht mit dem Ausgewählten, sonst mit der Zeile, die den Fokus hat.',
  },
});

const KEYS = [
  [['j', 'k', '↓', '↑'], 'move'], [['Home', 'End'], 'first'], [['Enter', 'o'], 'open'], [['→', '←'], 'group'], [['x'], 'select'], [['Esc'], 'escape'],
  [['a'], 'acknowledge'], [['s'], 'silence'], [['c'], 'comment'], [['/'], 'filter'], [['g'], 'grouping'], [['n'], 'show'], [['p'], 'pause'], [['?'], 'help'],
] as const;

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    return attend();
  }, []);
  return (
    <dialog ref={dialog} class="keys" aria-labelledby="keys-title" onClose={() => { isHelpOpen.value = false; }}>
      <h2 id="keys-title">{t('title')}</h2>
      <dl>
        {KEYS.map(([keys, what]) => (
          <div key={what}><dt>{keys.map((one) => <kbd key={one}>{one}</kbd>)}</dt><dd>{t(what)}</dd></div>
        ))}
      </dl>
      <p class="figure">{t('acts')}</p>
      <p class="buttons"><button type="button" autofocus onClick={() => dialog.current?.close()}>{t('close')}</button></p>
    </dialog>
  );
}
