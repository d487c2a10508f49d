// The page of connections: how many streams there are, and why others have ended.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import WebSocket from 'ws';
import { serve } from './served.mjs';
import { shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const timeout = 5 * PATIENCE_MS;

/** A WebSocket that is followed, and sends what is of the wrong kind. */
async function offend(server) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/events?topic=chat/offended`);
  await new Promise((resolve) => { socket.on('message', resolve); });
  const closed = new Promise((resolve) => { socket.on('close', resolve); });
  socket.send(Buffer.from([1]));
  await closed;
}

test('streams are counted by transport, and those that ended say why in words', { timeout }, async (t) => {
  const { server, page, open } = await serve(t);
  const control = new AbortController();
  await fetch(`${server.url}/v1/events?topic=chat/**`, { headers: { accept: 'application/x-ndjson' }, signal: control.signal });
  await open('connections');
  const transport = page.locator('tbody tr', { hasText: 'ndjson' });
  await transport.locator('td.number').first().filter({ hasText: '1' }).waitFor();
  await page.getByText('Everybody keeps up').waitFor();
  control.abort();
  await page.locator('.reasons li', { hasText: 'The client closed it' }).waitFor();
  await offend(server);
  await page.locator('.reasons li', { hasText: 'The client broke the protocol' }).getByText('look at that client’s library').waitFor();
  const rows = page.locator('[aria-labelledby="ended-title"] tbody tr');
  await rows.filter({ hasText: 'chat/offended' }).filter({ hasText: 'websocket' }).waitFor();
  await page.getByLabel('Show').selectOption('faults');
  await rows.filter({ hasText: 'The client closed it' }).waitFor({ state: 'detached' });
  assert.equal(await rows.count(), 1);
  await shoot(page, 'connections');
});

test('who may not read them is told so', { timeout }, async (t) => {
  const config = '[access]\nanonymous = "guest"\n[[access.role]]\nname = "guest"\nsubscribe = ["news/**"]\n';
  const { page, open } = await serve(t, { config });
  await open('connections');
  await page.getByText('You may not see this').waitFor();
});
