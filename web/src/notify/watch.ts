// What is new of alerts, as a page sees it: what happens within moments is told at once, and what has
// come and gone in them is not. What was there when the page came is nothing new.

import type { Alert } from '@bellwire/client';
import type { News } from './words.js';

/** How long news gather. */
export const GATHER_MS = 1_000;
/** Alerts of which there is news at once; further ones are counted. */
const GATHERED_MAX = 256;

/** States that ask for nobody. One that is not known here counts: better told than missed. */
const QUIET = new Set(['pending', 'resolved', 'silenced', 'inhibited']);

export interface Batch {
  news: News[];
  more: number;
  /** How many of `more` have resolved. */
  moreResolved: number;
  /** All that fire, by fingerprint. */
  firing: ReadonlyMap<string, Alert>;
}

interface Gathered {
  alert: Alert;
  turn: News['state'];
  /** Whether it fired when the gathering began. */
  fired: boolean;
}

export class Watch {
  readonly #firing = new Map<string, Alert>();
  readonly #gathered = new Map<string, Gathered>();
  readonly #tell: (batch: Batch) => void;
  readonly #later: (run: () => void, ms: number) => void;
  #more = 0;
  #moreResolved = 0;
  #hasBegun = false;
  #isScheduled = false;

  /** `tell` gets what is new; `later` runs something after a while. */
  constructor(tell: (batch: Batch) => void, later: (run: () => void, ms: number) => void = (run, ms) => void setTimeout(run, ms)) {
    this.#tell = tell;
    this.#later = later;
  }

  /** All that were there have been taken: what comes from now on is new. */
  ready(): void {
    this.#hasBegun = true;
  }

  /** An alert as it is now; `null` where it is no more. */
  take(key: string, alert: Alert | null): void {
    const before = this.#firing.get(key);
    if (alert && !QUIET.has(alert.state)) {
      this.#firing.set(key, alert);
      if (!before || before.fired_at !== alert.fired_at) this.#gather(key, alert, 'firing', before !== undefined);
    } else if (before) {
      this.#firing.delete(key);
      if (alert?.state === 'resolved') this.#gather(key, alert, 'resolved', true);
      else this.#gathered.delete(key);
    }
  }

  #gather(key: string, alert: Alert, turn: News['state'], fired: boolean): void {
    if (!this.#hasBegun) return;
    const known = this.#gathered.get(key);
    if (known && !known.fired && turn === 'resolved') {
      this.#gathered.delete(key);
    } else if (!known && this.#gathered.size >= GATHERED_MAX) {
      this.#more += 1;
      if (turn === 'resolved') this.#moreResolved += 1;
    } else {
      this.#gathered.set(key, { alert, turn, fired: known?.fired ?? fired });
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#later(() => this.#flush(), GATHER_MS);
  }

  #flush(): void {
    this.#isScheduled = false;
    const news = [...this.#gathered.values()].map(({ alert, turn }) => newsOf(alert, turn));
    const [more, moreResolved] = [this.#more, this.#moreResolved];
    this.#gathered.clear();
    this.#more = 0;
    this.#moreResolved = 0;
    if (news.length > 0 || more > 0) this.#tell({ news, more, moreResolved, firing: this.#firing });
  }
}

const LABELS_MAX = 3;

function newsOf(alert: Alert, state: News['state']): News {
  const { alertname = '', severity: _, ...others } = alert.labels;
  const { summary, description } = alert.annotations;
  return {
    fingerprint: alert.fingerprint,
    state,
    alertname,
    severity: alert.severity,
    labels: Object.fromEntries(Object.entries(others).slice(0, LABELS_MAX)),
    summary: summary ?? description,
    since: (state === 'firing' ? alert.fired_at : alert.resolved_at) ?? alert.active_at,
  };
}
