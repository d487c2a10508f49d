// What the proxies of deploy make of answers: before a node that says only what a test has it say. What
// a node says itself stays as it is; what the proxy says in its place an EventSource can live with.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createListener } from 'node:net';
import { test } from 'node:test';
import { Agent, fetch as fetchWith } from 'undici';
import { HAS_OPENSSL } from '../certificate.mjs';
import { freePort } from '../port.mjs';
import { deployed, hasProxy } from '../proxy.mjs';
import { startBefore } from './deployment.mjs';

const TEST_PATIENCE_MS = 60_000;
const PROBLEM = { type: 'about:blank', title: 'Service Unavailable', status: 503, code: 'node_behind', detail: 'it catches up' };
const EVENT_SOURCE = { accept: 'text/event-stream' };

/** A test behind a proxy, said to be skipped where it is not there. */
function provesBehind(proxy, name, body) {
  const missing = !hasProxy(proxy) ? proxy : !HAS_OPENSSL ? 'openssl' : null;
  if (missing) {
    console.error(`SKIPPED: there is no ${missing} on this machine: ${proxy}: ${name}`);
    test(`${proxy}: ${name}`, { skip: `there is no ${missing}` }, () => {});
    return;
  }
  test(`${proxy}: ${name}`, { timeout: TEST_PATIENCE_MS }, async (t) => {
    const closings = [];
    t.after(async () => {
      for (const close of closings.reverse()) await close();
    });
    await body((close) => closings.push(close));
  });
}

/** Starts a server at a port that the system chooses; gives its address. */
async function listens(server, atEnd) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  return `127.0.0.1:${server.address().port}`;
}

/** A node that is well, and says to all else what `answers` does. */
const node = (answers, atEnd) => listens(createServer((request, response) => {
  if (/^\/(ready|health)z$/.test(request.url)) response.end('ok');
  else answers(request, response);
}), atEnd);

/** What asks through the proxy, each time over a connection of its own. */
function asks({ url, trust: ca }, atEnd) {
  const dispatcher = new Agent({ connect: { ca }, pipelining: 0 });
  atEnd(() => dispatcher.destroy());
  return async (path, init = {}) => {
    const answer = await fetchWith(`${url}${path}`, { ...init, dispatcher });
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
  };
}

for (const proxy of ['haproxy', 'nginx', 'caddy']) {
  provesBehind(proxy, 'what a node says itself stays as it is', async (atEnd) => {
    const address = await node((request, response) => {
      response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '7' }).end(JSON.stringify(PROBLEM));
    }, atEnd);
    const ask = asks(await startBefore([address], { proxy }, atEnd), atEnd);
    for (const path of ['/v1/events?topic=a', '/v1/events?topic=a&refusals=status']) {
      const answer = await ask(path, { headers: EVENT_SOURCE });
      assert.deepEqual([answer.status, answer.type], [503, 'application/problem+json'], path);
      assert.deepEqual(JSON.parse(answer.text), PROBLEM);
    }
  });

  provesBehind(proxy, 'where no node is there an EventSource comes back, and who asks for the status gets it', async (atEnd) => {
    const nobody = `127.0.0.1:${await freePort()}`;
    const ask = asks(await startBefore([nobody], { proxy }, atEnd), atEnd);
    const bare = await ask('/v1/events?topic=a', { headers: EVENT_SOURCE });
    assert.deepEqual([bare.status, bare.type?.split(';')[0]], [200, 'text/event-stream']);
    const others = [
      ['/v1/events?topic=a&refusals=status', EVENT_SOURCE],
      ['/v1/events?refusals=status&topic=a', EVENT_SOURCE],
      ['/v1/events?topic=a', { accept: 'application/x-ndjson' }],
    ];
    for (const [path, headers] of others) {
      const { status, type } = await ask(path, { headers });
      assert.ok([502, 503, 504].includes(status), `${path} is ${status}`);
      assert.notEqual(type, 'text/event-stream', path);
    }
  });
}

provesBehind('haproxy', 'a node that dies under a request with a key, though it is large, has another one asked', async (atEnd) => {
  const [, room] = deployed('haproxy.cfg', []).match(/^ +tune\.bufsize (\d+)$/m);
  const head = 4 * 1024;
  // It takes a request and answers nothing.
  const dies = createListener((socket) => socket.on('error', () => {}).once('data', (data) => {
    if (/^GET \/(ready|health)z /.test(data)) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    else setImmediate(() => socket.destroy());
  }));
  const takes = await node(async (request, response) => {
    let bytes = 0;
    for await (const piece of request) bytes += piece.length;
    response.writeHead(201).end(`${bytes}`);
  }, atEnd);
  const ask = asks(await startBefore([await listens(dies, atEnd), takes], { proxy: 'haproxy' }, atEnd), atEnd);
  for (const size of [100, 15_000, Number(room) - head]) {
    const init = (index) => ({ method: 'POST', headers: { 'idempotency-key': `${size}-${index}` }, body: 'x'.repeat(size) });
    for (let index = 0; index < 4; index += 1) {
      const { status, text } = await ask('/v1/topics/a', init(index));
      assert.deepEqual([status, text], [201, `${size}`]);
    }
  }
  // Without a key nobody knows whether it was taken, and it is not sent again.
  const statuses = [];
  for (let times = 0; times < 4; times += 1) statuses.push((await ask('/v1/topics/a', { method: 'POST', body: 'x' })).status);
  assert.ok(statuses.includes(502), `${statuses}`);
});
