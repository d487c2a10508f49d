// The panel of the alert that the address names, loaded when one is looked at first.

import type { ComponentType } from 'preact';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { address, go, route } from '../shell/router.js';
import { partFailed } from '../attend/late.js';

type Detail = ComponentType<{ fingerprint: string }>;

export function OpenAlert() {
  const { page, rest: [fingerprint], parameters } = route.value;
  const loaded = useSignal<Detail | null>(null);
  const isAsked = page === 'alerts' && fingerprint !== undefined;
  useEffect(() => {
    if (!isAsked || loaded.peek() !== null) return;
    import('./Detail.js').then(({ Detail }) => { loaded.value = Detail; }, () => {
      partFailed();
      go(address('alerts', [], parameters), { replaces: true });
    });
  }, [isAsked]);
  const Shown = loaded.value;
  return isAsked && Shown ? <Shown key={fingerprint} fingerprint={fingerprint} /> : null;
}
