// The server's time, as far as this machine can know it: ages and latencies are told by it, whatever
// this machine's clock says. Times of events do not tell: a value may be old, or of a sensor whose clock
// is ahead.

import { signal } from '@preact/signals';

/** What the server said of its time, and half of how long the answer took: so wrong it may be. */
interface Reading { offsetMs: number; errorMs: number; at: number }

/** An older reading counts for less: clocks drift. */
const DRIFT = 50e-6;
/** A clock that was set has moved by more than this against the time that passes. */
const SET_MIN_MS = 1_000;

let best: Reading | null = null;

/** Server's time minus `performance.now()`; this machine's own clock until the server has spoken. */
const offset = signal(0);
/** How exactly the server's time is known, in milliseconds; nothing until it has spoken. */
export const clockErrorMs = signal<number | null>(null);

if (typeof performance !== 'undefined') offset.value = Date.now() - performance.now();

/** Notes that the server said it was `time` in an answer that was asked for and came at these times
 * of `performance.now()`. */
export function noteServerTime(time: number, askedAt: number, cameAt: number): void {
  const reading = { offsetMs: time - (askedAt + cameAt) / 2, errorMs: (cameAt - askedAt) / 2, at: cameAt };
  const aged = best && best.errorMs + (cameAt - best.at) * DRIFT;
  const isSet = best && Math.abs(reading.offsetMs - best.offsetMs) > reading.errorMs + best.errorMs + SET_MIN_MS;
  if (aged === null || isSet || reading.errorMs <= aged) {
    best = reading;
    offset.value = reading.offsetMs;
  }
  clockErrorMs.value = best!.errorMs;
}

/** Milliseconds since 1970, as the server counts them. */
export const serverNow = (): number => performance.now() + offset.peek();

/** The same of a moment of `performance.now()`; who reads it in a component follows corrections. */
export const serverTimeOf = (moment: number): number => moment + offset.value;

/** How far this machine's clock is ahead of the server's. */
export const skewMs = (): number => Date.now() - serverNow();
