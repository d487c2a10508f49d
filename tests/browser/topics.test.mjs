// The page of topics: what there is, what comes on one, what it holds, and publishing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from './served.mjs';
import { shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const CONFIG = '[[topic]]\nmatch = "tickers/*"\nkind = "state"\n';
const timeout = 5 * PATIENCE_MS;

test('without a topic the page says how to make one', { timeout }, async (t) => {
  const { page, open } = await serve(t);
  await open('topics');
  await page.getByText('There is no topic yet').waitFor();
  await page.getByText('chat/general').waitFor();
});

test('a topic is found by some of its letters and followed live, paused and read from its beginning', { timeout }, async (t) => {
  const { page, open, post } = await serve(t);
  await post('/v1/topics/orders/new', '{"order":1}');
  await post('/v1/topics/chat/general', '"hello"');
  await open('topics');
  await page.getByRole('searchbox', { name: 'Find a topic' }).fill('ornew');
  await page.getByRole('link', { name: 'orders/new' }).click();
  await page.getByRole('heading', { name: 'orders/new' }).waitFor();
  const events = page.locator('ol.events li');
  await page.locator('[data-status="live"]', { hasText: 'live' }).last().waitFor();
  await post('/v1/topics/orders/new', '{"order":2}');
  await events.filter({ hasText: '{"order":2}' }).waitFor();
  assert.equal(await events.count(), 1, 'only what came since');
  await page.getByRole('button', { name: 'Pause' }).click();
  await post('/v1/topics/orders/new', '{"order":3}');
  await page.getByText('one came while paused').waitFor();
  assert.equal(await events.count(), 1);
  await page.getByLabel('Read from').selectOption('earliest');
  await events.filter({ hasText: '{"order":3}' }).waitFor();
  assert.deepEqual(await events.locator('pre').allTextContents(), ['{"order":3}', '{"order":2}', '{"order":1}']);
  await shoot(page, 'topics');
});

test('a state topic is a table, and what is published is checked and comes back', { timeout }, async (t) => {
  const { page, open, post } = await serve(t, { config: CONFIG });
  await post('/v1/topics/tickers/fx', '{"bid":1.08}', { 'bellwire-key': 'EURUSD' });
  await open('topics/tickers%2Ffx');
  const rows = page.locator('.topic-pane table tbody tr');
  await rows.filter({ hasText: 'EURUSD' }).waitFor();
  const publish = page.getByRole('button', { name: 'Publish' });
  await page.getByText('A state topic needs a key').waitFor();
  assert.ok(await publish.isDisabled());
  await page.getByLabel('Key', { exact: true }).fill('Øre');
  await page.getByLabel('Data').fill('{"bid":');
  await page.getByText('This is no JSON').waitFor();
  assert.ok(await publish.isDisabled());
  await page.getByLabel('Data').fill('{"bid":2}');
  await publish.click();
  await page.locator('.done', { hasText: 'Written. Version' }).waitFor();
  await rows.filter({ hasText: 'Øre' }).filter({ hasText: '{"bid":2}' }).waitFor();
});

test('names and data of strangers are text, however long and whatever they contain', { timeout }, async (t) => {
  const { page, open, post } = await serve(t, { view: { viewport: { width: 360, height: 800 } } });
  const odd = '<img src=x onerror=document.title="hit">';
  const long = `long/${'x'.repeat(240)}`;
  await post(`/v1/topics/${encodeURIComponent(odd)}`, JSON.stringify({ text: odd }));
  await post(`/v1/topics/${encodeURIComponent('\u202eevil')}`, '1');
  await post(`/v1/topics/${long}`, JSON.stringify('y'.repeat(100_000)));
  await open(`topics/${encodeURIComponent(odd)}`);
  await page.getByRole('heading', { name: odd }).waitFor();
  await page.getByLabel('Read from').selectOption('earliest');
  await page.locator('ol.events pre', { hasText: 'onerror' }).waitFor();
  await open(`topics/${encodeURIComponent(long)}`);
  await page.getByLabel('Read from').selectOption('earliest');
  await page.locator('ol.events', { hasText: 'more characters' }).waitFor();
  await open('topics');
  await page.getByText('\\u202eevil').waitFor();
  assert.equal(await page.locator('main img').count(), 0);
  assert.notEqual(await page.title(), 'hit');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing reaches beyond the screen');
});

test('of many topics some are in the document, and the others are found', { timeout }, async (t) => {
  const { page, open, post } = await serve(t);
  const lines = Array.from({ length: 3_000 }, (_, n) => JSON.stringify({ topic: `users/${String(n).padStart(4, '0')}`, data: n }));
  await post('/v1/events', lines.join('\n'), { 'content-type': 'application/x-ndjson' });
  await open('topics');
  await page.getByText('3,000 topics').first().waitFor();
  await page.getByRole('button', { name: 'users' }).click();
  await page.getByRole('button', { name: 'Show 100 more' }).waitFor();
  assert.equal(await page.locator('.topic-link').count(), 100);
  await page.getByRole('searchbox', { name: 'Find a topic' }).fill('2999');
  await page.getByRole('link', { name: 'users/2999' }).waitFor();
});

test('who may read some topics sees those, and is told what they may not', { timeout }, async (t) => {
  const config = '[access]\nanonymous = "guest"\n[[access.role]]\nname = "guest"\nsubscribe = ["news/**"]\npublish = ["other/*"]\n';
  const { page, open, post } = await serve(t, { config });
  await post('/v1/topics/other/a', '1');
  await open('topics/other%2Fa');
  await page.getByText('The server does not let this be followed').waitFor();
  assert.equal(await page.getByRole('link', { name: 'other' }).count(), 0);
  await open('topics/news%2Fa');
  await page.getByLabel('Data').fill('1');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.getByText('Not published').first().waitFor();
});
