// How long a page takes for 1,000 events that come at once: by the client, and by the browser's own
// `EventSource` with `JSON.parse`. The same bytes, in turns. No test: it prints what it measures. A
// machine that has much else to do tells little by the clock; in Chromium the time that the page's
// thread has worked is told, too.
//
//     node dispatch.mjs [rounds] [apart]
//
// `apart` sends each event for itself, a millisecond after the one before.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { HAS_FIREFOX, launchFirefox } from './firefox.mjs';
import { CHROMIUM, CHROMIUM_FLAGS } from './setting.mjs';

const EVENTS = 1_000;
const ROUNDS = Number(process.argv[2] ?? 60);
const ROUNDS_BEFORE = 10;
const ARE_APART = process.argv[3] === 'apart';
const CLIENT = new URL('../../clients/js/dist/index.js', import.meta.url);

/** As the server writes them. */
const frame = (cursor, item) => `id: ${cursor}\ndata: ${JSON.stringify(item)}\n\n`;
const READY = frame('e1-0', { control: 'ready', cursor: 'e1-0', heartbeat_interval_ms: 25_000 });
const FRAMES = Array.from({ length: EVENTS }, (_, index) => frame(`e1-${index + 1}`, {
  topic: `lab/${index % 7}`, type: 'note', time: 1_767_225_600_000 + index, cursor: `e1-${index + 1}`,
  data: { text: 'the pressure is as it should be', value: index, labels: { site: 'oslo', line: `${index % 3}` } },
}));
const BYTES = Buffer.byteLength(FRAMES.join('')) / EVENTS;

async function burst(stream) {
  if (!ARE_APART) return stream.write(FRAMES.join(''));
  for (const frame of FRAMES) {
    stream.write(frame);
    await setTimeout(1);
  }
}

/** Plays streams, and gives each its burst when it is asked to. */
async function startPlayer() {
  const script = await readFile(CLIENT);
  const streams = [];
  const server = createServer((request, answer) => {
    const { pathname } = new URL(request.url, 'http://player');
    // Otherwise clocks of pages are coarse.
    answer.setHeader('cross-origin-opener-policy', 'same-origin').setHeader('cross-origin-embedder-policy', 'require-corp');
    if (pathname === '/v1/events') {
      answer.setHeader('content-type', 'text/event-stream').write(READY);
      streams.push(answer);
    } else if (pathname === '/burst') {
      void burst(streams.pop());
      answer.writeHead(204).end();
    } else if (pathname === '/client.js') {
      answer.setHeader('content-type', 'text/javascript').end(script);
    } else {
      answer.setHeader('content-type', 'text/html').end('<!doctype html><title>dispatch</title>');
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => { server.close(); server.closeAllConnections(); } };
}

/** In the page: the ways to take a burst, each of which gives how long that took, in milliseconds. */
async function prepare(events) {
  const { Follower } = await import('/client.js');
  const follow = () => new Follower('/').subscribe('lab/**');
  /** Takes events until all are there. */
  class Take {
    #count = 0;
    #sum = 0;
    #begin = 0;
    ms = new Promise((resolve) => { this.resolve = resolve; });

    begin() {
      this.#begin = performance.now();
      void fetch('/burst');
    }

    /** Whether there are more to come. */
    event({ data }) {
      this.#sum += data.value;
      if ((this.#count += 1) < events) return true;
      if (this.#sum !== (events * (events - 1)) / 2) throw new Error(`other events: ${this.#sum}`);
      this.resolve(performance.now() - this.#begin);
      return false;
    }
  }
  const ways = {
    native(take) {
      const source = new EventSource('/v1/events');
      source.onmessage = ({ data }) => {
        const item = JSON.parse(data);
        if ('control' in item) take.begin();
        else if (!take.event(item)) source.close();
      };
    },
    listener(take) {
      const subscription = follow();
      subscription.addEventListener('ready', () => take.begin());
      subscription.addEventListener('event', ({ detail }) => { if (!take.event(detail)) subscription.close(); });
    },
    async iteration(take) {
      const subscription = follow();
      subscription.addEventListener('ready', () => take.begin());
      for await (const event of subscription) if (!take.event(event)) break;
    },
  };
  globalThis.run = (name) => {
    const take = new Take();
    void ways[name](take);
    return take.ms;
  };
}

const WAYS = ['native', 'listener', 'iteration'];
/** The clock of the page, and where it can be had: the work of its thread. */
const MEASURES = { 'by the clock': 0, 'work of the thread': 1 };

/** Each way once a round, in another order each time: milliseconds by way. */
async function measure(page, workMs) {
  const times = Object.fromEntries(WAYS.map((name) => [name, []]));
  await page.evaluate(prepare, EVENTS);
  for (let round = -ROUNDS_BEFORE; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < WAYS.length; turn += 1) {
      const name = WAYS[(turn + round + ROUNDS_BEFORE) % WAYS.length];
      const before = await workMs();
      const ms = await page.evaluate((name) => globalThis.run(name), name);
      if (round >= 0) times[name].push([ms, (await workMs()) - before]);
    }
  }
  return times;
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

function print(browser, times) {
  console.log(`${browser}: ${EVENTS} events of ${Math.round(BYTES)} bytes${ARE_APART ? ' each for itself' : ''}, ${ROUNDS} rounds`);
  for (const [measure, index] of Object.entries(MEASURES)) {
    if (Number.isNaN(times.native[0][index])) continue;
    for (const name of WAYS) {
      const own = times[name].map((both) => both[index]);
      const ratio = median(own.map((ms, round) => ms / times.native[round][index]));
      console.log(`  ${measure}: ${name.padEnd(9)} ${median(own).toFixed(1)} ms, ${ratio.toFixed(2)} of native`);
    }
  }
}

/** How long the page's thread has worked, in milliseconds. */
async function workOf(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'ThreadTime').value * 1_000;
  };
}

async function runIn(name, browser, measureWork) {
  try {
    const page = await browser.newPage();
    await page.goto(player.url);
    print(`${name} ${browser.version()}`, await measure(page, await measureWork(page)));
  } finally {
    await browser.close();
  }
}

const player = await startPlayer();
await runIn('Chromium', await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS }), workOf);
if (HAS_FIREFOX) await runIn('Firefox', await launchFirefox(), async () => async () => NaN);
else console.log('there is no Firefox on this machine');
player.close();
