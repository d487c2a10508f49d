// Node's own `fetch`: a stream of NDJSON, and long polls that go on where it stopped.

import assert from 'node:assert/strict';
import { proves, publish, range } from './bellwire.mjs';

proves('fetch reads NDJSON as it comes, and polls with its cursors', async (server, atEnd) => {
  const lines = await stream(atEnd, `${server.url}/v1/events?topic=lab/**`);
  const ready = await next(lines);
  assert.equal(ready.control, 'ready');

  // Each event is published after the one before was read, so nothing waits for a full buffer.
  const streamed = [];
  for (const count of range(1, 3)) {
    await publish(server, 'lab/counter', [count]);
    streamed.push(await next(lines));
  }
  assert.deepEqual(streamed.map((event) => event.data.count), [1, 2, 3]);

  const fromReady = await poll(server, ready.cursor);
  assert.deepEqual(fromReady.events, streamed, 'the same JSON on both transports');
  const fromFirst = await poll(server, streamed[0].cursor);
  assert.deepEqual(fromFirst.events, streamed.slice(1));

  const waiting = poll(server, fromFirst.cursor);
  await publish(server, 'lab/counter', [4]);
  const { events } = await waiting;
  assert.deepEqual(events, [await next(lines)]);
  assert.equal(events[0].data.count, 4);
});

/** The lines of a stream, which is left open until the test is over. */
async function stream(atEnd, url) {
  const control = new AbortController();
  atEnd(() => control.abort());
  const headers = { accept: 'application/x-ndjson' };
  const response = await fetch(url, { headers, signal: control.signal });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  // It asks for compression by itself, and inflates what comes.
  assert.equal(response.headers.get('content-encoding'), 'gzip');
  return splitLines(response.body.pipeThrough(new TextDecoderStream()));
}

async function* splitLines(pieces) {
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop();
    yield* lines;
  }
}

/** The next object; an empty line is a heartbeat. */
async function next(lines) {
  for (;;) {
    const { value, done } = await lines.next();
    assert.ok(!done, 'the stream ended');
    if (value !== '') return JSON.parse(value);
  }
}

async function poll(server, after) {
  const query = new URLSearchParams({ topic: 'lab/**', after, wait: '1m' });
  const headers = { accept: 'application/json' };
  const response = await fetch(`${server.url}/v1/events?${query}`, { headers });
  assert.equal(response.status, 200);
  return response.json();
}
