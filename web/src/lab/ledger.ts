// What one side has got of what was published: how late, what is missing, what came twice.

export interface Tally {
  received: number;
  missing: number;
  doubled: number;
  reordered: number;
  gaps: number;
  /** Milliseconds from the moment it was sent, in the order in which they came. */
  latencies: readonly number[];
}

export class Ledger {
  readonly #seen = new Set<number>();
  readonly #latencies: number[] = [];
  #newest = -1;
  #doubled = 0;
  #reordered = 0;
  #gaps = 0;

  /** The event of this number came, so long after it was sent. */
  take(number: number, latencyMs: number): void {
    if (this.#seen.has(number)) {
      this.#doubled += 1;
      return;
    }
    this.#seen.add(number);
    this.#latencies.push(latencyMs);
    if (number < this.#newest) this.#reordered += 1;
    this.#newest = Math.max(this.#newest, number);
  }

  gap(): void {
    this.#gaps += 1;
  }

  has(number: number): boolean {
    return this.#seen.has(number);
  }

  /** `expected`: those that the server has taken. */
  tally(expected: ReadonlySet<number>): Tally {
    let missing = 0;
    for (const number of expected) if (!this.#seen.has(number)) missing += 1;
    return {
      received: this.#seen.size, missing, doubled: this.#doubled, reordered: this.#reordered, gaps: this.#gaps, latencies: this.#latencies,
    };
  }
}

/** The value that this share of all is no greater than; `null` of none. */
export function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!;
}

/**
 * How far the server's clock is ahead of this one, in milliseconds, and how sure that is: of the
 * quickest answer, which has been on its way for the shortest time.
 */
export class ClockOffset {
  #best: { roundMs: number; offsetMs: number } | null = null;

  /** Sent and answered by this clock, taken in between by the server's. */
  take(sentMs: number, answeredMs: number, serverMs: number): void {
    const roundMs = answeredMs - sentMs;
    if (roundMs < 0 || (this.#best && roundMs >= this.#best.roundMs)) return;
    this.#best = { roundMs, offsetMs: serverMs - (sentMs + answeredMs) / 2 };
  }

  get value(): { offsetMs: number; sureMs: number } | null {
    return this.#best && { offsetMs: this.#best.offsetMs, sureMs: this.#best.roundMs / 2 };
  }
}

/** Where a latency stands on a strip from 0 to 1, by its logarithm: 0.5 ms at the left, 30 s at the right. */
export const LEAST_MS = 0.5;
export const MOST_MS = 30_000;

export function placeOf(latencyMs: number): number {
  const [least, most] = [Math.log(LEAST_MS), Math.log(MOST_MS)];
  const place = (Math.log(Math.max(latencyMs, LEAST_MS)) - least) / (most - least);
  return Math.min(1, Math.max(0, place));
}
