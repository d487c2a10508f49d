// Streams that say nothing, and servers that are slow: who is dead, and who only takes their time.

import assert from 'node:assert/strict';
import { at, event, ready, stream, wait } from '../suite/items.mjs';

const STREAMS = ['sse', 'websocket'];
const HEARTBEAT_MS = 600;
/** Of what is not to be taken for silence, on a machine that has much to do. */
const LONG_HEARTBEAT_MS = 2_000;

export const scenarios = [
  {
    name: 'notices-silence',
    requirement: 'A stream that says nothing for 2.5 of the heartbeats that `ready` has announced is dead: it is opened anew at its cursor, not before two of them, and the old connection is closed.',
    over: STREAMS,
    async run(t) {
      const place = await t.place([{ ...stream(ready(at(0), HEARTBEAT_MS), event(1)), replies: false }, stream(ready(at(1)), event(2))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1, 2]);
      const [first, second] = place.asked();
      assert.ok(second.at - first.at >= 2 * HEARTBEAT_MS, `it came back after ${second.at - first.at} ms`);
      assert.equal(second.cursor, at(1));
      assert.equal(follow.waits[0], 'connection_silent');
      await t.until('the silent connection is closed', () => first.ended_at !== null);
    },
  },
  {
    name: 'hears-comments',
    requirement: 'A comment is a sign of life, as is each event.',
    over: ['sse'],
    async run(t) {
      const signs = Array.from({ length: 9 }, () => [wait(LONG_HEARTBEAT_MS / 2), ':\n\n']).flat();
      const place = await t.place([stream(ready(at(0), LONG_HEARTBEAT_MS), ...signs, event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      assert.equal(place.asked().length, 1);
    },
  },
  {
    name: 'waits-for-a-slow-head',
    requirement: 'A server that takes three seconds to answer is slow, not dead.',
    over: [...STREAMS, 'poll'],
    async run(t) {
      const place = await t.place([{ ...stream(ready(), event(1)), delay_ms: 3_000 }]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      const [first, second] = place.asked();
      assert.ok(!second || second.at - first.at >= 3_000, 'it asked again meanwhile');
    },
  },
  {
    name: 'waits-for-a-slow-beginning',
    requirement: 'So is one whose first event comes seconds behind the head.',
    over: STREAMS,
    async run(t) {
      const place = await t.place([stream(wait(3_000), event(1), ready(at(1)))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      assert.equal(place.asked().length, 1);
    },
  },
  {
    name: 'gives-up-on-mute-servers',
    requirement: 'A server that takes the request and never answers is given up, and asked anew.',
    over: STREAMS,
    async run(t) {
      const place = await t.place([{ silent: true }, stream(ready(), event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      assert.ok(['connection_silent', 'connection_failed'].includes(follow.waits[0]), `it waits for ${follow.waits}`);
    },
  },
  {
    name: 'gives-up-on-mute-streams',
    requirement: 'So is one that answers with the head of a stream and nothing behind it (a proxy that buffers).',
    over: ['sse'],
    async run(t) {
      const place = await t.place([stream(), stream(ready(), event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
    },
  },
  {
    name: 'asks-silent-websockets',
    requirement: 'The pings of a WebSocket may be hidden from a client: it asks before it gives up, and any reply is a sign of life.',
    over: ['websocket'],
    async run(t) {
      const place = await t.place([stream(ready(at(0), LONG_HEARTBEAT_MS))]);
      const pings = (async () => {
        for (let n = 0; n < 9; n += 1) {
          await t.sleep(LONG_HEARTBEAT_MS / 2);
          await place.push({ ping: true });
        }
      })();
      const follow = t.follow(place);
      await pings;
      await place.push(event(1));
      await t.untilData(follow, [1]);
      assert.equal(place.asked().length, 1);
    },
  },
];
