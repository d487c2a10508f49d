// Very many alerts, posted as Alertmanager's API has them, and changed as often as is asked.

import { setTimeout } from 'node:timers/promises';
import { postAlerts } from './page.mjs';

/** Alerts of one request. */
const BATCH = 250;
/** One alert in so many resolves, or fires again, when it changes; of the others what they say is new. */
const TURNS_OF = 10;

const BEGIN = new Date(Date.now() - 60_000).toISOString();

/** An alert by its number, as it is in a round. */
export function alertOf(index, round = 0, isOver = false) {
  return {
    labels: { alertname: `Alert${index % 40}`, severity: ['critical', 'warning', 'info'][index % 3], instance: `host-${index % 700}`, shard: String(index) },
    annotations: { summary: `round ${round}` },
    startsAt: BEGIN,
    endsAt: new Date(Date.now() + (isOver ? -1_000 : 24 * 3_600_000)).toISOString(),
  };
}

/** Posts alerts by their numbers, in as few requests as may be. */
export async function postAll(server, alerts) {
  for (let first = 0; first < alerts.length; first += BATCH) await postAlerts(server, alerts.slice(first, first + BATCH));
}

/** Changes some of `size` alerts each second until it is told to stop. */
export class Crowd {
  /** How many were changed. */
  changes = 0;
  #over = new Set();
  #isStopped = false;
  #working = null;

  constructor(server, size) {
    this.server = server;
    this.size = size;
  }

  fire() {
    return postAll(this.server, Array.from({ length: this.size }, (_, index) => alertOf(index)));
  }

  /** `perSecond` changes, spread over each second; one in ten turns an alert off or on again. */
  begin(perSecond) {
    this.#working = this.#change(perSecond);
  }

  async stop() {
    this.#isStopped = true;
    await this.#working;
  }

  async #change(perSecond) {
    const begin = performance.now();
    while (!this.#isStopped) {
      const due = Math.floor(((performance.now() - begin) / 1_000) * perSecond) - this.changes;
      const count = Math.min(due, BATCH);
      if (count > 0) await postAlerts(this.server, Array.from({ length: count }, (_, index) => this.#next(this.changes + index)));
      this.changes += Math.max(0, count);
      if (count < BATCH) await setTimeout(100);
    }
  }

  #next(change) {
    // A prime that divides no size here: each alert has its turn before one has it twice.
    const index = (change * 7_919) % this.size;
    const isTurned = change % TURNS_OF === 0;
    if (isTurned && !this.#over.delete(index)) this.#over.add(index);
    return alertOf(index, change, this.#over.has(index));
  }
}
