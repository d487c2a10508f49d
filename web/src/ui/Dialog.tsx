// A modal dialog: it takes the focus, keeps it, and gives it back to where it came from.

import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

export interface DialogProps {
  title: ComponentChildren;
  /** It is to be closed, by Escape or by what it is asked. */
  onClose: () => void;
  children: ComponentChildren;
}

/** Opens it above all else. What this gives closes it and leads the focus back to what had it, or where that
 * is there no more to what is shown now: whoever has no pointer is not sent to the begin of the page. */
export function openModal(dialog: HTMLDialogElement): () => void {
  const before = document.activeElement;
  dialog.showModal();
  return () => {
    // While it is open nothing behind it takes the focus. That it closes is known to whoever is told of it.
    dialog.addEventListener('close', (event) => event.stopImmediatePropagation(), { capture: true });
    dialog.close();
    const below = [...document.querySelectorAll<HTMLElement>('dialog[open]')].at(-1);
    const place = before instanceof HTMLElement && before.isConnected && before !== document.body ? before
      : below?.querySelector<HTMLElement>('button') ?? document.getElementById('content');
    place?.focus({ preventScroll: place !== before });
  };
}

export function Dialog({ title, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // At once: in the frame after, what had the focus before may be another thing.
  useLayoutEffect(() => openModal(dialog.current!), []);
  return (
    <dialog ref={dialog} class="asks" aria-labelledby={id} onCancel={(event) => { event.preventDefault(); onClose(); }}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
