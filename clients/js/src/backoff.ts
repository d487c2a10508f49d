// How long to wait before the next try: full jitter, so that not all who lost one server come back
// to it at once.

/** What the first wait is drawn below, in milliseconds. */
export const BACKOFF_FIRST_MS = 1_000;
/** What no wait is drawn above. */
export const BACKOFF_MAX_MS = 30_000;

export class Backoff {
  #failures = 0;

  /** `random` gives numbers from 0 to 1, as `Math.random` does. */
  constructor(private readonly random: () => number) {}

  /** The next wait in milliseconds; each is drawn below twice the bound of the one before. */
  next(): number {
    const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    return this.random() * bound;
  }

  /** What was tried went well for a while. */
  reset(): void {
    this.#failures = 0;
  }
}
