// A sheet that a button opens below itself: over the page, and closed as a menu is, by Escape, by a press
// elsewhere, and when the keyboard goes elsewhere.

import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface SheetProps {
  /** What stands on the button. */
  button: ComponentChildren;
  /** What the button is called, where it shows no text, or less than it means. */
  label?: string | undefined;
  /** What it tells whoever points at it. */
  title?: string | undefined;
  class?: string;
  children: ComponentChildren | ((close: () => void) => ComponentChildren);
  /** It has been opened. */
  onOpen?: () => void;
}

export function Sheet({ button, label, title, class: name = '', children, onOpen }: SheetProps) {
  const [isOpen, setOpen] = useState(false);
  const whole = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = useId();
  // At once: whoever goes elsewhere in the moment after it is drawn has gone elsewhere, too.
  useLayoutEffect(() => {
    if (!isOpen) return;
    onOpen?.();
    const control = new AbortController();
    const elsewhere = ({ target }: Event) => {
      if (target instanceof Node && !whole.current?.contains(target)) setOpen(false);
    };
    document.addEventListener('pointerdown', elsewhere, control);
    document.addEventListener('focusin', elsewhere, control);
    return () => control.abort();
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !isOpen) return;
    event.stopPropagation();
    close();
  };
  return (
    <div class={`sheeted ${name}`} ref={whole} onKeyDown={onKeyDown}>
      <button type="button" class="quiet" ref={opener} aria-expanded={isOpen} aria-controls={id} aria-label={label} title={title} onClick={() => setOpen(!isOpen)}>{button}</button>
      <div class="dropped" id={id} hidden={!isOpen}>
        {isOpen && (typeof children === 'function' ? children(close) : children)}
      </div>
    </div>
  );
}
