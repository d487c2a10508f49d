// Alerts of a cluster in trouble: one that fires and resolves again and again, and one that fires all
// the time, while the node that keeps the rules changes. Each is to be announced once and resolved once.

import { setTimeout } from 'node:timers/promises';
import { Agent, fetch as fetchWith } from 'undici';

/** What is between two requests with samples. */
const PAUSE_MS = 200;
/** How long an answer is waited for before the next samples are sent. */
const ANSWER_MS = 5_000;
export const TOGGLES = 'SoakToggles';
export const STAYS = 'SoakStays';
export const RULES = `groups:
  - name: soak
    rules:
      - { alert: ${TOGGLES}, expr: soak_toggles > 0 }
      - { alert: ${STAYS}, expr: soak_stays > 0 }
`;
export const FILTER = 'alerts/events/**';

/** Which transitions may follow which; samples that do not come for long may cost an alert its data. */
const MAY_FOLLOW = {
  'alert.firing': [undefined, 'alert.resolved', 'alert.data_lost'],
  'alert.data_lost': ['alert.firing'],
  'alert.resolved': ['alert.firing', 'alert.data_lost'],
};

/** What one follower was told of alerts, transition by transition. */
export class Announced {
  mistakes = [];
  /** The newest transition of each alert, and how often each began to fire. */
  newest = new Map();
  fired = new Map();

  /** `topic` ends with the alert's name. */
  take({ topic, type }) {
    const name = topic.split('/').at(-1);
    if (!MAY_FOLLOW[type]) return;
    const before = this.newest.get(name);
    if (!MAY_FOLLOW[type].includes(before)) this.mistakes.push(`${name}: ${type} after ${before ?? 'nothing'}`);
    if (type === 'alert.firing' && before !== 'alert.data_lost') this.fired.set(name, (this.fired.get(name) ?? 0) + 1);
    this.newest.set(name, type);
  }

  /** All is over: each has fired as often as it was made to, and fires no more. */
  end(made) {
    for (const [name, times] of Object.entries(made)) {
      const fired = this.fired.get(name) ?? 0;
      if (fired !== times) this.mistakes.push(`${name} was announced ${fired} times, and has fired ${times} times`);
      const newest = this.newest.get(name);
      if (newest !== 'alert.resolved') this.mistakes.push(`${name} has not resolved: ${newest ?? 'nothing'}`);
    }
    return this.mistakes;
  }
}

/** Sends the samples that have the alerts fire and resolve, as `announced` tells that they have. */
export class Sender {
  /** How often each was made to fire. */
  made = { [TOGGLES]: 0, [STAYS]: 1 };
  #values = { [TOGGLES]: 0, [STAYS]: 1 };
  #goesOn = true;
  #announced;
  #url;
  #dispatcher;

  constructor({ url, trust: ca }, announced, atEnd) {
    this.#url = `${url}/v1/samples`;
    this.#announced = announced;
    this.#dispatcher = new Agent({ connect: { ca } });
    atEnd(() => this.#dispatcher.destroy());
  }

  /** Goes on until all have resolved after `stop`, or `end` aborts. */
  async run(end) {
    while (!end.aborted && (this.#goesOn || !this.#isOver())) {
      this.#turn();
      await this.#send().catch(() => {});
      await setTimeout(PAUSE_MS);
    }
  }

  stop() {
    this.#goesOn = false;
  }

  #is(name, type) {
    return this.#announced.newest.get(name) === type;
  }

  #isOver() {
    return [TOGGLES, STAYS].every((name) => this.made[name] === 0 || this.#is(name, 'alert.resolved'));
  }

  /** An alert is turned once what it was made to do before was announced. */
  #turn() {
    const [toggles, stays] = [this.#values[TOGGLES], this.#values[STAYS]];
    if (toggles === 1 && this.#is(TOGGLES, 'alert.firing')) this.#values[TOGGLES] = 0;
    const isQuiet = this.made[TOGGLES] === 0 || this.#is(TOGGLES, 'alert.resolved');
    if (this.#goesOn && toggles === 0 && isQuiet) {
      this.#values[TOGGLES] = 1;
      this.made[TOGGLES] += 1;
    }
    if (!this.#goesOn && stays === 1 && this.#is(STAYS, 'alert.firing')) this.#values[STAYS] = 0;
  }

  async #send() {
    const body = [['soak_toggles', TOGGLES], ['soak_stays', STAYS]].map(([name, of]) => ({ name, value: this.#values[of] }));
    const answer = await fetchWith(this.#url, {
      method: 'POST',
      dispatcher: this.#dispatcher,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await answer.body.cancel();
  }
}
