// When the login stands there: where the server wants one, or somebody wants to log in who need not.

import { type ComponentType } from 'preact';
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { standing, turnDown } from '../../stores/who.js';
import { lookForVersion } from '../../stores/version.js';
import type { DialogProps } from './Dialog.js';
import { learnWays, type Ways } from './ways.js';

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
    Promise.all([import('./Dialog.js'), learnWays()]).then(
      ([{ Dialog }, ways]) => { if (isHere) setLoaded({ Dialog, ways }); },
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
