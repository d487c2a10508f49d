// What followers were given, held against what publishers were answered: each acknowledged event once,
// in order. A gap is a mistake, too, unless gaps are allowed, as where an engine may lose something; what
// it does not name is missing all the same. The checker knows neither clients nor servers, only what both
// have written down, and can be asked again: `node tests/clients/cluster/checker.mjs FOLDER [--allow-gaps]`.
//
//   acknowledged.ndjson    {"publisher":0,"number":1,"cursor":"e1-32769"}
//   follower-….ndjson      {"cursor":"e1-32769","data":{"publisher":0,"number":1}}
//                          {"gap":{"from":"e1-1","to":"e2-0","reason":"epoch"}}

import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Mistakes of one follower that are told; all are counted. */
const TOLD_MAX = 5;

/** An epoch, and the place in it. */
export function placeOf(cursor) {
  const [, epoch, offset] = cursor.match(/^(.+)-(\d+)$/);
  return { epoch, offset: Number(offset) };
}

/** What publishers were answered. */
export class Acknowledged {
  /** By epoch: the places in their order, once all are there, and what is at each. */
  #epochs = new Map();
  #sorted = new Map();
  /** What is wrong with it. */
  mistakes = [];
  count = 0;

  add({ publisher, number, cursor }) {
    const { epoch, offset } = placeOf(cursor);
    if (!this.#epochs.has(epoch)) this.#epochs.set(epoch, new Map());
    const events = this.#epochs.get(epoch);
    if (events.has(offset)) this.mistakes.push(`${cursor} was given for two events`);
    events.set(offset, `${publisher} ${number}`);
    this.count += 1;
  }

  at({ epoch, offset }) {
    return this.#epochs.get(epoch)?.get(offset);
  }

  /** How many there are behind a place, up to and without another of the same epoch. */
  between({ epoch, offset }, end) {
    return this.#first(epoch, end) - this.#first(epoch, offset + 1);
  }

  /** How many there are behind a place, in its epoch and others that nobody has come to. */
  behind(place, seen) {
    const others = [...this.#epochs].filter(([epoch]) => !seen.has(epoch));
    return this.between(place, Infinity) + others.reduce((sum, [, events]) => sum + events.size, 0);
  }

  /** How many of an epoch are before a place. */
  #first(epoch, offset) {
    if (!this.#sorted.has(epoch)) {
      this.#sorted.set(epoch, [...(this.#epochs.get(epoch)?.keys() ?? [])].sort((one, other) => one - other));
    }
    const places = this.#sorted.get(epoch);
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle] < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What one follower was given, item by item. It has followed from the beginning. */
export class Followed {
  events = 0;
  gaps = 0;
  mistakes = [];
  #acknowledged;
  #allowsGaps;
  #place = null;
  #epochs = new Set();
  /** The newest number of each publisher. */
  #numbers = new Map();

  constructor(acknowledged, { allowsGaps = false } = {}) {
    this.#acknowledged = acknowledged;
    this.#allowsGaps = allowsGaps;
  }

  take({ gap, cursor, data }) {
    if (gap) this.#gap(gap);
    else this.#event(cursor, data);
  }

  /** It was to have all by now. */
  end() {
    const { epoch, offset } = this.#place ?? { epoch: '', offset: -1 };
    const missing = this.#acknowledged.behind({ epoch, offset }, this.#epochs);
    if (missing > 0) this.mistakes.push(`${missing} missing at the end, behind ${epoch}-${offset}`);
  }

  #event(cursor, { publisher, number }) {
    this.events += 1;
    const place = placeOf(cursor);
    const before = this.#place ?? { epoch: place.epoch, offset: -1 };
    if (place.epoch !== before.epoch) this.mistakes.push(`${cursor} after ${before.epoch}-${before.offset}, and no gap`);
    else if (place.offset <= before.offset) this.mistakes.push(`${cursor} after ${before.offset}: twice, or out of order`);
    else if (this.#acknowledged.between(before, place.offset) > 0) {
      this.mistakes.push(`${this.#acknowledged.between(before, place.offset)} missing between ${before.offset} and ${cursor}`);
    }
    const is = `${publisher} ${number}`;
    const was = this.#acknowledged.at(place);
    if (was !== undefined && was !== is) this.mistakes.push(`${cursor} is ${is}, and its publisher was told that it is ${was}`);
    const newest = this.#numbers.get(publisher) ?? 0;
    if (number <= newest) this.mistakes.push(`${is} after ${newest}: twice, or out of order`);
    this.#numbers.set(publisher, Math.max(number, newest));
    this.#place = place;
    this.#epochs.add(place.epoch);
  }

  /** What it names is not missing: the client was told. What is before that was to come. */
  #gap({ from, to, reason }) {
    this.gaps += 1;
    if (!this.#allowsGaps) this.mistakes.push(`a gap after ${from} up to ${to} (${reason})`);
    const [begin, place] = [placeOf(from), placeOf(to)];
    const before = this.#place ?? { epoch: begin.epoch, offset: -1 };
    if (begin.epoch !== before.epoch || begin.offset < before.offset) {
      this.mistakes.push(`a gap after ${from}, where ${before.epoch}-${before.offset} was given already`);
    }
    const missing = begin.epoch === before.epoch ? this.#acknowledged.between(before, begin.offset + 1) : 0;
    if (missing > 0) this.mistakes.push(`${missing} missing between ${before.offset} and a gap after ${from}`);
    if (before.epoch === place.epoch && place.offset < before.offset) this.mistakes.push(`a gap up to ${to}, which is behind ${before.offset}`);
    this.#place = place;
    this.#epochs.add(begin.epoch).add(place.epoch);
  }
}

/** Reads a folder; gives counts, and what is wrong. */
export async function check(folder, how = {}) {
  const acknowledged = new Acknowledged();
  for await (const item of linesOf(join(folder, 'acknowledged.ndjson'))) acknowledged.add(item);
  const outcome = { acknowledged: acknowledged.count, followers: 0, deliveries: 0, gaps: 0, mistakes: [...acknowledged.mistakes] };
  for (const name of readdirSync(folder).filter((name) => name.startsWith('follower-')).sort()) {
    const followed = new Followed(acknowledged, how);
    for await (const item of linesOf(join(folder, name))) followed.take(item);
    followed.end();
    outcome.followers += 1;
    outcome.deliveries += followed.events;
    outcome.gaps += followed.gaps;
    const { mistakes } = followed;
    outcome.mistakes.push(...mistakes.slice(0, TOLD_MAX).map((mistake) => `${name}: ${mistake}`));
    if (mistakes.length > TOLD_MAX) outcome.mistakes.push(`${name}: and ${mistakes.length - TOLD_MAX} more`);
  }
  return outcome;
}

async function* linesOf(path) {
  for await (const line of createInterface({ input: createReadStream(path) })) yield JSON.parse(line);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outcome = await check(process.argv[2], { allowsGaps: process.argv.includes('--allow-gaps') });
  console.log(JSON.stringify(outcome, null, 2));
  process.exitCode = outcome.mistakes.length > 0 ? 1 : 0;
}
