// Time, as the client is told it: tests have one that they move by hand.

export type Cancel = () => void;

export interface Clock {
  /** Milliseconds since 1970. It may jump: nothing but a connection too many may come of that. */
  now(): number;
  /** Runs it once, after so many milliseconds at least. */
  after(ms: number, run: () => void): Cancel;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
