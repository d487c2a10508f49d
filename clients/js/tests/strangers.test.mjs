// Who answers is no Bellwire: a web server, somebody else's service, a login page of a network between.
// Each transport says so, with a type; what is sent does not count as sent.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually, provesWithFlags } from '../../../tests/clients/bellwire.mjs';
import { freePort } from '../../../tests/port.mjs';
import { Client, longPoll, sse, webSocket } from '../dist/index.js';

const HTML = [200, 'text/html', '<html>Welcome to the hotel'];
const JSON_TYPE = 'application/json';
const STREAM = 'text/event-stream';

/** What each answers to every request, and how each transport ends or goes on: `status code`. */
const STRANGERS = [
  { what: 'a page', answer: HTML, sse: 'closed not_bellwire', poll: 'closed not_bellwire' },
  { what: 'nothing', answer: [200, 'text/plain', ''], sse: 'closed not_bellwire', poll: 'closed not_bellwire' },
  { what: 'other JSON', answer: [200, JSON_TYPE, '{"hello":1}'], sse: 'closed not_bellwire', poll: 'closed not_bellwire' },
  { what: 'a list', answer: [200, JSON_TYPE, '[]'], sse: 'closed not_bellwire', poll: 'closed not_bellwire' },
  { what: 'events that are none', answer: [200, JSON_TYPE, '{"events":[7],"cursor":"e1-1"}'], sse: 'closed not_bellwire', poll: 'closed not_bellwire' },
  { what: 'half an answer', answer: [200, JSON_TYPE, '{"events":[{"top'], sse: 'closed not_bellwire', poll: 'waiting connection_lost' },
  { what: 'another stream', answer: [200, STREAM, 'data: {"hello":1}\n\n'], sse: 'closed not_bellwire', poll: 'closed not_bellwire' },
  { what: 'a stream of no JSON', answer: [200, STREAM, 'data: hello\n\n'], sse: 'waiting frame_malformed', poll: 'closed not_bellwire' },
  { what: 'bytes', answer: [200, STREAM, Buffer.from([0, 255, 254, 10, 100, 97, 116, 97, 58, 255, 10, 10])], sse: 'waiting frame_malformed', poll: 'closed not_bellwire' },
  { what: 'that there is no such thing', answer: [404, 'text/html', '<html>'], sse: 'closed unexpected_status', poll: 'closed unexpected_status' },
  { what: 'a fault', answer: [502, 'text/html', '<html>'], sse: 'waiting unexpected_status', poll: 'waiting unexpected_status' },
];

async function listen(t, server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections?.();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

const answering = (t, [status, type, body]) => listen(t, createServer((_, answer) => answer.writeHead(status, { 'content-type': type }).end(body)));

/** The first that goes wrong with a subscription, or why it is closed. */
async function firstFault(url, transport) {
  const client = new Client(url, { transport, random: () => 0.9 });
  const fault = await new Promise((resolve) => {
    client.subscribe('a').addEventListener('status', ({ detail: { status, error } }) => {
      if (error) resolve(`${status} ${error.code}`);
    });
  });
  client.close();
  return fault;
}

for (const { what, answer, ...wanted } of STRANGERS) {
  test(`strangers: where the answer is ${what}`, async (t) => {
    const url = await answering(t, answer);
    for (const transport of [sse, longPoll()]) {
      assert.equal(await firstFault(url, transport), wanted[transport.name], transport.name);
    }
    // Which status hides behind it a WebSocket does not say.
    assert.equal(await firstFault(url, webSocket({ WebSocket })), 'waiting connection_lost');
  });
}

test('strangers: what is sent to one that says it is well does not count as sent', async (t) => {
  for (const answer of [HTML, [200, 'text/plain', ''], [200, JSON_TYPE, 'null'], [201, JSON_TYPE, '{"id":7}']]) {
    const client = new Client(await answering(t, answer));
    t.after(() => client.close());
    await assert.rejects(client.publish('a', 1, { timeoutMs: 300, idempotencyKey: 'one' }), {
      name: 'UnsentError', code: 'unanswered', idempotencyKey: 'one', mayBeTaken: true,
    });
  }
});

test('strangers: WebSockets that say something else', async (t) => {
  for (const [message, wanted] of [
    ['{"hello":1}', 'closed not_bellwire'], ['hello', 'waiting frame_malformed'], [Buffer.from([1, 2]), 'waiting frame_malformed'],
  ]) {
    const server = createServer();
    new WebSocketServer({ server }).on('connection', (socket) => socket.send(message));
    assert.equal(await firstFault(await listen(t, server), webSocket({ WebSocket })), wanted, `${message}`);
  }
});

test('strangers: one that speaks no HTTP, and none at all', async (t) => {
  const url = await listen(t, createTcpServer((socket) => socket.on('error', () => {}).once('data', () => socket.end('SSH-2.0-OpenSSH\r\n'))));
  const nobody = `http://127.0.0.1:${await freePort()}`;
  for (const transport of [sse, longPoll()]) {
    for (const other of [url, nobody]) assert.equal(await firstFault(other, transport), 'waiting connection_failed');
  }
});

test('strangers: addresses that are none say which', () => {
  for (const url of ['bell', '', '//bell', 'http://', 'http://a b', 'ftp://bell', 'ws://bell', null, undefined]) {
    assert.throws(() => new Client(url), { name: 'TypeError', message: `\`${url}\` does not begin with http:// or https://` });
  }
});

provesWithFlags('a quota that is used up is waited for', ['--connections-per-address-max', '1'], async (server, atEnd) => {
  const clients = [new Client(server.url), new Client(server.url)];
  atEnd(() => clients.forEach((client) => client.close()));
  await clients[0].subscribe('a').ready();
  let waits;
  clients[1].subscribe('a').addEventListener('status', ({ detail }) => { if (detail.error) waits = detail; });
  await eventually('the refusal', () => waits);
  const { status, error, retryInMs } = waits;
  assert.deepEqual([status, error.name, error.status], ['waiting', 'ProblemError', 429]);
  assert.notEqual(error.code, 'unexpected_status');
  assert.ok(error.retryAfterMs > 0 && retryInMs >= error.retryAfterMs, `${retryInMs} of ${error.retryAfterMs}`);
});
