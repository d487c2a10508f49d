// The board by lanes, groups and filters, by keyboard alone, as a grid, in pages and on a wall.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, postAlerts, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const MANY = 120;
const ALERTS = [
  ...Array.from({ length: MANY }, (_, index) => ({
    labels: { alertname: 'LinkFlaps', severity: 'warning', site: index % 2 ? 'oslo' : 'rome', instance: `switch-${index % 40}`, port: String(index), job: 'network' },
    annotations: {},
  })),
  { labels: { alertname: 'BoilerHot', severity: 'critical', site: 'oslo', instance: 'boiler-1' }, annotations: { summary: 'oslo is hot' } },
  { labels: { alertname: 'DoorOpen', severity: 'info', site: 'lima' }, annotations: { summary: 'a door' } },
];

function proves(name, body, view = {}) {
  test(name, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const { server, page, faults } = await openPage(t, ALERTS, view);
    // Such as what the page's own policy does not let it do.
    page.on('console', (line) => line.type() === 'error' && !line.text().includes('Failed to load resource') && faults.push(line.text()));
    await body({ server, page });
    assert.deepEqual(faults, []);
  });
}

const names = (page) => page.locator('.row .name bdi').allTextContents();
const hash = (page) => decodeURIComponent(new URL(page.url()).hash);
const focused = (page) => page.evaluate(() => document.activeElement.closest('[data-key]')?.querySelector('.name bdi')?.textContent ?? document.activeElement.tagName);

proves('a hundred alerts of one name are one row, which opens and is acted on', async ({ page }) => {
  const group = page.locator('.group', { hasText: `${MANY} alerts` });
  await group.waitFor();
  assert.deepEqual(await names(page), ['BoilerHot', 'LinkFlaps', 'DoorOpen']);
  // What all of them have is told once.
  assert.deepEqual(await group.locator('.label').allTextContents(), ['job=network ']);
  await shoot(page, 'groups');
  await group.locator('.name').click();
  const inner = page.locator('.alert', { hasText: 'port=' });
  await inner.first().waitFor();
  assert.equal(await inner.getByText('job=network').count(), 0);
  await group.getByRole('checkbox').check();
  const bar = page.getByRole('region', { name: 'What to do with what is selected' });
  await bar.getByText(`${MANY} selected`).waitFor();
  await page.keyboard.press('Escape');
  await bar.waitFor({ state: 'detached' });
  assert.ok(await page.locator('.row').count() < 60, 'only what is near the screen is in the document');
});

proves('a filter is completed, stands in the address, and is there again when that is opened', async ({ page }) => {
  await page.locator('.group').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('si');
  await page.getByRole('option', { name: 'site=' }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('option', { name: /^rome/ }).waitFor();
  await page.keyboard.type('~"os.*|li');
  await page.keyboard.type('ma"');
  await page.keyboard.press('Enter');
  await page.locator('.chip', { hasText: 'site=~"os.*|lima"' }).waitFor();
  await page.getByText(`62 of ${MANY + 2} alerts`).waitFor();
  await page.keyboard.type('door');
  await page.keyboard.press('Enter');
  await page.getByText(`1 of ${MANY + 2} alerts`).waitFor();
  assert.equal(new URL(page.url()).hash.startsWith('#/alerts?filter='), true);
  const address = page.url();
  await shoot(page, 'filter');

  await page.goto('about:blank');
  await page.goto(address);
  await page.getByText(`1 of ${MANY + 2} alerts`).waitFor();
  assert.deepEqual(await names(page), ['DoorOpen']);
  await page.getByRole('button', { name: 'Remove door' }).click();
  await page.getByText(`62 of ${MANY + 2} alerts`).waitFor();
  // What was looked for is offered again.
  await page.getByRole('button', { name: 'Clear', exact: true }).click();
  await page.getByRole('combobox', { name: 'Filter' }).click();
  await page.getByRole('option', { name: 'site=~"os.*|lima" door' }).waitFor();
  await page.keyboard.type('a=~"(');
  await page.keyboard.type('"');
  await page.locator('.filter .error', { hasText: 'is not closed in the expression' }).waitFor();
});

proves('groups are by any labels, and the address says by which', async ({ page }) => {
  await page.locator('.group').waitFor();
  await page.keyboard.press('g');
  await page.getByLabel('Group by').selectOption('site');
  await page.locator('.group', { hasText: 'site=oslo' }).waitFor();
  assert.deepEqual(await names(page), ['site=oslo', 'site=rome', 'DoorOpen']);
  assert.equal(hash(page), '#/alerts?group=site');
  await page.getByLabel('Group by').selectOption({ label: 'Other labels…' });
  await page.getByLabel('Labels, in order').fill('alertname, site');
  await page.getByRole('dialog').getByRole('button', { name: 'Group' }).click();
  await page.locator('.group', { hasText: 'LinkFlaps · site=oslo' }).waitFor();
  assert.equal(hash(page), '#/alerts?group=alertname,site');
  await page.getByLabel('Group by').selectOption({ label: 'Not grouped' });
  await page.locator('.alert', { hasText: 'port=' }).first().waitFor();
});

proves('by keyboard alone every row is reached, opened and picked, and the focus is seen', async ({ page }) => {
  await page.locator('.group').waitFor();
  for (const [key, name] of [['j', 'BoilerHot'], ['j', 'LinkFlaps'], ['ArrowDown', 'DoorOpen'], ['k', 'LinkFlaps']]) {
    await page.keyboard.press(key);
    assert.equal(await focused(page), name, key);
  }
  await page.keyboard.press('ArrowRight');
  await page.locator('.alert', { hasText: 'port=' }).first().waitFor();
  for (let count = 0; count < 60; count += 1) await page.keyboard.press('j');
  // It is neither below what sticks to the top nor below the edge.
  const isSeen = () => page.evaluate(() => {
    const { top, bottom, left } = document.activeElement.getBoundingClientRect();
    const tools = document.querySelector('.tools').getBoundingClientRect().bottom;
    return top >= tools && bottom <= innerHeight && document.activeElement.contains(document.elementFromPoint(left + 2, (top + bottom) / 2));
  });
  assert.ok(await isSeen());
  for (let count = 0; count < 40; count += 1) {
    await page.keyboard.press('k');
    assert.ok(await isSeen(), `after ${count}`);
  }
  await page.keyboard.press('x');
  await page.getByText('1 selected').waitFor();
  await page.keyboard.press('ArrowLeft');
  assert.equal(await focused(page), 'LinkFlaps');
  await page.keyboard.press('End');
  assert.equal(await focused(page), 'DoorOpen');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  // A row that one has scrolled away from keeps the focus.
  await page.keyboard.press('Home');
  await page.keyboard.press('j');
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.locator('.alert', { hasText: 'a door' }).waitFor();
  assert.equal(await focused(page), 'BoilerHot');
});

proves('as a grid each host is a cell with its worst, and leads to its alerts', async ({ server, page }) => {
  await page.getByRole('button', { name: 'Grid' }).click();
  const boiler = page.locator('.cell', { hasText: 'boiler-1' });
  await boiler.getByText('1 critical').waitFor();
  await page.locator('.cell', { hasText: 'switch-7' }).getByText('3 warning').waitFor();
  await page.locator('.cell', { hasText: 'no instance' }).waitFor();
  assert.equal(hash(page), '#/alerts?view=grid');
  await shoot(page, 'grid');
  await boiler.hover();
  await postAlerts(server, [{ labels: { alertname: 'Cold', severity: 'warning', instance: 'a-first-one' } }, { labels: { alertname: 'Cold', severity: 'warning', instance: 'boiler-1' } }]);
  // It changes in place, and none comes before it.
  await boiler.getByText('1 critical, 1 warning').waitFor();
  assert.equal(await page.locator('.cell', { hasText: 'a-first-one' }).count(), 0);
  await page.mouse.move(5, 5);
  await page.locator('.cell', { hasText: 'a-first-one' }).waitFor();
  await boiler.click();
  await page.locator('.alert', { hasText: 'oslo is hot' }).waitFor();
  assert.equal(hash(page), '#/alerts?filter=instance="boiler-1"'.replace(' ', '+'));
});

proves('in pages each row is whole, and the choice stays', async ({ page }) => {
  await page.locator('.group').waitFor();
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('In pages, each row whole').check();
  await page.getByRole('button', { name: 'Open all groups' }).click();
  await page.getByText('Page 1 of 3').waitFor();
  assert.equal(await page.locator('.row').count(), 50);
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('Page 2 of 3').waitFor();
  await page.reload();
  await page.locator('.paged .group').waitFor();
});

proves('on a wall there is nothing to press, proof of life is large, and Escape leads back', async ({ server, page }) => {
  await page.goto(`${server.url}/#/alerts?wall=1`);
  await page.locator('.wall-rows li', { hasText: `${MANY} alerts` }).waitFor();
  assert.equal(await page.locator('button:visible, a:visible, input:visible').count(), 0);
  assert.ok(await page.locator('.life time').evaluate((element) => parseFloat(getComputedStyle(element).fontSize)) >= 32);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), 'dark');
  await shoot(page, 'wall');
  // A system that turns dark and light again by the hour turns no wall.
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    // Who listens for it is told before the next frame.
    await page.evaluate(() => new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); }));
    assert.equal(await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches), colorScheme === 'dark');
    assert.equal(await theme(), 'dark');
  }
  await server.end('SIGKILL');
  await page.locator('.life:not([data-live])').waitFor();
  await page.locator('.band:visible', { hasText: /Not connected: what is shown is \d+ s old/ }).waitFor();
  const fits = () => document.documentElement.scrollHeight <= innerHeight;
  assert.ok(await page.evaluate(fits), 'the band takes its room from the wall');
  await page.keyboard.press('Escape');
  await page.locator('.group').waitFor();
  assert.equal(await theme(), 'light');
}, { viewport: { width: 1920, height: 1080 }, colorScheme: 'light' });

proves('a wall whose filter finds nothing says that there is something', async ({ server, page }) => {
  await page.goto(`${server.url}/#/alerts?wall=1&filter=nowhere`);
  await page.getByText(`None of ${MANY + 2} alerts matches the filter.`).waitFor();
}, { viewport: { width: 1920, height: 1080 } });

proves('a server that is away leaves what is shown, says since when, and lets nothing be done', async ({ server, page }) => {
  await page.locator('.group').waitFor();
  await server.end('SIGKILL');
  await page.locator('.band', { hasText: /Not connected: what is shown is \d+ s old/ }).waitFor();
  // It stays while the page tries again and again.
  await page.evaluate(() => {
    window.bandsGone = 0;
    new MutationObserver(() => { if (!document.querySelector('.band')) window.bandsGone += 1; }).observe(document.body, { childList: true, subtree: true });
  });
  for (let tries = 0; tries < 2; tries += 1) await page.waitForEvent('requestfailed');
  await page.locator('#connection[data-state="waiting"]').waitFor();
  const heard = await page.locator('.band').textContent();
  await page.waitForFunction((heard) => document.querySelector('.band')?.textContent !== heard, heard);
  assert.equal(await page.evaluate(() => window.bandsGone), 0);
  assert.deepEqual(await names(page), ['BoilerHot', 'LinkFlaps', 'DoorOpen']);
  const acknowledge = page.locator('.alert', { hasText: 'oslo is hot' }).getByRole('button', { name: 'Acknowledge' });
  assert.ok(await acknowledge.isDisabled());
  assert.match(await acknowledge.getAttribute('title'), /Not connected/);
  await page.waitForFunction((count) => document.title === `(${count}?) Bellwire`, MANY + 2);
  await shoot(page, 'away');
  await server.start();
  await page.locator('#connection[data-state="live"]').waitFor();
});
