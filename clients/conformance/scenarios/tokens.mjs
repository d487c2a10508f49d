// Tokens that end, and functions that give newer ones.

import assert from 'node:assert/strict';
import { at, control, cut, event, problem, ready, stream, wait } from '../suite/items.mjs';

const STREAMS = ['sse', 'websocket'];
const STATUSES = ['sse', 'poll'];
const renew = (renews = 'bwr_1') => control('renew', { expires_in_ms: 60_000, renews });

export const scenarios = [
  ...[[401, 'credential_invalid'], [403, 'forbidden']].map(([status, code]) => ({
    name: `refreshes-at-${status}`,
    requirement: `At \`${status}\` the function is asked for a newer token, and the stream opened with it at once.`,
    needs: ['tokens'],
    over: STATUSES,
    async run(t) {
      const place = await t.place([problem(status, code), stream(ready(), event(1))]);
      const follow = t.follow(place, { tokens: ['old', 'new'] });
      await t.untilData(follow, [1]);
      assert.deepEqual(place.asked().slice(0, 2).map(({ token }) => token), ['old', 'new']);
    },
  })),
  {
    name: 'refreshes-once',
    requirement: 'Where the newer one is refused, too, the subscription is closed with that: nobody asks thrice.',
    needs: ['tokens'],
    over: STATUSES,
    async run(t) {
      const place = await t.place([{ ...problem(401, 'credential_invalid'), times: 'always' }]);
      const follow = t.follow(place, { tokens: ['old', 'new', 'newest'] });
      assert.equal(await t.untilClosed(follow), 'credential_invalid');
      await t.sleep(3_000);
      assert.deepEqual(place.asked().map(({ token }) => token), ['old', 'new']);
    },
  },
  {
    name: 'refreshes-once-more-after-it-was-live',
    requirement: 'Once it was live, the next refusal is a first one again.',
    needs: ['tokens'],
    over: ['sse'],
    async run(t) {
      const refused = problem(401, 'credential_invalid');
      const place = await t.place([refused, stream(ready(), event(1), wait(20), cut()), refused, stream(ready(at(1)), event(2))]);
      const follow = t.follow(place, { tokens: ['a', 'b', 'c'] });
      await t.untilData(follow, [1, 2]);
      assert.deepEqual(place.asked().map(({ token }) => token), ['a', 'b', 'b', 'c']);
    },
  },
  {
    name: 'outlives-a-function-that-fails',
    requirement: 'A function that fails is asked again, after a wait; it does not end the subscription.',
    needs: ['tokens'],
    over: [...STREAMS, 'poll'],
    async run(t) {
      const place = await t.place([stream(ready(), event(1))]);
      const follow = t.follow(place, { tokens: [null, null, 'good'] });
      await t.untilData(follow, [1]);
      assert.equal(place.asked()[0].token, 'good');
      assert.deepEqual(follow.waits.slice(0, 2), ['token_unavailable', 'token_unavailable']);
    },
  },
  {
    name: 'comes-back-with-a-newer-token',
    requirement: 'Behind a `bye` with `credential_expired` or `credential_revoked` it comes back with a newer token, at its cursor.',
    needs: ['tokens'],
    over: STREAMS,
    async run(t) {
      const bye = (reason) => control('bye', { reason, retry_ms: 10 });
      const place = await t.place([
        stream(ready(), event(1), bye('credential_expired'), cut('end')),
        stream(ready(at(1)), event(2), bye('credential_revoked'), cut('end')),
        stream(ready(at(2)), event(3)),
      ]);
      const follow = t.follow(place, { tokens: ['a', 'b', 'c'] });
      await t.untilData(follow, [1, 2, 3]);
      assert.deepEqual(place.asked().map(({ token }) => token), ['a', 'b', 'c']);
    },
  },
  {
    name: 'renews-on-the-live-stream',
    requirement: 'At `renew` a newer token is shown with `POST v1/session/token` and what `renews` says, while the stream goes on; the next connection has it, too.',
    needs: ['renew'],
    over: ['sse'],
    async run(t) {
      const place = await t.place([stream(ready(), event(1), renew('bwr_x'), event(2)), stream(ready(at(3)))]);
      const follow = t.follow(place, { tokens: ['old', 'new'] });
      const [{ method, token, body }] = await t.untilAsked(place, 1, 'renewal');
      assert.deepEqual([method, token, JSON.parse(body)], ['POST', 'new', { renews: 'bwr_x' }]);
      await place.push(event(3), wait(300), cut());
      const asked = await t.untilAsked(place, 2);
      assert.deepEqual(asked.map(({ token }) => token), ['old', 'new']);
      await t.untilData(follow, [1, 2, 3]);
    },
  },
  {
    name: 'renews-over-a-websocket',
    requirement: 'A stream over a WebSocket renews in the same way, or with the request `renew`.',
    needs: ['renew'],
    over: ['websocket'],
    async run(t) {
      const place = await t.place([stream(ready(), renew('bwr_x'))]);
      const follow = t.follow(place, { tokens: ['old', 'new'] });
      const asked = () => place.asked()[0]?.messages.some(({ text }) => text && JSON.parse(text).request === 'renew');
      await t.until('it renews', () => place.asked('renewal').length > 0 || asked());
      await place.push(event(1));
      await t.untilData(follow, [1]);
      assert.equal(place.asked().length, 1);
    },
  },
  {
    name: 'renews-once-for-all-streams',
    requirement: 'Streams of one client that are told the same `renews` renew once, and ask the function once.',
    needs: ['renew'],
    over: ['sse'],
    async run(t) {
      const place = await t.place([{ ...stream(ready()), times: 3 }]);
      const follows = [1, 2, 3].map(() => t.follow(place, { tokens: ['old', 'new', 'too new'], client: 'renews' }));
      await t.until('all are live', () => follows.every((follow) => follow.lives > 0));
      await place.push(renew());
      await t.untilAsked(place, 1, 'renewal');
      await t.sleep(1_000);
      assert.deepEqual(place.asked('renewal').map(({ token }) => token), ['new']);
    },
  },
  {
    name: 'renews-again-where-that-fails',
    requirement: 'A renewal that fails for something that passes is tried again while the old token counts.',
    needs: ['renew'],
    over: ['sse'],
    async run(t) {
      const place = await t.place([{ ...problem(503, 'issuer_unavailable'), for: 'renewal' }, stream(ready(), renew())]);
      t.follow(place, { tokens: ['old', 'new', 'newer'] });
      const asked = await t.untilAsked(place, 2, 'renewal');
      assert.ok(asked.every(({ token }) => token !== 'old'));
      assert.equal(place.asked().length, 1);
    },
  },
  {
    name: 'does-not-renew-where-nobody-does',
    requirement: 'A server that does not renew (`501`) is asked once: the stream goes on until the server ends it, and comes back with a newer token.',
    needs: ['renew'],
    over: ['sse'],
    async run(t) {
      const place = await t.place([{ ...problem(501, 'stands_in_cluster'), for: 'renewal', times: 'always' }, stream(ready(), renew())]);
      const follow = t.follow(place, { tokens: ['old', 'new', 'newer'] });
      await t.untilAsked(place, 1, 'renewal');
      await t.sleep(5_000);
      await place.push(event(1), control('bye', { reason: 'credential_expired', retry_ms: 10 }), cut('end'));
      const asked = await t.untilAsked(place, 2);
      assert.deepEqual([place.asked('renewal').length, asked[0].token], [1, 'old']);
      assert.notEqual(asked[1].token, 'old');
      await t.untilData(follow, [1]);
    },
  },
  {
    name: 'outlives-a-renewal-that-is-refused',
    requirement: 'A renewal that is refused for good changes nothing: the stream goes on until the server ends it.',
    needs: ['renew'],
    over: ['sse'],
    async run(t) {
      const place = await t.place([{ ...problem(403, 'subject_differs'), for: 'renewal' }, stream(ready(), renew())]);
      const follow = t.follow(place, { tokens: ['old', 'new'] });
      await t.untilAsked(place, 1, 'renewal');
      await t.sleep(2_000);
      await place.push(event(1));
      await t.untilData(follow, [1]);
      assert.deepEqual([place.asked('renewal').length, place.asked().length], [1, 1]);
    },
  },
];
