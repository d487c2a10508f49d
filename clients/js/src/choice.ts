// Which of several transports is the best to use: in their order, but for those that did not come
// through lately.

import type { Clock } from './clock.js';
import type { Transport } from './transport.js';

/** How long one that did not come through is left alone at most, in milliseconds. */
export const LEFT_ALONE_MAX_MS = 600_000;

/** What is known of each, for all that is open. */
export class Choice {
  /** Which one comes before all others; -1 where none does. */
  #preferred = -1;
  readonly #until: number[];
  readonly #times: number[];

  constructor(readonly transports: readonly Transport[], readonly muteMs: number, private readonly leftAloneMs: number) {
    this.#until = transports.map(() => 0);
    this.#times = transports.map(() => 0);
  }

  get preferred(): number {
    return this.#preferred;
  }

  /** This one comes before all others now, or none where it is -1; whether that is new. */
  prefer(index: number): boolean {
    const isNew = index !== this.#preferred;
    this.#preferred = index;
    return isNew;
  }

  /** The best of all, or the one that is left alone for the least time. */
  first(clock: Clock): number {
    const best = this.#best(this.#order(), clock);
    return best >= 0 ? best : this.#until.indexOf(Math.min(...this.#until));
  }

  /** The best of those before this one that is not left alone; -1 where there is none. */
  better(index: number, clock: Clock): number {
    return this.#best(this.#before(index), clock);
  }

  /** The best of those behind this one. */
  worse(index: number, clock: Clock): number {
    const order = this.#order();
    return this.#best(order.slice(order.indexOf(index) + 1), clock);
  }

  /** In how many milliseconds the first of the better ones is worth a try; `Infinity` for the best of all. */
  next(index: number, clock: Clock): number {
    return Math.min(...this.#before(index).map((better) => this.#wait(better, clock)));
  }

  failed(index: number, clock: Clock): void {
    const span = Math.min(this.leftAloneMs * 2 ** this.#times[index]!, LEFT_ALONE_MAX_MS);
    this.#times[index]! += 1;
    this.#until[index] = clock.now() + span;
  }

  worked(index: number): void {
    this.#times[index] = 0;
    this.#until[index] = 0;
  }

  #order(): number[] {
    const all = this.transports.map((_, index) => index);
    return this.#preferred < 0 ? all : [this.#preferred, ...all.filter((index) => index !== this.#preferred)];
  }

  #before(index: number): number[] {
    const order = this.#order();
    return order.slice(0, order.indexOf(index));
  }

  #best(order: number[], clock: Clock): number {
    return order.find((index) => this.#wait(index, clock) === 0) ?? -1;
  }

  /** How long this one is still left alone; none is longer than it may be, so the clock was set back. */
  #wait(index: number, clock: Clock): number {
    const wait = this.#until[index]! - clock.now();
    return wait > LEFT_ALONE_MAX_MS ? 0 : Math.max(0, wait);
  }
}
