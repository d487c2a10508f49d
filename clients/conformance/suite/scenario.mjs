// What a scenario has at hand: places, follows, and patience.

import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { Place } from '../faults/place.mjs';

/** Bounds how long a wrong client can hang; nothing is measured against it. */
export const PATIENCE_MS = 60_000;
/** How often a condition is looked at. */
const LOOK_MS = 15;
/** How much of what was told and asked is shown where a scenario fails. */
const SHOWN = 12;

/** What names topics of one run: those of an earlier one may be there still. */
const REALM = `conformance-${Date.now().toString(36)}`;

/** There is no telling: something that a scenario needs is not there. */
export class Skip extends Error {}

export class Scenario {
  realm = REALM;
  #places = [];
  #told = [];

  constructor(driver, { transport = undefined, upstream = null, patienceMs = PATIENCE_MS } = {}) {
    this.driver = driver;
    this.transport = transport;
    this.upstream = upstream;
    this.patienceMs = patienceMs;
  }

  /** A place with these plays. */
  async place(plays = [], options = {}) {
    const place = await Place.open({ plays, ...options });
    this.#places.push(place);
    return place;
  }

  /** Follows at a place, by default one topic over the transport of the scenario. */
  follow(place, { below = '', ...options } = {}) {
    const url = new URL(below, place.url).href;
    const { transport } = this;
    return this.#command({ do: 'follow', url, filters: ['lab/**'], ...(transport && { transport }), ...options });
  }

  publish(place, options = {}) {
    return this.#command({ do: 'publish', url: place.url, topic: 'lab/a', data: 1, ...options });
  }

  samples(place, samples, options = {}) {
    return this.#command({ do: 'samples', url: place.url, samples, ...options });
  }

  close({ id }) {
    this.driver.send({ do: 'close', id });
  }

  pause({ id }) {
    this.driver.send({ do: 'pause', id });
  }

  resume({ id }) {
    this.driver.send({ do: 'resume', id });
  }

  /** Ends the scenario without an outcome. */
  skip(reason) {
    throw new Skip(reason);
  }

  sleep(ms) {
    return setTimeout(ms);
  }

  /** Waits until it is so. */
  async until(what, isSo) {
    const end = Date.now() + this.patienceMs;
    while (!isSo()) {
      this.driver.check();
      assert.ok(Date.now() < end, `waited in vain: ${what}`);
      await setTimeout(LOOK_MS);
    }
  }

  /** Waits until so many requests were made that follow, or are of another kind. */
  async untilAsked(place, count, kind = 'follow') {
    await this.until(`${count} requests (${kind})`, () => place.asked(kind).length >= count);
    return place.asked(kind);
  }

  /** Waits until the last of these payloads has come; all of them have, once and in order. */
  async untilData(follow, data) {
    await this.until(`the events ${JSON.stringify(data)}`, () => follow.data.length >= data.length || follow.closed);
    assert.deepEqual(follow.data, data);
  }

  /** Waits until a follow is over, and gives the code of its error, or `null`. */
  async untilClosed(follow) {
    await this.until('the subscription is closed', () => follow.closed);
    return follow.closed.error?.code ?? null;
  }

  /** Closes all that is open. Each follow says so. */
  async end() {
    const open = this.#told.filter(({ tells, id }) => id.startsWith('f') && !tells.some(({ tell }) => tell === 'closed'));
    for (const told of open) this.close(told);
    try {
      await this.until('what was closed is told to be closed', () => open.every(({ closed }) => closed));
    } finally {
      await this.abandon();
    }
  }

  async abandon() {
    await Promise.all(this.#places.map((place) => place.close()));
  }

  /** What was told and asked, for people. */
  describe() {
    const lines = [];
    for (const { id, tells } of this.#told) {
      lines.push(`  ${id} was told ${tells.length} lines, at the end:`);
      for (const { at, ...tell } of tells.slice(-SHOWN)) lines.push(`    ${time(at)} ${short(tell)}`);
    }
    this.#places.forEach((place, index) => {
      lines.push(`  place ${index + 1}: ${place.connections} connections, ${place.requests.length} requests, at the end:`);
      for (const { at, method, url, headers } of place.requests.slice(-SHOWN)) {
        const id = headers['last-event-id'];
        lines.push(`    ${time(at)} ${method} ${url}${id === undefined ? '' : ` Last-Event-ID: ${id}`}`);
      }
    });
    return lines.join('\n');
  }

  #command(command) {
    const told = this.driver.command(command);
    this.#told.push(told);
    return told;
  }
}

const time = (at) => new Date(at).toISOString().slice(17, 23);

function short(tell) {
  const text = JSON.stringify(tell);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
