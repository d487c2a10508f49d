// Server-Sent Events and frames, as they may come and as they may not.

import assert from 'node:assert/strict';
import { at, event, ready, stream, wait } from '../suite/items.mjs';

/** What no right client reads of one line, in bytes: events have 1 MiB. */
const LINE_BYTES = 64 * 1024 * 1024;
const PIECE = 'a'.repeat(64 * 1024);
/** Where a chunk's size is to stand, with an event behind it. */
const NO_CHUNK = Buffer.from(`no size\r\ndata: ${JSON.stringify(event(9).event)}\n\n\r\n`).toString('hex');

const json = (n, data = n) => JSON.stringify(event(n, { data }).event);

/** A stream of these bytes brings these payloads, in one connection. */
function reads(name, requirement, text, payloads, more = {}) {
  return {
    name,
    requirement,
    over: ['sse'],
    async run(t) {
      const place = await t.place([{ ...stream(ready(), ...[text].flat()), ...more }]);
      const follow = t.follow(place);
      await t.untilData(follow, payloads);
      assert.equal(place.asked().length, 1);
    },
  };
}

/** What is broken is no event: the stream is opened anew, behind the last that was right. */
function refuses(name, requirement, broken, over = ['sse']) {
  return {
    name,
    requirement,
    over,
    async run(t) {
      const place = await t.place([stream(ready(), event(1), ...[broken].flat()), stream(event(2), ready(at(2)))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1, 2]);
      assert.equal(place.asked()[1].cursor, at(1));
      assert.ok(['frame_malformed', 'not_bellwire', 'connection_lost'].includes(follow.waits[0]), `it waits for ${follow.waits}`);
    },
  };
}

function* endlessLine() {
  yield 'data: ';
  for (let sent = 0; sent < LINE_BYTES; sent += PIECE.length) yield PIECE;
}

export const scenarios = [
  reads('reads-crlf', 'Lines end with CR LF, too.', `id: e1-1\r\ndata: ${json(1)}\r\n\r\nid: e1-2\r\ndata: ${json(2)}\r\n\r\n`, [1, 2]),
  reads('reads-cr', 'Lines end with CR, too.', `id: e1-1\rdata: ${json(1)}\r\rdata: ${json(2)}\r\r:\r`, [1, 2]),
  reads('reads-crlf-in-pieces', 'A CR and its LF may come apart.', [`data: ${json(1)}\r`, wait(30), '\n\r', wait(30), `\ndata: ${json(2)}\r`, wait(30), '\n\r\n'], [1, 2]),
  reads('reads-byte-by-byte', 'Events come in pieces, be it of one byte, within characters and between lines.', `:\r\nid: e1-1\r\ndata: ${json(1, 'ä😀')}\r\n\r\n: a\n\ndata: ${json(2)}\n\n`, ['ä😀', 2], { chunk_bytes: 1 }),
  reads('reads-many-at-once', 'Many events may come in one piece.', Array.from({ length: 500 }, (_, n) => `data: ${json(n)}\n\n`).join(''), Array.from({ length: 500 }, (_, n) => n)),
  reads('reads-comments', 'Comments are none of the events, wherever they stand.', `: hello\n:\n:data: {}\ndata: ${json(1)}\n: between\nid: e1-1\n\n:\n\ndata: ${json(2)}\n\n`, [1, 2]),
  reads('reads-unknown-fields', 'Fields that nobody knows are passed over, as are blocks without `data:`.', `foo: bar\nfoo\nretry: soon\nretry: 1500\n\nevent: nothing\n\nid: e1-0\n\nData: {}\ndata:${json(1)}\nid\n\ndata: ${json(2)}\n\n`, [1, 2]),
  reads('reads-several-data-lines', 'Several lines of `data:` are one text, with a line break between.', `data: {"topic":"lab/a",\ndata: "time":1,"cursor":"e1-1",\ndata:"data":1}\n\n`, [1]),
  reads('reads-without-chunks', 'A stream may come without chunks, and end with its connection.', `data: ${json(1)}\n\n`, [1], { framing: 'close' }),
  reads('reads-http-1-0', 'So may one over HTTP/1.0.', `data: ${json(1)}\n\n`, [1], { framing: 'http/1.0' }),
  reads('reads-types-with-parameters', '`Content-Type: text/event-stream; charset=utf-8` is a stream of events, in whichever case it is written.', `data: ${json(1)}\n\n`, [1], { headers: { 'Content-Type': 'Text/Event-Stream;charset=UTF-8' } }),
  reads('reads-compressed', 'Who asks for `gzip` reads each event when it comes, not when the stream ends.', [`data: ${json(1)}\n\n`, wait(50), `data: ${json(2)}\n\n`], [1, 2], { gzip: true }),
  {
    name: 'reads-behind-a-byte-order-mark',
    requirement: 'A byte order mark before a stream is skipped.',
    over: ['sse'],
    async run(t) {
      const place = await t.place([stream(`\uFEFFdata: ${json(1)}\n\n`, ready(at(1)))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      assert.equal(place.asked().length, 1);
    },
  },
  {
    name: 'reads-large-events',
    requirement: 'An event of a megabyte comes whole.',
    over: ['sse', 'websocket', 'poll'],
    async run(t) {
      const text = 'ä'.repeat(512 * 1024);
      const place = await t.place([stream(ready(), event(1, { data: text }), event(2))]);
      const follow = t.follow(place);
      await t.until('both events', () => follow.data.length >= 2);
      assert.ok(follow.data[0] === text && follow.data[1] === 2, 'they are not what was sent');
    },
  },
  {
    name: 'reads-fragments',
    requirement: 'A message of a WebSocket may come in fragments, also within characters; a ping is answered, and is no message.',
    over: ['websocket'],
    async run(t) {
      const place = await t.place([{ ...stream(ready(), event(1, { data: 'ä😀' }), { ping: true }, event(2)), chunk_bytes: 3 }]);
      const follow = t.follow(place);
      await t.untilData(follow, ['ä😀', 2]);
      await t.until('a pong', () => place.asked()[0].messages.some(({ pong }) => pong));
      assert.equal(place.asked().length, 1);
    },
  },
  refuses('refuses-what-is-no-json', 'What is no JSON was changed on its way: the stream is opened anew, at the cursor of the last event.', 'id: e1-2\ndata: {"topic":"lab/a","da\n\n'),
  refuses('refuses-empty-data', 'So does an event without a payload.', 'id: e1-2\ndata:\n\n'),
  refuses('refuses-what-is-no-event', 'JSON that is no event and no control event is none of Bellwire\'s.', 'data: {"foo":1}\n\ndata: 7\n\ndata: null\n\n'),
  refuses('refuses-broken-chunks', 'Chunks that are none break the stream off, like a cut.', [{ bare: NO_CHUNK }]),
  refuses('refuses-frames-of-nonsense', 'So does a message of a WebSocket that is no JSON.', 'no json at all', ['websocket']),
  refuses('refuses-reserved-frames', 'A frame that breaks RFC 6455 ends the WebSocket, which is opened anew.', { hex: 'f302ffff' }, ['websocket']),
  {
    name: 'bounds-what-it-holds',
    requirement: 'A line without an end is given up, long before it has filled the memory; the stream is opened anew.',
    over: ['sse'],
    async run(t) {
      const place = await t.place();
      place.add([{ stream: endlessLine() }, stream(ready(), event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      assert.ok(place.asked()[0].bytes_sent < LINE_BYTES, 'all of the line was taken');
    },
  },
];
