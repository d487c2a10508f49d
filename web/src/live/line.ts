// One series as it is drawn: times and values, no more of them than a chart can show.

/** As many points as the server remembers of a series; a chart is hardly wider. */
export const POINTS_MAX = 1_024;
/** Of a series that is silent for so many times its usual interval nothing is known meanwhile. */
const SILENT_INTERVALS = 10;
const SILENT_MIN_MS = 15_000;

/** What JSON has no number for comes as text. */
export function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  return value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : NaN;
}

export class Line {
  /** Milliseconds, in order; at a value that is `NaN` the line is interrupted. */
  times: number[] = [];
  values: number[] = [];
  isGone = false;

  constructor(readonly key: string, readonly name: string, readonly labels: Readonly<Record<string, string>>) {}

  get newest(): number {
    return this.values.at(-1) ?? NaN;
  }

  push(time: number, value: number): void {
    const last = this.times.at(-1);
    // What is late is in the past that the server tells, if it is anywhere.
    if (last !== undefined && time < last) return;
    if (time === last) this.values[this.values.length - 1] = value;
    else {
      this.times.push(time);
      this.values.push(value);
    }
    this.isGone = false;
    if (this.times.length > POINTS_MAX * 1.25) this.#thin();
  }

  /** The past that the server remembers, in place of what is known of that time. What is older stays:
   * a server that was started again knows nothing of it. */
  replace(times: readonly number[], values: readonly unknown[]): void {
    const first = times[0];
    if (first === undefined) return;
    const kept = this.times.findIndex((time) => time >= first);
    const count = kept < 0 ? this.times.length : kept;
    this.times.length = this.values.length = count;
    // Without anything in common nobody knows what was between the two.
    if (kept < 0 && count > 0 && !Number.isNaN(this.newest)) {
      this.times.push(first - 1);
      this.values.push(NaN);
    }
    times.forEach((time, index) => {
      this.times.push(time);
      this.values.push(numberOf(values[index]));
    });
    this.isGone = false;
    while (this.times.length > POINTS_MAX * 1.25) this.#thin();
  }

  /** It is gone; what comes later is apart from what was. */
  end(time: number): void {
    if (this.isGone) return;
    this.push(Math.max(time, (this.times.at(-1) ?? 0) + 1), NaN);
    this.isGone = true;
  }

  /** Forgets what is before that time, but for the point from which the line comes in. */
  forget(before: number): void {
    const first = this.times.findIndex((time) => time >= before);
    const count = (first < 0 ? this.times.length : first) - 1;
    if (count <= 0) return;
    this.times.splice(0, count);
    this.values.splice(0, count);
  }

  /** Every second point of the older half goes; interruptions stay. */
  #thin(): void {
    const half = this.times.length >> 1;
    const stays = (index: number) => index >= half || index % 2 === 0 || Number.isNaN(this.values[index]);
    this.times = this.times.filter((_, index) => stays(index));
    this.values = this.values.filter((_, index) => stays(index));
  }
}

/** How far apart points usually are: the median of the newest. */
export function usualInterval(times: readonly number[]): number {
  const newest = times.slice(-64);
  const between = newest.slice(1).map((time, index) => time - newest[index]!).sort((a, b) => a - b);
  return between[between.length >> 1] ?? 0;
}

export interface Stretch {
  times: number[];
  /** `null` interrupts the line. */
  values: (number | null)[];
}

/**
 * What is drawn of a line between two times. Samples are joined unless their series was silent for long;
 * what a query answers holds until it changes, `until` then.
 */
export function stretchOf(line: Line, from: number, holdUntil: number | null): Stretch {
  const times: number[] = [];
  const values: (number | null)[] = [];
  const silence = holdUntil === null ? Math.max(SILENT_MIN_MS, SILENT_INTERVALS * usualInterval(line.times)) : Infinity;
  const found = line.times.findIndex((time) => time >= from);
  const begin = Math.max(0, (found < 0 ? line.times.length : found) - 1);
  for (let index = begin; index < line.times.length; index += 1) {
    const [time, value] = [line.times[index]!, line.values[index]!];
    const before = times.at(-1);
    if (before !== undefined && time - before > silence) {
      times.push(before + 1);
      values.push(null);
    }
    times.push(time);
    values.push(Number.isFinite(value) ? value : null);
  }
  const last = times.at(-1);
  if (holdUntil !== null && !line.isGone && last !== undefined && last < holdUntil) {
    times.push(holdUntil);
    values.push(values.at(-1)!);
  }
  return { times, values };
}

/** One column of times for all, and one of values for each, as charts are given them: `undefined` where
 * a line has no point of its own. */
export function columns(stretches: readonly Stretch[]): [number[], ...(number | null | undefined)[][]] {
  const all = new Float64Array(stretches.reduce((sum, { times }) => sum + times.length, 0));
  let at = 0;
  for (const { times } of stretches) {
    all.set(times, at);
    at += times.length;
  }
  all.sort();
  const times: number[] = [];
  for (const time of all) if (time !== times.at(-1)) times.push(time);
  return [times, ...stretches.map((stretch) => {
    const column = new Array<number | null | undefined>(times.length).fill(undefined);
    let next = 0;
    for (const [index, time] of times.entries()) {
      if (stretch.times[next] !== time) continue;
      column[index] = stretch.values[next];
      next += 1;
    }
    return column;
  })];
}

export interface Figures { newest: number; least: number | null; most: number | null }

/** What a legend says of a line since that time. */
export function figuresOf({ times, values, newest }: Line, from: number): Figures {
  let [least, most] = [Infinity, -Infinity];
  for (let index = values.length - 1; index >= 0 && times[index]! >= from; index -= 1) {
    const value = values[index]!;
    if (Number.isNaN(value)) continue;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  const isKnown = least <= most;
  return { newest, least: isKnown ? least : null, most: isKnown ? most : null };
}
