// Whether an application sends often. It has to do so for a while, and to be quiet for longer: each
// change of mind costs a connection.

/** Sends often: more requests than this within `OFTEN_MS`, and that so long already. */
export const OFTEN_COUNT = 10;
export const OFTEN_MS = 10_000;
/** Is quiet again: no more requests than that within `QUIET_MS`. */
export const QUIET_MS = 30_000;

export class Rate {
  isOften = false;
  /** When the newest were sent, one more than `OFTEN_COUNT`. */
  #times: number[] = [];
  /** Since when there was no pause of `OFTEN_MS`. */
  #since = 0;

  sent(now: number): void {
    const last = this.#times.at(-1) ?? -Infinity;
    // The clock was set back.
    if (now < last) this.#times = [];
    if (now < last || now - last >= OFTEN_MS) this.#since = now;
    this.#times.push(now);
    if (this.#times.length > OFTEN_COUNT + 1) this.#times.shift();
    if (now - this.#since >= OFTEN_MS && this.#spans(now, OFTEN_MS)) this.isOften = true;
  }

  /** Looks whether it is quiet again; after how many milliseconds it may be, where it is not. */
  look(now: number): number {
    this.isOften &&= this.#spans(now, QUIET_MS);
    return this.isOften ? this.#times[0]! + QUIET_MS - now : Infinity;
  }

  /** Whether more than `OFTEN_COUNT` were sent within the last so many milliseconds. */
  #spans(now: number, ms: number): boolean {
    return this.#times.length > OFTEN_COUNT && now - this.#times[0]! < ms;
  }
}
