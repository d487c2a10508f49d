// Applications that take their time.

import assert from 'node:assert/strict';
import { event, ready } from '../suite/items.mjs';

/** What a client may take that nobody takes from it, in bytes. */
const HELD_BYTES_MAX = 96 * 1024 * 1024;
const TEXT = 'a'.repeat(16 * 1024);
/** For how long a server that cannot write has to wait to count as held back. */
const STALLED_MS = 1_500;

/** Events without an end, until somebody says so. */
function* eventsUntil(state) {
  yield ready();
  for (let n = 1; !state.isOver; n += 1) {
    state.sent = n;
    yield event(n, { data: { n, text: TEXT } });
  }
}

export const scenarios = [
  {
    name: 'holds-back-for-slow-applications',
    requirement: 'While an application takes no events, a client reads on to a bound and no further; nothing of it is lost, and silence of its own making is no fault.',
    needs: ['pause'],
    over: ['sse'],
    async run(t) {
      const state = { sent: 0, isOver: false };
      const place = await t.place();
      place.add([{ stream: eventsUntil(state) }]);
      const follow = t.follow(place);
      await t.until('it has begun', () => follow.events.length > 0);
      t.pause(follow);
      const [request] = place.asked();
      const isStalled = () => request.stalled_since !== null && Date.now() - request.stalled_since >= STALLED_MS;
      await t.until('it takes no more', () => isStalled() || request.bytes_sent > HELD_BYTES_MAX);
      assert.ok(request.bytes_sent <= HELD_BYTES_MAX, `it has taken ${request.bytes_sent} bytes that nobody takes from it`);
      state.isOver = true;
      t.resume(follow);
      await t.until('the last event', () => follow.events.length >= state.sent);
      assert.ok(follow.data.every(({ n }, index) => n === index + 1), 'events are missing, twice there, or not in order');
      assert.equal(place.asked().length, 1);
    },
  },
];
