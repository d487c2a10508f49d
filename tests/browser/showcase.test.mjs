// The examples as pages of the real demo: what each of them promises, and that its script runs under the
// policy that it is served with.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';
import { shoot } from './page.mjs';

const EXAMPLES = new URL('../../examples/', import.meta.url);
const LINES_MAX = 150;

let data;
let server;
let browser;

before(async () => {
  data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  server = new Server(BINARY, 'demo', data);
  process.on('exit', () => server.kill());
  await server.start();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
});

after(async () => {
  await browser?.close();
  await server?.end('SIGKILL');
  if (data) await rm(data, { recursive: true, force: true });
});

/** A test with somebody's browser, whose tabs `open` opens: no script of a page fails, or is refused. */
function proves(name, body) {
  test(name, { timeout: 5 * PATIENCE_MS }, async () => {
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    const faults = [];
    const open = async (path) => {
      const page = await context.newPage();
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('console', (line) => {
        if (line.text().includes('Content Security Policy')) faults.push(line.text());
      });
      await page.goto(`${server.url}/examples/${path}`);
      return page;
    };
    try {
      await server.whileRunning(body(open));
      assert.deepEqual(faults, []);
    } finally {
      await context.close();
    }
  });
}

const isLive = (page) => page.locator('#status[data-status="live"]').waitFor();

const publish = async (topic, event) => {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${server.url}/v1/topics/${topic}`, { method: 'POST', headers, body: JSON.stringify(event) });
  assert.equal(answer.status, 201, await answer.text());
};

test('each example is short, and in the list', async () => {
  const names = (await readdir(EXAMPLES)).filter((name) => name.endsWith('.html'));
  const list = await (await fetch(`${server.url}/examples`)).text();
  for (const name of names) {
    const lines = (await readFile(new URL(name, EXAMPLES), 'utf8')).trimEnd().split('\n').length;
    assert.ok(lines <= LINES_MAX, `${name} has ${lines} lines`);
    if (name !== 'index.html') assert.match(list, new RegExp(`href="${name}[?"]`));
  }
  assert.ok(names.length >= 9, names.join());
});

proves('what the list leads to is there', async (open) => {
  const page = await open('');
  assert.match(await page.locator('body').innerText(), /not_found|There is no/);
  await page.goto(`${server.url}/examples`);
  const links = await page.locator('a.card').evaluateAll((all) => all.map((it) => it.href));
  assert.ok(links.length >= 9, links.join());
  for (const link of links) assert.equal((await fetch(link)).status, 200, link);
  await shoot(page, 'examples');
});

proves('the board shows what fires in the demo', async (open) => {
  const page = await open('board.html');
  await page.locator('#header[data-tone="firing"]').waitFor();
  assert.match(await page.title(), /firing/);
  await page.locator('details[data-state="firing"] li').first().waitFor();
});

proves('the ticker has charts, and settings that reach the other tab over a WebSocket', async (open) => {
  const page = await open('ticker.html');
  const sent = [];
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sent.push(String(payload))));
  await page.reload();
  const other = await open('ticker.html');
  for (const tab of [page, other]) {
    await isLive(tab);
    await tab.locator('article[data-symbol="BELL"] polyline[points*=" "]').waitFor({ state: 'attached' });
  }
  await page.getByLabel('BELL').uncheck();
  await other.locator('article[data-symbol="BELL"]').waitFor({ state: 'detached' });
  await page.getByLabel('GONG').check();
  await page.getByLabel('1 min', { exact: true }).check();
  await other.locator('article[data-symbol="GONG"]').waitFor();
  await other.locator('input[value="1"]:checked').waitFor();
  assert.ok(sent.some((frame) => frame.includes('ticker/settings/') && frame.includes('"publish"')), sent.join('\n'));
  // The next visit has them, too.
  await page.reload();
  await page.locator('article[data-symbol="GONG"]').waitFor();
  await shoot(page, 'ticker');
});

proves('a tap is a sample over a WebSocket, and the heatmap has it', async (open) => {
  const page = await open('reactions.html');
  await isLive(page);
  const sent = new Promise((resolve) => {
    page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => resolve(JSON.parse(payload))));
  });
  await page.getByRole('button', { name: 'party' }).click();
  const { request, samples: [{ name, labels }] } = await sent;
  assert.deepEqual([request, name, labels.emoji], ['samples', 'audience_reactions', '🎉']);
  const taken = async () => {
    const { events } = await (await fetch(`${server.url}/v1/topics/samples/audience_reactions`)).json();
    return events.some((event) => event.data.labels.from === labels.from);
  };
  while (!await taken()) await page.waitForTimeout(50);
  await page.waitForFunction(() => [...document.querySelectorAll('main output')].some((it) => Number(it.value) > 0));
  assert.equal(await page.locator('#sum').innerText(), '');
  await shoot(page, 'reactions');
});

proves('a filter of the dashboard reaches every screen, over the stream that it has', async (open) => {
  const [page, other] = [await open('dashboard.html'), await open('dashboard.html')];
  const streams = [];
  await isLive(other);
  other.on('request', (request) => {
    if (request.url().includes('/v1/events')) streams.push(request.url());
  });
  for (const tab of [page, other]) {
    await isLive(tab);
    await tab.waitForFunction(() => document.querySelectorAll('#regions li').length === 4);
    await tab.locator('#revenue[points*=" "]').waitFor({ state: 'attached' });
  }
  await page.getByLabel('Region').selectOption('Europe');
  for (const tab of [page, other]) {
    await tab.waitForFunction(() => document.querySelector('#regions').textContent.startsWith('Europe') && document.querySelectorAll('#regions li').length === 1);
  }
  await other.waitForFunction(() => document.querySelector('[name="region"]').value === 'Europe');
  assert.deepEqual(streams, []);
  await shoot(other, 'dashboard');
  await page.getByLabel('Region').selectOption('');
  await other.waitForFunction(() => document.querySelectorAll('#regions li').length === 4);
});

proves('a comment is confirmed with its cursor, and others have it', async (open) => {
  const [page, other] = [await open('comments.html'), await open('comments.html')];
  for (const tab of [page, other]) await isLive(tab);
  await other.getByText('here: Guest').waitFor();
  await page.getByLabel('Your comment').fill('<b>hello</b> from here');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('li.mine', { hasText: '<b>hello</b> from here' }).getByText(/✓ e\d+-\d+/).waitFor();
  await other.locator('li', { hasText: '<b>hello</b> from here' }).waitFor();
  assert.equal(await page.locator('li.sending').count(), 0);
  await publish('notices', { text: 'The doors close now.' });
  for (const tab of [page, other]) await tab.getByText('The doors close now.').waitFor();
  await shoot(page, 'comments');
});

proves('two tabs that play under one name lose no point', async (open) => {
  const tabs = [await open('leaderboard.html'), await open('leaderboard.html')];
  for (const tab of tabs) {
    await isLive(tab);
    await tab.getByLabel('Your name').fill('Twin');
  }
  const RINGS = 15;
  await Promise.all(tabs.map(async (tab) => {
    for (let ring = 0; ring < RINGS; ring += 1) await tab.getByRole('button', { name: 'Ring' }).click();
  }));
  const total = String(2 * RINGS * 10);
  for (const tab of tabs) await tab.locator('li[data-player="Twin"] b', { hasText: new RegExp(`^${total}$`) }).waitFor();
  await shoot(tabs[0], 'leaderboard');
});

proves('the newest job of the demo is followed', async (open) => {
  const page = await open('job.html');
  await page.locator('#title', { hasText: 'Build' }).waitFor();
  await page.locator('#log', { hasText: 'begins' }).or(page.locator('#log', { hasText: 'compiling' })).waitFor();
  await page.locator('#status:is([data-status="live"], [data-status="done"])').waitFor();
  await shoot(page, 'job');
});
