// Node's own `https` and `http2`: requests and streams over TLS, many on one connection.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http2 from 'node:http2';
import https from 'node:https';
import { createInterface } from 'node:readline';
import { BINARY, provesOverTls, range } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const STREAMS = 100;

provesOverTls('https keeps a connection for requests, and then streams on it', async (
  server, atEnd, certificate,
) => {
  const agent = new https.Agent({ ca: await readFile(certificate), keepAlive: true, maxSockets: 1 });
  atEnd(() => agent.destroy());
  for (const text of ['one', 'two']) {
    const answer = await ask(`${server.url}/v1/topics/lab/notes`, { agent, method: 'POST' }, text);
    assert.equal(answer.statusCode, 201);
    assert.equal(answer.req.reusedSocket, text === 'two');
    answer.resume();
    await once(answer, 'end');
  }
  const url = `${server.url}/v1/events?topic=lab/**&after=earliest`;
  const stream = await ask(url, { agent, headers: { accept: 'application/x-ndjson' } });
  const lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  assert.equal((await nextObject(lines)).data, 'one');
  assert.equal((await nextObject(lines)).data, 'two');
  assert.equal((await nextObject(lines)).control, 'ready');
});

provesOverTls(`http2 follows ${STREAMS} topics on one connection`, async (
  server, atEnd, certificate,
) => {
  const session = http2.connect(server.url, { ca: await readFile(certificate) });
  atEnd(() => session.destroy());
  await once(session, 'connect');
  assert.equal(session.alpnProtocol, 'h2');
  const topics = range(1, STREAMS).map((number) => `lab/${number}`);
  const streams = await Promise.all(topics.map((topic) => follow(session, topic)));
  for (const lines of streams) assert.equal((await nextObject(lines)).control, 'ready');
  for (const topic of topics) {
    const path = `/v1/topics/${topic}`;
    const request = session.request({ ':method': 'POST', ':path': path });
    request.end(topic);
    const [headers] = await once(request, 'response');
    assert.equal(headers[':status'], 201);
    request.close();
  }
  for (const [index, lines] of streams.entries()) {
    assert.equal((await nextObject(lines)).data, topics[index]);
  }
  // The end of the server is an end of every stream, in order.
  const ended = Promise.all(streams.map(async (lines) => {
    assert.equal((await nextObject(lines)).control, 'bye');
    assert.ok((await lines.next()).done);
  }));
  await Promise.all([server.end('SIGTERM'), ended]);
});

provesOverTls('bellwire publishes and subscribes over TLS', async (server, atEnd, certificate) => {
  const bellwire = new Tool(BINARY, 'BELLWIRE_BIN');
  const where = ['--server', server.url, '--ca', certificate];
  await bellwire.run(['publish', 'lab/notes', 'hello', ...where]);
  const { child } = bellwire.start(['subscribe', 'lab/**', '--after', 'earliest', ...where], atEnd);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await nextObject(lines)).data, 'hello');
});

async function ask(url, options, body) {
  const request = https.request(url, options);
  request.end(body);
  const [answer] = await once(request, 'response');
  return answer;
}

/** The lines of a stream of its own. */
async function follow(session, topic) {
  const path = `/v1/events?topic=${topic}`;
  const stream = session.request({ ':path': path, accept: 'application/x-ndjson' });
  const [headers] = await once(stream, 'response');
  assert.equal(headers[':status'], 200);
  return createInterface({ input: stream })[Symbol.asyncIterator]();
}

/** The next object; an empty line is a heartbeat. */
async function nextObject(lines) {
  for (;;) {
    const { value, done } = await lines.next();
    assert.ok(!done, 'the stream ended');
    if (value !== '') return JSON.parse(value);
  }
}
