// One connection for all tabs of a browser: one of them leads and holds it, the others are told.

import { alone } from './alone.js';
import { Candidate } from './candidate.js';
import type { Browser } from './shared.js';
import { Stream } from './stream.js';
import type { Transport } from './transport.js';

export interface TabsOptions {
  /** For tests: in place of the browser's. */
  browser?: Browser;
}

/**
 * Has all tabs of a browser share one connection of the transport that is given, as long as they are
 * the same somebody to the same server. Where tabs cannot speak to each other each has its own, and
 * gives it up while it is not looked at.
 */
export function tabs(inner: Transport, options: TabsOptions = {}): Transport {
  const browser = options.browser ?? browserHere();
  const candidates = new Map<string, Candidate>();
  const candidateOf = (name: string): Candidate => {
    const known = candidates.get(name);
    if (known || !browser) return known!;
    const candidate = new Candidate(browser, inner, name, () => candidates.delete(name));
    candidates.set(name, candidate);
    return candidate;
  };
  return {
    name: 'tabs',
    open: (opening, sink) => (browser ? new Stream(browser, inner, opening, sink, candidateOf) : alone(inner, opening, sink)),
    sent: (clock) => inner.sent?.(clock),
  };
}

/** Pages without TLS have no locks. */
function browserHere(): Browser | null {
  if (typeof BroadcastChannel !== 'function' || typeof navigator === 'undefined' || !navigator.locks) return null;
  return { locks: navigator.locks, channel: (name) => new BroadcastChannel(name) };
}
