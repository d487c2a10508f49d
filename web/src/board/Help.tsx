// All keys, in a dialog.

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { attend } from './attention.js';
import { t } from './texts.js';

export const isHelpOpen = signal(false);

const KEYS = [
  [['j', 'k', '↓', '↑'], 'move'], [['Home', 'End'], 'first'], [['Enter'], 'open'], [['→', '←'], 'group'], [['x'], 'select'], [['Esc'], 'escape'],
  [['a'], 'acknowledge'], [['s'], 'silence'], [['c'], 'comment'], [['/'], 'filter'], [['g'], 'grouping'], [['n'], 'show'], [['p'], 'pause'], [['?'], 'help'],
] as const;

export function Help() {
  return isHelpOpen.value ? <Dialog /> : null;
}

function Dialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    return attend();
  }, []);
  return (
    <dialog ref={dialog} class="keys" aria-labelledby="keys-title" onClose={() => { isHelpOpen.value = false; }}>
      <h2 id="keys-title">{t('help')}</h2>
      <dl>
        {KEYS.map(([keys, what]) => (
          <div key={what}><dt>{keys.map((one) => <kbd key={one}>{one}</kbd>)}</dt><dd>{t(`key.${what}`)}</dd></div>
        ))}
      </dl>
      <p class="buttons"><button type="button" autofocus onClick={() => dialog.current?.close()}>{t('close')}</button></p>
    </dialog>
  );
}
