// Durable Streams: the protocol's own suite for servers, and its client in TypeScript beside ours of
// old, an `EventSource`.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DurableStream, IdempotentProducer, stream } from '@durable-streams/client';
import { EventSource } from 'eventsource';
import { eventually, proves, provesWithFlags, publish, range } from './bellwire.mjs';

/** What of the suite does not pass, and why: docs/durable-streams.md tells more. */
const EXCEPTIONS = JSON.parse(readFileSync('durable_streams/exceptions.json', 'utf8'));

/** A page that may ask: the suite asks as one. */
const ORIGIN = ['--allowed-origins', 'https://example.com'];

/** Tests that sleep, for as long as a long poll waits: each of these runs beside the others. */
const LONG = ['long-poll mode \\(waits', 'with long-poll on empty|on 204 timeout', 'TTL'];

provesWithFlags('the suite of Durable Streams passes, but for what is known', ORIGIN, async (server, atEnd) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-suite-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const parts = [...LONG, `^(?!.*(?:${LONG.join('|')}))`];
  const runs = parts.map((pattern, index) => run(server, pattern, join(folder, `${index}.json`)));
  const results = (await Promise.all(runs)).flat().filter(({ status }) => status !== 'skipped' && status !== 'pending');

  const failed = results.filter(({ status }) => status !== 'passed');
  const known = EXCEPTIONS.flatMap(({ tests }) => tests);
  const unexpected = failed.filter(({ name }) => !known.includes(name));
  assert.deepEqual(unexpected, [], 'what fails that did not');
  const passed = results.filter(({ status }) => status === 'passed').map(({ name }) => name);
  assert.deepEqual(known.filter((name) => passed.includes(name)), [], 'what passes that did not');
  assert.equal(failed.length, known.length, 'each of those that are known is there');
  assert.ok(passed.length > 250, `${passed.length} passed`);
});

/** Runs the tests of the suite whose names match; gives `{name, status, why}` of each of all. */
async function run(server, pattern, output) {
  const flags = [
    'node_modules/vitest/vitest.mjs', 'run', '--config', 'durable_streams/vitest.config.mjs',
    '--testNamePattern', pattern, '--reporter', 'json', '--outputFile', output,
  ];
  const env = { ...process.env, CONFORMANCE_TEST_URL: `${server.url}/v1/ds` };
  // Where tests fail so does it; what it has written tells which.
  const said = await new Promise((resolve) => {
    execFile(process.execPath, flags, { env }, (error, stdout, stderr) => resolve(`${stdout}${stderr}`));
  });
  const report = JSON.parse(await readFile(output, 'utf8').catch(() => assert.fail(said)));
  return report.testResults.flatMap(({ assertionResults }) => assertionResults).map((result) => ({
    name: result.fullName, status: result.status, why: result.failureMessages?.[0]?.split('\n')[0],
  }));
}

proves('its client and an EventSource see the same across SIGKILL, once and in order', async (server, atEnd) => {
  const url = `${server.url}/v1/ds/lab/run`;
  const written = await DurableStream.create({ url, contentType: 'application/json' });
  const counts = { sse: follow(atEnd, url, 'sse'), poll: follow(atEnd, url, 'long-poll') };
  counts.events = followEvents(atEnd, `${server.url}/v1/events?topic=lab/run&after=earliest`);
  const haveSeen = (count) => Promise.all(Object.entries(counts).map(([name, seen]) => (
    eventually(`message ${count} by ${name}`, () => seen.at(-1) >= count)
  )));

  for (const count of range(1, 20)) await written.append(JSON.stringify({ count }));
  await haveSeen(20);
  // Acknowledged, but perhaps not yet delivered, when the server goes down.
  await post(url, 'application/json', JSON.stringify(range(21, 30).map((count) => ({ count }))));
  await server.end('SIGKILL');
  await server.start();
  // What is published by this server's own API is of the same stream.
  await publish(server, 'lab/run', range(31, 40));
  // A producer that does not know what has arrived sends all of it again.
  for (const again of [1, 2]) {
    for (const count of range(41, 50)) await produce(url, count - 41, { count }, again);
  }
  const producer = new IdempotentProducer(written, 'writer', { autoClaim: true });
  for (const count of range(51, 70)) producer.append(JSON.stringify({ count }));
  await producer.flush();
  await haveSeen(70);
  await producer.detach();

  for (const [name, seen] of Object.entries(counts)) assert.deepEqual(seen, range(1, 70), name);
});

proves('a stream that is closed or deleted is so for all who follow it', async (server, atEnd) => {
  const url = `${server.url}/v1/ds/lab/job`;
  const job = await DurableStream.create({ url, contentType: 'text/plain' });
  const live = await stream({ url, offset: '-1', live: 'sse' });
  let log = '';
  live.subscribeText(({ text }) => { log += text; });
  const source = new EventSource(`${server.url}/v1/events?topic=lab/job&after=earliest`);
  atEnd(() => source.close());
  const ends = [];
  source.addEventListener('end', ({ data }) => ends.push(JSON.parse(data).topic));
  await job.append('begun\n');
  await job.close({ body: 'done\n' });
  await live.closed;
  assert.equal(log, 'begun\ndone\n');
  await eventually('its end', () => ends.length > 0);
  assert.deepEqual(ends, ['lab/job']);
  for (const path of ['v1/topics', 'v1/ds']) {
    const status = await post(`${server.url}/${path}/lab/job`, 'text/plain', 'late');
    assert.equal(status, 409, `it takes nothing more by ${path}`);
  }

  await job.delete();
  assert.equal(await post(url, 'text/plain', 'x'), 404);
  for (const method of ['HEAD', 'GET', 'DELETE']) {
    assert.equal((await fetch(url, { method })).status, 404, method);
  }
  const old = live.offset;
  await DurableStream.create({ url, contentType: 'application/json', body: '[1]' });
  const anew = await fetch(url);
  assert.deepEqual(await anew.json(), [1], 'another stream begins anew');
  assert.equal((await fetch(`${url}?offset=${old}`)).status, 410, 'it has no offsets of the one before');
});

/**
 * The counts that the protocol's client brings, as they come. It waits for a server that is away, but a
 * stream that breaks off it leaves to whoever uses it: who comes back with the offset of the last batch.
 */
function follow(atEnd, url, live) {
  const control = new AbortController();
  const { signal } = control;
  const seen = [];
  const backoffOptions = { initialDelay: 50, maxDelay: 500, multiplier: 1.5 };
  const going = (async () => {
    let offset = '-1';
    while (!signal.aborted) {
      const response = await stream({ url, offset, live, signal, backoffOptions });
      response.subscribeJson((batch) => {
        seen.push(...batch.items.map(({ count }) => count));
        offset = batch.offset;
      });
      await response.closed.catch(() => {});
    }
  })().catch((error) => { if (!signal.aborted) throw error; });
  atEnd(() => {
    control.abort();
    return going;
  });
  return seen;
}

function followEvents(atEnd, url) {
  const source = new EventSource(url);
  atEnd(() => source.close());
  const seen = [];
  source.onmessage = ({ data }) => seen.push(JSON.parse(data).data.count);
  return seen;
}

/** Appends as a producer does that has no client; the second time it has been there before. */
async function produce(url, sequence, data, again) {
  const headers = {
    'content-type': 'application/json', 'producer-id': 'sensor', 'producer-epoch': '0', 'producer-seq': `${sequence}`,
  };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify([data]) });
  assert.equal(response.status, again === 1 ? 200 : 204, await response.text());
}

/** Posts a body; gives the answer's status. */
async function post(url, type, body) {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  await response.text();
  return response.status;
}
