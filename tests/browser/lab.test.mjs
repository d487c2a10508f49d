// The transport lab: a browser measures the three transports and a client that chooses, over a network
// that fails, and none of them misses or doubles an event. And the advice on what that was.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openPage, shoot } from './page.mjs';

const SIDES = ['sse', 'websocket', 'poll', 'moving'];

/** A figure of a side, as the table shows it. */
const figure = (page, side, name) => page.locator(`tr[data-side="${side}"] [data-figure="${name}"]`).textContent();

async function start(page, { events, rate }) {
  await page.getByLabel('Events', { exact: true }).fill(`${events}`);
  await page.getByLabel('A second', { exact: true }).fill(`${rate}`);
  // By keyboard, as all of it can be.
  await page.getByRole('button', { name: /^Measure/ }).focus();
  await page.keyboard.press('Enter');
}

const came = (page, side, count) =>
  page.waitForFunction(([name, most]) => Number(document.querySelector(`tr[data-side="${name}"] [data-figure="received"]`)?.textContent) >= most, [side, count]);

const done = (page) => page.getByText(/^Done:/).first().waitFor();

test('each transport brings the same events, and what each costs is shown', async (t) => {
  const { page, faults } = await openPage(t, []);
  await page.goto(`${page.url().split('#')[0]}#/lab`);
  await start(page, { events: 30, rate: 20 });
  await done(page);
  for (const side of SIDES) {
    assert.equal(await figure(page, side, 'received'), '30', side);
    assert.equal(await figure(page, side, 'missing'), '0', side);
    assert.equal(await figure(page, side, 'doubled'), '0', side);
    assert.ok(Number(await figure(page, side, 'down')) > 128, side);
  }
  assert.equal(await page.locator('.strip[data-side="sse"] circle').count(), 30);
  // One stream, one socket, and about a request for each event.
  assert.equal(await figure(page, 'sse', 'requests'), '1');
  assert.equal(await figure(page, 'websocket', 'requests'), '1');
  assert.ok(Number(await figure(page, 'poll', 'requests')) > 10);
  await shoot(page, 'lab');
  assert.deepEqual(faults, []);
});

test('a proxy that buffers, a dropped network and a drain lose and double nothing', async (t) => {
  const { page, faults } = await openPage(t, []);
  await page.goto(`${page.url().split('#')[0]}#/lab`);
  await start(page, { events: 300, rate: 10 });
  await came(page, 'sse', 3);
  for (const name of ['A proxy that buffers, 8 s', 'A dropped network, 4 s', 'A drain of the server']) {
    // While one is played no other can be.
    await page.getByRole('button', { name }).click();
  }
  await done(page);
  for (const side of SIDES) {
    assert.equal(await figure(page, side, 'received'), '300', side);
    assert.equal(await figure(page, side, 'missing'), '0', side);
    assert.equal(await figure(page, side, 'doubled'), '0', side);
    assert.equal(await figure(page, side, 'gaps'), '0', side);
  }
  assert.match(await page.locator('.phase').textContent(), /nothing came twice/);
  // The client that chooses has left the stream that brought nothing.
  await page.locator('table.moves').getByText('that one brought nothing').first().waitFor();
  assert.notEqual(await figure(page, 'sse', 'reconnect'), '–');
  await shoot(page, 'lab-faults');
  assert.deepEqual(faults, []);
});

test('the client that chooses is moved by hand', async (t) => {
  const { page } = await openPage(t, []);
  await page.goto(`${page.url().split('#')[0]}#/lab`);
  await start(page, { events: 60, rate: 10 });
  await came(page, 'moving', 3);
  await page.getByRole('group', { name: /^Move the client/ }).getByRole('button', { name: 'WebSocket' }).click();
  await page.locator('table.moves').getByText('you asked for it').waitFor();
  await done(page);
  assert.equal(await figure(page, 'moving', 'missing'), '0');
  assert.equal(await figure(page, 'moving', 'doubled'), '0');
});

test('the advice page tells what was carried, and decides what is described', async (t) => {
  const { page, server, faults } = await openPage(t, []);
  for (let number = 0; number < 25; number += 1) {
    const posted = await fetch(`${server.url}/v1/topics/chat/a`, { method: 'POST', body: `${number}` });
    assert.equal(posted.status, 201);
  }
  await page.goto(`${page.url().split('#')[0]}#/advice`);
  const row = page.locator('tr[data-carrier="post"]', { hasText: 'chat/…' });
  await row.waitFor();
  assert.equal(await row.getAttribute('data-verdict'), 'fits');

  await page.getByLabel('From each client').fill('3/s');
  await page.getByRole('button', { name: 'Decide' }).click();
  await page.locator('article[data-choice]:not([data-choice="sse"])').waitFor();
  // A slip is told in the server's words, which say what would be right.
  await page.getByLabel('From each client').fill('often');
  await page.getByRole('button', { name: 'Decide' }).click();
  await page.getByRole('alert').getByText(/`up` is a rate/).waitFor();
  await shoot(page, 'advice');
  assert.deepEqual(faults, []);
});

test('both pages fit a phone, in both languages', async (t) => {
  const { page } = await openPage(t, [], { viewport: { width: 360, height: 700 }, locale: 'de' });
  for (const [name, title] of [['lab', 'Transport-Labor'], ['advice', 'Welcher Transportweg wozu passt']]) {
    await page.goto(`${page.url().split('#')[0]}#/${name}`);
    await page.getByRole('heading', { name: title }).waitFor();
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${name}: ${over} px too wide`);
    await shoot(page, `${name}-360`);
  }
});

test('what was stopped blames nobody', async (t) => {
  const { page, faults } = await openPage(t, [], { locale: 'en' });
  await page.goto(`${page.url().split('#')[0]}#/lab`);
  await start(page, { events: 500, rate: 5 });
  await came(page, 'sse', 2);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText(/^Stopped after \d+ event/).first().waitFor();
  assert.doesNotMatch(await page.locator('.phase').textContent(), /missing/);
  assert.deepEqual(faults, []);
});
