import assert from 'node:assert/strict';
import test from 'node:test';
import { ClockOffset, Ledger, placeOf, quantile } from '../src/lab/ledger.js';
import { Wire } from '../src/lab/wire.js';

test('what is missing, twice and out of order is counted', () => {
  const ledger = new Ledger();
  for (const number of [0, 1, 3, 3, 2]) ledger.take(number, 5);
  ledger.gap();
  const { received, missing, doubled, reordered, gaps } = ledger.tally(new Set([0, 1, 2, 3, 4]));
  assert.deepEqual({ received, missing, doubled, reordered, gaps }, { received: 4, missing: 1, doubled: 1, reordered: 1, gaps: 1 });
});

test('quantiles are values that there were', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual([0.5, 0.95, 0.99, 1].map((share) => quantile(values, share)), [50, 95, 99, 100]);
  assert.equal(quantile([], 0.5), null);
  assert.equal(quantile([7], 0.99), 7);
});

test('the clock is that of the quickest answer', () => {
  const offset = new ClockOffset();
  offset.take(0, 100, 1_070);
  offset.take(1_000, 1_010, 2_006);
  offset.take(2_000, 2_050, 9_000);
  assert.deepEqual(offset.value, { offsetMs: 1_001, sureMs: 5 });
});

test('a place on the strip is within it', () => {
  assert.equal(placeOf(0), 0);
  assert.equal(placeOf(1e9), 1);
  assert.ok(placeOf(1) < placeOf(10) && placeOf(10) < placeOf(100));
});

const encoder = new TextEncoder();
const reals = (answer: () => Response | Promise<Response>) => ({ fetch: (async () => answer()) as typeof fetch, WebSocket: undefined as unknown as typeof WebSocket });
const STREAM = { headers: { accept: 'text/event-stream' } };

/** A stream of which a test says what comes, and when. */
function stream() {
  let sink!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (given) => { sink = given; } });
  return { response: new Response(body), say: (text: string) => sink.enqueue(encoder.encode(text)) };
}

test('bytes and requests are counted, and all comes through', async () => {
  const wire = new Wire(reals(() => new Response('hello')));
  const response = await wire.fetch('http://localhost/', { method: 'POST', body: 'ab' });
  assert.equal(await response.text(), 'hello');
  assert.deepEqual(wire.counts, { requests: 1, bytesDown: 5, bytesUp: 2, cut: 0 });
});

test('a proxy that buffers gives no stream before it lets go, and plain answers at once', async () => {
  const { response, say } = stream();
  const wire = new Wire(reals(() => response));
  wire.weather = 'buffering';
  let came = false;
  const asked = wire.fetch('http://localhost/v1/events', STREAM).then((got) => {
    came = true;
    return got;
  });
  say('data: 1\n\n');
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(came, false);
  wire.weather = 'clear';
  const { value } = await (await asked).body!.getReader().read();
  assert.equal(new TextDecoder().decode(value), 'data: 1\n\n');

  const plain = new Wire(reals(() => Response.json({ events: [] })));
  plain.weather = 'buffering';
  assert.deepEqual(await (await plain.fetch('http://localhost/')).json(), { events: [] });
});

test('who gives up on what is held back is let go', async () => {
  const wire = new Wire(reals(() => stream().response));
  wire.weather = 'buffering';
  const control = new AbortController();
  const asked = wire.fetch('http://localhost/v1/events', { ...STREAM, signal: control.signal });
  control.abort(new Error('given up'));
  await assert.rejects(asked);
});

test('a network that drops ends what is open, and nothing begins on it', async () => {
  const { response, say } = stream();
  const wire = new Wire(reals(() => response));
  const reader = (await wire.fetch('http://localhost/v1/events', STREAM)).body!.getReader();
  say('data: 1\n\n');
  await reader.read();
  wire.weather = 'dropped';
  await assert.rejects(reader.read());
  await assert.rejects(wire.fetch('http://localhost/'));
  assert.equal(wire.counts.cut, 1);
});

test('a drain says bye on streams, and answers polls with where they are', async () => {
  const { response } = stream();
  const wire = new Wire(reals(() => response));
  const streamed = await wire.fetch('http://localhost/v1/events', STREAM);
  wire.drain();
  const text = await streamed.text();
  assert.match(text, /^event: bye\ndata: \{"control":"bye","reason":"drain","retry_ms":\d+\}\n\n$/);

  const polls = new Wire(reals(() => new Promise<Response>(() => {})));
  const polled = polls.fetch('http://localhost/v1/events?after=e1-7&wait=25s', { headers: { accept: 'application/json' } });
  polls.drain();
  assert.deepEqual(await (await polled).json(), { events: [], cursor: 'e1-7' });
});
