// Every page that the navigation leads to, as axe sees it and as somebody with a keyboard alone goes
// through it: light, dark, in high contrast, on a phone, in large text, and without motion. Pages that are
// added to the navigation are looked at, too.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bringAxe, excessOf, faultsOf, smallOf, VIEWS } from './axe.mjs';
import { openPage, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

/** Steps of the keyboard after which a page has to be through. */
const STEPS_MAX = 250;

const ALERTS = [
  { labels: { alertname: 'BoilerHot', site: 'oslo', severity: 'critical' }, annotations: { summary: 'Boiler at 93 °C', runbook_url: 'https://example.org/boiler' } },
  { labels: { alertname: 'BoilerHot', site: 'rome', severity: 'critical' }, annotations: {} },
  { labels: { alertname: 'DoorOpen', site: 'rome', severity: 'warning' }, annotations: { summary: 'A door' } },
];

/** The pages of the navigation, by name: those in its menu, too. */
async function pagesOf(page) {
  const links = page.getByRole('navigation', { name: 'Pages' }).locator('a.link');
  const more = page.getByRole('button', { name: 'More pages' });
  const read = () => links.evaluateAll((all) => all.map((link) => [link.textContent, link.getAttribute('href')]));
  const found = await read();
  if (await more.isVisible()) {
    await more.click();
    for (const link of await read()) if (!found.some(([name]) => name === link[0])) found.push(link);
    await page.keyboard.press('Escape');
  }
  return found;
}

/** Shows a page, and waits until it has come. */
async function show(page, address) {
  await page.evaluate((to) => { location.hash = to; }, address);
  await page.locator('#content h1').first().waitFor({ state: 'attached' });
  await page.waitForFunction(() => !document.querySelector('#content > [aria-busy="true"]'));
}

async function openAll(t, view) {
  const opened = await openPage(t, ALERTS, view);
  const { page, server } = opened;
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify([1, 2, 3].map((value) => ({ name: 'boiler_temperature_celsius', labels: { site: `s${value}` }, value })));
  assert.equal((await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body })).status, 200);
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.getByText('BoilerHot').first().waitFor();
  await bringAxe(page);
  return { ...opened, pages: await pagesOf(page) };
}

for (const [name, view] of Object.entries(VIEWS)) {
  test(`axe finds nothing wrong on any page: ${name}`, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const { page, pages, faults } = await openAll(t, view);
    assert.ok(pages.length > 1, JSON.stringify(pages));
    const found = {};
    for (const [title, address] of pages) {
      await show(page, address);
      const wrong = await faultsOf(page);
      if (wrong.length > 0) found[title] = wrong;
      await shoot(page, `a11y-${name}-${title}`);
      assert.equal(await excessOf(page), 0, `${title} is wider than its window`);
    }
    assert.deepEqual(found, {});
    assert.deepEqual(faults, []);
  });
}

test('what may be touched is large enough on every page of a phone', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, pages } = await openAll(t, VIEWS.phone);
  const small = {};
  for (const [title, address] of pages) {
    await show(page, address);
    const found = await smallOf(page);
    if (found.length > 0) small[title] = found;
  }
  assert.deepEqual(small, {});
});

test('with a keyboard alone every page is gone through, and the focus is always seen', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, pages } = await openAll(t, { viewport: { width: 1000, height: 500 } });
  const hidden = {};
  for (const [title, address] of pages) {
    await show(page, address);
    // The keyboard begins behind what has had the focus last.
    await page.evaluate(() => {
      document.querySelector('.skip').focus();
      document.activeElement.blur();
      scrollTo(0, 0);
    });
    const lost = new Set();
    let hasReachedFooter = false;
    for (let step = 0; step < STEPS_MAX && !hasReachedFooter; step += 1) {
      await page.keyboard.press('Tab');
      let at = await page.evaluate(whereFocusIs);
      if (!at.isSeen) {
        // A list that has just been changed is laid out by the next frame.
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        at = await page.evaluate(whereFocusIs);
      }
      const { where, isSeen, isFooter } = at;
      if (!isSeen) lost.add(where);
      hasReachedFooter = isFooter;
    }
    assert.ok(hasReachedFooter, `${title}: the keyboard does not come through`);
    if (lost.size > 0) hidden[title] = [...lost];
  }
  assert.deepEqual(hidden, {});
});

/** On the page: what has the focus, and whether anything hides it or nothing shows it. */
function whereFocusIs() {
  const focused = document.activeElement;
  const box = focused.getBoundingClientRect();
  const points = [[0.5, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.15], [0.5, 0.85]];
  const isAt = ([x, y]) => {
    const hit = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
    return hit !== null && (focused.contains(hit) || hit.contains(focused) || hit.closest('label')?.contains(focused));
  };
  const { outlineStyle, outlineWidth } = getComputedStyle(focused);
  const isOutlined = outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
  return {
    where: `${focused.outerHTML.slice(0, 140)} at ${Math.round(box.top)}${isOutlined ? '' : ' has no outline'}`,
    isSeen: points.some(isAt) && isOutlined,
    isFooter: focused.id === 'language',
  };
}

test('the way around the frame: the link to the content, the menu, and back', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, pages } = await openAll(t, VIEWS.phone);
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  await page.locator('.brand').focus();
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'Skip to the content');
  const box = await page.getByText('Skip to the content').boundingBox();
  assert.ok(box.y >= 0, 'it is seen while it has the focus');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'content');
  assert.equal(await page.evaluate(() => location.hash === '' || location.hash.startsWith('#/')), true, 'the address is the page’s');
  const more = page.getByRole('button', { name: 'More pages' });
  if (pages.length > 4) {
    await more.focus();
    await page.keyboard.press('Enter');
    assert.equal(await more.getAttribute('aria-expanded'), 'true');
    const menu = await page.locator('.more .dropped').boundingBox();
    assert.ok(menu.x >= 0 && menu.x + menu.width <= 360, JSON.stringify(menu));
    await page.keyboard.press('Tab');
    assert.ok(await page.evaluate(() => document.activeElement.closest('.more .dropped') !== null));
    await page.keyboard.press('Escape');
    assert.equal(await more.getAttribute('aria-expanded'), 'false');
    assert.ok(await more.evaluate((button) => button === document.activeElement));
  }
  // Whoever goes to another page is there: its title is the document's heading, and says where.
  for (const [title, address] of pages) {
    await show(page, address);
    const current = await page.locator('nav [aria-current="page"]').allTextContents();
    assert.deepEqual(current, [title]);
  }
});

test('text of twice the size leaves everything on the page', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, pages } = await openAll(t, { viewport: { width: 1280, height: 900 } });
  // As browsers do that make text larger, and as zooming does.
  await page.evaluate(() => { document.documentElement.style.fontSize = '200%'; document.body.style.fontSize = '30px'; });
  for (const [width, name] of [[1280, 'text'], [640, 'zoom']]) {
    await page.setViewportSize({ width, height: 900 });
    for (const [title, address] of pages) {
      await show(page, address);
      const content = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(content <= width, `${title} is ${content} pixels wide in a window of ${width}`);
      await shoot(page, `a11y-large-${name}-${title}`);
    }
  }
});

test('nothing moves for whoever wants no motion', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, pages } = await openAll(t, { viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  for (const [title, address] of pages) {
    await show(page, address);
    const moving = await page.evaluate(() => document.getAnimations()
      .filter(({ effect, playState }) => playState === 'running' && effect.getComputedTiming().duration > 1)
      .map(({ effect }) => effect.target?.outerHTML.slice(0, 100)));
    assert.deepEqual(moving, [], title);
  }
});
