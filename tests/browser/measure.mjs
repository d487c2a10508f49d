// What the pages cost the browser of whoever looks at them, by the clock. No test: it prints what it
// measures, a line of JSON each, and is worth something on a machine that has nothing else to do.
//
//     node measure.mjs live [--runs 10] [--alerts 100] [--slower 4]
//     node measure.mjs storm [--minutes 2] [--alerts 10000] [--rate 500] [--slower 1] [--profile FILE]
//     node measure.mjs memory [--minutes 30] [--alerts 10000] [--rate 500]
//
// `live`: from the beginning of the navigation to a board that says it is live, with a new profile and
// with what a visit before has left in the cache. `storm`: long tasks and frames of a board that changes
// all the time while somebody scrolls and types. `memory`: what such a board keeps, each minute.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { Crowd } from './crowd.mjs';
import { heapBytes } from './heap.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const { values, positionals: [what] } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(['runs', 'alerts', 'slower', 'minutes', 'rate', 'profile'].map((name) => [name, { type: 'string' }])),
});
const numberOf = (name, byDefault) => Number(values[name] ?? byDefault);

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const VIEW = { viewport: { width: 1440, height: 900 }, locale: 'en' };
const RULES = 'groups: [{ name: g, rules: [{ alert: Hot, expr: "temperature > 90" }] }]\n';

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const median = (numbers) => sorted(numbers)[numbers.length >> 1];
const rounded = (number) => Math.round(number * 10) / 10;

function print(measured) {
  console.log(JSON.stringify({ ...measured, browser: browserVersion, processors: cpus().length, at: new Date().toISOString() }));
}

let browserVersion = '';

/** A server with a rule, a sample and alerts, for as long as `work` takes. */
async function withServer(alerts, work) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-measure-'));
  await writeFile(join(data, 'rules.yml'), RULES);
  const server = new Server(BINARY, 'serve', join(data, 'journal'), ['--rules', join(data, 'rules.yml')]);
  await server.start();
  try {
    const body = JSON.stringify([{ name: 'temperature', labels: { site: 'oslo' }, value: 20 }]);
    await fetch(`${server.url}/v1/samples`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const crowd = new Crowd(server, alerts);
    await crowd.fire();
    await work(server, crowd);
  } finally {
    await server.end('SIGKILL');
    await rm(data, { recursive: true, force: true });
  }
}

/** A browser with a profile of its own, which is gone behind `work`. */
async function withBrowser(work) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  browserVersion = browser.version();
  try {
    const page = await browser.newPage(VIEW);
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => console.error(error));
    await work(page, browser);
  } finally {
    await browser.close();
  }
}

async function slowDown(page, times) {
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate: times });
}

// ---------------------------------------------------------------------------- live

/** On the page, before anything else: notes when it says that it is live, and that is on the screen. */
function noteLive() {
  globalThis.wasLive = new Promise((resolve) => {
    const look = () => {
      const isLive = document.querySelector('#connection[data-state="live"]') && document.querySelector('#last-heard');
      const isCounted = document.querySelector('.totals b') && !document.querySelector('.totals')?.textContent.includes('–');
      if (!isLive || !isCounted) return;
      watching.disconnect();
      // What was drawn in this frame is seen behind it.
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    };
    const watching = new MutationObserver(look);
    watching.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  });
}

/** When the page did what, in milliseconds from the beginning of the navigation. */
async function phases(page) {
  const live = await page.evaluate(() => globalThis.wasLive);
  const painted = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0);
  const loaded = await page.evaluate(() => performance.getEntriesByType('resource').find(({ initiatorType }) => initiatorType === 'script')?.responseEnd ?? 0);
  return { live, painted, loaded };
}

async function measureLive() {
  const [runs, alerts, slower] = [numberOf('runs', 10), numberOf('alerts', 100), numberOf('slower', 4)];
  const found = { new: [], warm: [] };
  await withServer(alerts, async (server) => {
    for (let run = 0; run < runs; run += 1) {
      await withBrowser(async (page) => {
        await page.addInitScript(noteLive);
        await slowDown(page, slower);
        // Once to fill the cache, once for the engine to keep what it has compiled, and once to measure.
        for (const kind of ['new', null, 'warm']) {
          await page.goto('about:blank');
          await page.goto(server.url);
          const told = await phases(page);
          if (kind) found[kind].push(told);
          // What comes behind the first look is not measured with the next.
          await page.waitForLoadState('load');
          await setTimeout(SECOND_MS);
        }
      });
    }
  });
  for (const [profile, all] of Object.entries(found)) {
    const of = (name) => rounded(median(all.map((told) => told[name])));
    print({
      measure: 'live', profile, slower, alerts, runs, live_ms: of('live'), first_paint_ms: of('painted'), script_loaded_ms: of('loaded'),
      live_ms_all: sorted(all.map(({ live }) => Math.round(live))),
    });
  }
}

// ---------------------------------------------------------------------------- storm

/** On the page: long tasks, frames, and how long what people do takes to be seen. */
function noteTasks() {
  const noted = globalThis.noted = { tasks: [], frames: [], gaps: 0, inputs: [], begin: performance.now() };
  const observe = (type, options, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, ...options });
  observe('longtask', {}, ({ startTime, duration }) => noted.tasks.push([Math.round(startTime - noted.begin), Math.round(duration)]));
  observe('event', { durationThreshold: 16 }, ({ duration }) => noted.inputs.push(duration));
  let last = performance.now();
  const frame = (now) => {
    noted.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** As somebody does who looks for something: scrolls, types a filter and takes it away, looks elsewhere. */
async function use(page, until) {
  const field = page.locator('.filter input');
  for (let round = 0; performance.now() < until; round += 1) {
    await page.mouse.move(700, 600);
    for (let step = 0; step < 20; step += 1) {
      await page.mouse.wheel(0, step < 12 ? 240 : -360);
      await setTimeout(100);
    }
    await page.mouse.move(5, 5);
    await field.click();
    await page.keyboard.type(['host-12', 'severity="critical" ', 'instance=~"host-1.*" '][round % 3], { delay: 120 });
    await setTimeout(SECOND_MS);
    await field.focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Backspace');
    await field.blur();
    await page.mouse.move(5, 5);
    await setTimeout(2 * SECOND_MS);
  }
}

const threadSeconds = async (session) => {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'ThreadTime').value;
};

async function openStorm(page, server, alerts) {
  await page.goto(`${server.url}/#/alerts?group=none`);
  await page.waitForFunction((count) => document.title.startsWith(`(${count}`), alerts);
}

async function measureStorm() {
  const [minutes, alerts, rate, slower] = [numberOf('minutes', 2), numberOf('alerts', 10_000), numberOf('rate', 500), numberOf('slower', 1)];
  await withServer(alerts, (server, crowd) => withBrowser(async (page) => {
    await openStorm(page, server, alerts);
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    await slowDown(page, slower);
    crowd.begin(rate);
    await setTimeout(2 * SECOND_MS);
    const [begin, workBefore, changesBefore] = [performance.now(), await threadSeconds(session), crowd.changes];
    if (values.profile) {
      await session.send('Profiler.enable');
      await session.send('Profiler.start');
    }
    await page.evaluate(noteTasks);
    await use(page, begin + minutes * MINUTE_MS);
    const noted = await page.evaluate(() => globalThis.noted);
    const seconds = (performance.now() - begin) / SECOND_MS;
    const work = await threadSeconds(session) - workBefore;
    if (values.profile) await writeFile(values.profile, JSON.stringify((await session.send('Profiler.stop')).profile));
    const changes = crowd.changes - changesBefore;
    await crowd.stop();
    const durations = sorted(noted.tasks.map(([, duration]) => duration));
    const frames = sorted(noted.frames);
    const inputs = sorted(noted.inputs);
    print({
      measure: 'storm', alerts, slower, seconds: rounded(seconds), changes_per_second: Math.round(changes / seconds),
      tasks_over_50_ms: durations.length, longest_task_ms: durations.at(-1) ?? 0, tasks: noted.tasks.slice(0, 50),
      frames_per_second: rounded(frames.length / seconds), longest_frame_ms: rounded(frames.at(-1)), frames_over_50_ms: frames.filter((ms) => ms > 50).length,
      slowest_input_ms: inputs.at(-1) ?? 0, busy_percent: rounded((work / seconds) * 100),
    });
  }));
}

// ---------------------------------------------------------------------------- memory

/** The resident memory of the largest of the browser's processes that show pages. */
async function residentBytes(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const bytes = await Promise.all(processInfo.filter(({ type }) => type === 'renderer').map(async ({ id }) => {
    const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
  }));
  return Math.max(...bytes);
}

async function measureMemory() {
  const [minutes, alerts, rate] = [numberOf('minutes', 30), numberOf('alerts', 10_000), numberOf('rate', 500)];
  await withServer(alerts, (server, crowd) => withBrowser(async (page, browser) => {
    await openStorm(page, server, alerts);
    const session = await page.context().newCDPSession(page);
    crowd.begin(rate);
    const begin = performance.now();
    const heaps = [];
    for (let minute = 0; minute <= minutes; minute += 1) {
      await setTimeout(Math.max(0, begin + minute * MINUTE_MS - performance.now()));
      heaps.push(await heapBytes(page));
      const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
      print({
        measure: 'memory', minute, alerts, changes: crowd.changes, heap_bytes: heaps.at(-1),
        nodes, listeners: jsEventListeners, renderer_bytes: await residentBytes(browser),
      });
    }
    await crowd.stop();
    print({ measure: 'memory', minutes, alerts, heap_bytes_per_minute: Math.round(slope(heaps.slice(heaps.length >> 1))) });
  }));
}

/** By how much it grows each minute, by the line that fits best: over the second half, when all is warm. */
function slope(numbers) {
  const middle = (numbers.length - 1) / 2;
  const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  const over = numbers.reduce((sum, one, index) => sum + (index - middle) * (one - mean), 0);
  const under = numbers.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
  return under === 0 ? 0 : over / under;
}

const measures = { live: measureLive, storm: measureStorm, memory: measureMemory };
if (!Object.hasOwn(measures, what)) {
  console.error('usage: node measure.mjs live|storm|memory');
  process.exit(2);
}
await measures[what]();
