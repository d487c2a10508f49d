// When the login stands there: where the server wants one, or somebody wants to log in who need not.

import { type ComponentType } from 'preact';
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { standing, turnDown } from '../../stores/who.js';
import { lookForVersion } from '../../stores/version.js';
import type { DialogProps } from './Dialog.js';
import type { Ways } from './ways.js';

const isWanted = signal(false);
const isTurnedDown = signal(false);

export function openLogin(): void {
  isTurnedDown.value = false;
  isWanted.value = true;
}

/** Whoever has turned it down is not asked again and again. */
const isShown = (): boolean => (standing.value === 'unknown' ? !isTurnedDown.value : isWanted.value);

interface Loaded {
  Dialog: ComponentType<DialogProps>;
  ways: Ways;
}

export function Login() {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const isOpen = isShown();
  useEffect(() => {
    if (!isOpen) return setLoaded(null);
    let isHere = true;
    const load = async () => {
      const [{ Dialog }, { learnWays }] = await Promise.all([import('./Dialog.js'), import('./ways.js')]);
      return { Dialog, ways: await learnWays() };
    };
    load().then(
      (loaded) => { if (isHere) setLoaded(loaded); },
      // The server may have another version by now, without this file.
      lookForVersion,
    );
    return () => { isHere = false; };
  }, [isOpen]);
  useEffect(() => {
    if (standing.value === 'known') isTurnedDown.value = false;
  }, [standing.value]);
  if (!isOpen || !loaded) return null;
  const cancel = () => {
    isWanted.value = false;
    isTurnedDown.value = standing.value === 'unknown';
    turnDown();
  };
  return <loaded.Dialog ways={loaded.ways} onDone={() => { isWanted.value = false; }} onCancel={cancel} />;
}
