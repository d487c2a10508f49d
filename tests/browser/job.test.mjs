// The example of a job: a bare EventSource that shows how far it is and its log, and that the
// `204` behind the last end stops for good.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openExample } from './example.mjs';
import { PATIENCE_MS } from './setting.mjs';

/** Publishes this to the topic; `end` ends it, where there is no `data` by itself. */
async function publish(server, topic, data, end = false) {
  const headers = { 'content-type': 'application/json', ...end && { 'bellwire-end': 'true' } };
  const answer = await fetch(`${server.url}/v1/topics/${topic}`, { method: 'POST', headers, body: JSON.stringify(data) });
  assert.ok(answer.ok, await answer.text());
}

test('a job is shown to its end, and not asked for again', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, origin, faults } = await openExample(t, 'job.html');
  const asked = [];
  page.on('request', (request) => {
    if (request.url().includes('topic=jobs')) asked.push(request);
  });
  const answers = () => Promise.all(asked.map(async (request) => (await request.response())?.status()));
  const shows = (done, log, state) => page.waitForFunction(
    (wanted) => ['done', 'log', 'status']
      .map((id) => document.getElementById(id))
      .every((it, i) => (it.value ?? it.textContent) === wanted[i]),
    [done, log, state],
  );
  const isClosed = () => page.waitForFunction(() => source.readyState === EventSource.CLOSED);

  await publish(server, 'jobs/7/log', 'compiling');
  await page.goto(`${origin}/?server=${server.url}&job=7`);
  await shows(0, 'compiling', 'live');
  await publish(server, 'jobs/7', { done: 40 });
  await shows(40, 'compiling', 'live');
  // One of two has ended: the other goes on, in the same stream.
  await publish(server, 'jobs/7', { done: 100 }, true);
  await publish(server, 'jobs/7/log', 'linked');
  await shows(100, 'compiling\nlinked', 'live');
  assert.equal(asked.length, 1);
  await publish(server, 'jobs/7/log', undefined, true);
  await isClosed();
  await shows(100, 'compiling\nlinked', 'done');
  assert.deepEqual(await answers(), [200, 204]);

  // Another EventSource of the page comes back after a restart, so this one had time to.
  await page.evaluate((url) => {
    window.others = 0;
    window.other = new EventSource(url);
    other.addEventListener('ready', () => { others += 1; });
  }, `${server.url}/v1/events?topic=other`);
  const othersAre = (count) => page.waitForFunction((count) => others === count, count);
  await othersAre(1);
  await server.end('SIGKILL');
  await server.start();
  await othersAre(2);
  await isClosed();
  assert.deepEqual(await answers(), [200, 204]);

  // Who opens it now gets all of it, and is as done.
  await page.reload();
  await isClosed();
  await shows(100, 'compiling\nlinked', 'done');
  assert.deepEqual(await answers(), [200, 204, 200, 204]);
  assert.deepEqual(faults, []);
});
