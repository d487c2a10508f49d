// A page that follows much, and what it keeps of that: its heap, with the rubbish taken out.

import assert from 'node:assert/strict';
import { openLibrary } from './client.mjs';

/** How many events a page is sent at once, and one newer value. */
const BATCH = 100;
const KEYS = 100;

/** A page that follows the same by an iteration and by a listener, and values by their keys. */
export async function openFollowing(t) {
  const parts = await openLibrary(t);
  await parts.page.evaluate(async (url) => {
    const client = new globalThis.bellwire.Client(url);
    Object.assign(globalThis, { iterated: 0, heard: 0, state: client.state('samples/pressure') });
    const [one, other] = [client.subscribe('lab/**'), client.subscribe('lab/**')];
    void (async () => {
      for await (const { data } of one) globalThis.iterated = data.value;
    })();
    other.addEventListener('event', ({ detail }) => { globalThis.heard = detail.data.value; });
    globalThis.state.addEventListener('change', () => {});
    await Promise.all([one.ready(), other.ready(), globalThis.state.ready()]);
  }, parts.server.url);
  return { ...parts, publisher: new Publisher(parts) };
}

class Publisher {
  /** How many events were sent. */
  sent = 0;
  #batches = 0;

  constructor({ server, page }) {
    this.server = server;
    this.page = page;
  }

  async batch() {
    const events = Array.from({ length: BATCH }, (_, index) => ({
      topic: `lab/${index % 7}`, data: { text: 'the pressure is as it should be', value: this.sent + index + 1 },
    }));
    await this.#post('events', events);
    await this.#post('samples', [{ name: 'pressure', labels: { pump: `${this.#batches % KEYS}` }, value: this.#batches }]);
    this.sent += BATCH;
    this.#batches += 1;
  }

  /** The page has all that was sent. */
  async taken() {
    await this.page.waitForFunction((sent) => globalThis.iterated === sent && globalThis.heard === sent, this.sent);
    assert.equal(await this.page.evaluate(() => globalThis.state.size), Math.min(KEYS, this.#batches));
  }

  async #post(path, body) {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${this.server.url}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, text);
  }
}

/** The bytes of its heap that are in use. */
export async function heapBytes(page) {
  const session = await page.context().newCDPSession(page);
  // What goes with one collection may have held something else.
  for (let times = 0; times < 3; times += 1) await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize;
}
