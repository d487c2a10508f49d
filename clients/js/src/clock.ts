// Time, as the client is told it: tests have one that they move by hand.

export type Cancel = () => void;

export interface Clock {
  /** Milliseconds since 1970. It may jump: nothing but a connection too many may come of that. */
  now(): number;
  /** Runs it once, after so many milliseconds at least. */
  after(ms: number, run: () => void): Cancel;
}

/** What a timer of JavaScript counts to; with more it comes at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, TIMER_MAX_MS));
    return () => clearTimeout(timer);
  },
};
