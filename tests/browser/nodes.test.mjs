// The page of nodes: two real nodes over a real engine, of which one goes.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Engine, engineOf } from '../engine.mjs';
import { Server } from '../server.mjs';
import { bringAxe, faultsOf } from './axe.mjs';
import { shoot } from './page.mjs';
import { serve } from './served.mjs';
import { BINARY, PATIENCE_MS } from './setting.mjs';

const timeout = 5 * PATIENCE_MS;

test('nodes are there while they beat, and one that is gone can be forgotten', { timeout }, async (t) => {
  const kind = engineOf(['nats', 'redis']);
  if (!kind) return t.skip('SKIPPED: there is no nats-server and no redis-server');
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-nodes-'));
  const engine = new Engine(kind, folder);
  await engine.start();
  const { page, open, data } = await serve(t, { config: `cluster = "${engine.url}"\n` });
  const other = new Server(BINARY, 'serve', join(data, 'other'), ['--config', join(data, 'bellwire.toml')]);
  t.after(async () => {
    await other.end('SIGKILL');
    await engine.kill();
    await rm(folder, { recursive: true, force: true });
  });
  await other.start();
  await open('nodes');
  const rows = page.locator('.nodes tbody tr');
  await rows.filter({ hasText: 'answers here' }).filter({ hasText: 'is there' }).waitFor();
  const second = rows.filter({ hasNotText: 'answers here' });
  await second.filter({ hasText: 'is there' }).waitFor();
  await page.getByText('follows the log').waitFor();
  await bringAxe(page);
  assert.deepEqual(await faultsOf(page), []);
  await shoot(page, 'nodes');
  await other.end('SIGKILL');
  await second.filter({ hasText: 'silent for' }).waitFor();
  await shoot(page, 'nodes-silent');
  await second.getByRole('button', { name: 'Forget…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Forget', exact: true }).click();
  await second.waitFor({ state: 'detached' });
});

test('a node that is cut off from its engine proves nothing on any page, until it is back', { timeout }, async (t) => {
  const kind = engineOf(['nats', 'redis']);
  if (!kind) return t.skip('SKIPPED: there is no nats-server and no redis-server');
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-cut-off-'));
  const engine = new Engine(kind, folder);
  await engine.start();
  t.after(async () => {
    await engine.kill();
    await rm(folder, { recursive: true, force: true });
  });
  const { page, open } = await serve(t, { config: `cluster = "${engine.url}"\n` });
  await open('alerts');
  const lamp = page.locator('#connection');
  await page.locator('#connection[data-state="live"]').waitFor();
  await engine.kill();
  await page.locator('#connection[data-state="degraded"]').waitFor();
  const band = page.locator('#trouble').filter({ hasText: 'takes no events in' });
  for (const place of ['alerts', 'history', 'live']) {
    await open(place);
    await band.waitFor();
    assert.equal(await lamp.textContent().then((text) => text.startsWith('Live')), false, place);
    assert.match(await page.title(), /\?/, place);
  }
  await open('alerts');
  await page.locator('.board[data-stale]').waitFor();
  await engine.start();
  await page.locator('#connection[data-state="live"]').waitFor();
  await band.waitFor({ state: 'detached' });
});

test('a server that stands alone says so', { timeout }, async (t) => {
  const { page, open } = await serve(t);
  await open('nodes');
  await page.getByText('This server stands alone.').waitFor();
  await page.getByText('--cluster').waitFor();
});
