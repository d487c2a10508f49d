// Where the dialogs open, above whatever page is shown. They are loaded when the first one is asked for.

import type { ComponentType } from 'preact';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { attend } from '../board/attention.js';
import { attending } from './open.js';
import { partFailed } from './late.js';

export function Attend() {
  const loaded = useSignal<ComponentType | null>(null);
  const isOpen = attending.value !== null;
  useEffect(() => {
    if (!isOpen) return;
    if (loaded.peek() === null) {
      import('./Dialogs.js').then(({ Dialogs }) => { loaded.value = Dialogs; }, () => {
        partFailed();
        attending.value = null;
      });
    }
    // Nothing moves on the board behind what is open.
    return attend();
  }, [isOpen]);
  const Dialogs = loaded.value;
  return isOpen && Dialogs ? <Dialogs /> : null;
}
