// Samples whose values count up from 1: what arrived of them, and whether it did so once.

import assert from 'node:assert/strict';
import { eventually } from './bellwire.mjs';

/** What a sender counts under. A rule looks at it for as long as the tests take. */
export const METRIC = 'steps_total';
export const RULES = `groups:
- name: g
  rules:
  - {alert: Kept, expr: 'count_over_time(${METRIC}[20m]) < 0'}
  - {alert: Noisy, expr: noise > 1}
`;
/** How much more is sent before a test goes on. */
const STEPS = 3;

/** Within how many milliseconds an SDK that is to send has read its clock. */
const READ_MS = 5;

/**
 * Sends one after the other, each sample at another time: those of one millisecond stand in for each
 * other. A clock that is set back meanwhile is waited for.
 */
export function apart() {
  let latest = 0;
  return async (send) => {
    await eventually('another millisecond', () => Date.now() > latest);
    latest = Date.now() + READ_MS;
    await send();
    latest = Math.max(latest, Date.now());
  };
}

/** A sender whose samples count up. */
export class Numbered {
  count = 0;
  /** Looks at what is there. */
  assertArrived = assertOnce;
  #step;

  /** `step` has it take the next sample, whose value it is given, on its way. */
  constructor(step) {
    this.#step = step;
  }

  async goesOn() {
    for (let left = STEPS; left > 0; left -= 1) {
      await this.#step(this.count + 1);
      this.count += 1;
    }
  }

  /** Waits until the newest is there, and looks whether all others are, each once. */
  async hasArrived(server) {
    const values = await eventually(`sample ${this.count}`, async () => {
      const values = await arrived(server.url);
      return values.at(-1)?.[1] >= this.count && values;
    });
    this.assertArrived(values, this.count);
  }
}

/** The times and values that are there. */
export async function arrived(url) {
  const response = await fetch(`${url}/api/v1/query?query=${METRIC}[20m]`).catch(() => null);
  if (!response?.ok) return [];
  const { data } = await response.json();
  assert.ok(data.result.length <= 1, JSON.stringify(data.result));
  return (data.result[0]?.values ?? []).map(([time, value]) => [time, Number(value)]);
}

/** Whether there is each value from 1 on, once, in the order of their times. */
export function assertOnce(values, count) {
  const expected = Array.from({ length: count }, (_, index) => index + 1);
  assert.deepEqual(values.map(([, value]) => value), expected);
  for (const [index, [time]] of values.entries()) {
    assert.ok(index === 0 || time > values[index - 1][0], `${time} comes twice`);
  }
}

/** What a server goes through while something sends to it: all of it arrives, once. */
export async function throughKills(server, sender) {
  await sender.goesOn();
  await sender.hasArrived(server);
  await server.end('SIGKILL');
  await sender.goesOn();
  await server.start();
  await sender.goesOn();
  server.signal('SIGSTOP');
  await sender.goesOn();
  server.signal('SIGCONT');
  await sender.goesOn();
  await sender.hasArrived(server);
}

/** A disk that is full, and a kill meanwhile: what is sent arrives when there is room, once. */
export async function throughFullDisk(server, sender, disk) {
  await sender.goesOn();
  await sender.hasArrived(server);
  disk.fill();
  // What is left of the last page of a file has room for more.
  await eventually('the end of the disk', async () => (await postNoise(server, 0)).status === 507);
  await sender.goesOn();
  await eventually('a refusal', () => hasRefused(server, 'journal_full'));
  await sender.goesOn();
  await server.end('SIGKILL');
  disk.empty();
  await server.start();
  await sender.goesOn();
  await sender.hasArrived(server);
}

/**
 * Rules that wait until the journal has room for an alert, while ever more waits for them: all of it
 * arrives, once.
 */
export async function throughBusyRules(server, sender, disk) {
  await sender.goesOn();
  await sender.hasArrived(server);
  disk.fill();
  const noise = postNoise(server, 2);
  await eventually('the wait', async () => (await fetch(`${server.url}/readyz`)).status === 503);
  await sender.goesOn();
  await eventually('a refusal', () => hasRefused(server, 'publishers_busy'));
  await sender.goesOn();
  disk.empty();
  await noise;
  await sender.goesOn();
  await sender.hasArrived(server);
}

/** Samples of another sender, many at a time. Above 1 they raise alerts. */
function postNoise(server, value) {
  const samples = Array.from({ length: 100 }, (_, place) => (
    { name: 'noise', labels: { place: `${place}` }, value }
  ));
  return fetch(`${server.url}/v1/samples`, { method: 'POST', body: JSON.stringify(samples) });
}

async function hasRefused(server, code) {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const refused = new RegExp(`^bellwire_source_requests_refused_total\\{.*"${code}"`, 'm');
  return refused.test(metrics);
}

/** What the figures say of samples of a source that were refused. */
export async function refusedSamples(server, source, headers = {}) {
  const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
  const figure = `bellwire_source_samples_refused_total{source="${source}"`;
  return metrics.split('\n').filter((line) => line.startsWith(figure));
}
