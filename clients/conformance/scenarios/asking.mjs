// What a client asks for.

import assert from 'node:assert/strict';
import { at, cut, event, ready, stream } from '../suite/items.mjs';

const STREAMS = ['sse', 'websocket'];
const ALL = [...STREAMS, 'poll'];

export const scenarios = [
  {
    name: 'asks-for-what-is-followed',
    requirement: 'Each filter is a parameter `topic` of `GET v1/events`, whatever characters it has; `after` is sent as it was given, and not where none was.',
    over: ALL,
    async run(t) {
      const place = await t.place();
      const filters = ['lab/ä b&c=d+e%2F', 'plant/**', 'alerts/*'];
      t.follow(place, { filters });
      t.follow(place, { filters: ['lab/a'], after: 'x7-z+9.s%2F=' });
      t.follow(place, { filters: ['lab/b'], after: 'earliest' });
      const asked = await t.untilAsked(place, 3);
      const of = (filter) => asked.find(({ query }) => query.topic?.includes(filter));
      assert.deepEqual(of('plant/**')?.query.topic, filters);
      assert.ok([null, 'latest'].includes(of('plant/**').cursor), `no cursor was given, and ${of('plant/**').cursor} is asked for`);
      assert.equal(of('lab/a')?.cursor, 'x7-z+9.s%2F=');
      assert.equal(of('lab/b')?.cursor, 'earliest');
    },
  },
  {
    name: 'asks-below-a-path',
    requirement: 'The API is below the address that the application gives, be it one with a path, with a slash behind it or without.',
    over: ALL,
    async run(t) {
      const place = await t.place();
      t.follow(place, { below: 'bell/wire/' });
      t.follow(place, { below: 'bell/wire' });
      const asked = await t.untilAsked(place, 2);
      for (const { path } of asked) assert.equal(path, '/bell/wire/v1/events');
    },
  },
  {
    name: 'says-what-it-takes',
    requirement: 'Server-Sent Events are asked for with `Accept: text/event-stream`, a long poll with `application/json`.',
    over: ['sse', 'poll'],
    async run(t) {
      const place = await t.place();
      t.follow(place);
      const [{ headers }] = await t.untilAsked(place, 1);
      assert.match(headers.accept ?? '', t.transport === 'sse' ? /text\/event-stream/ : /application\/json/);
    },
  },
  {
    name: 'shows-its-token',
    requirement: 'A token is shown with each request, as `Authorization: Bearer`, or to a WebSocket as the subprotocol `bellwire.bearer.TOKEN`.',
    over: ALL,
    async run(t) {
      const place = await t.place([stream(ready(), event(1), cut())]);
      t.follow(place, { token: 'bw_secret.1' });
      const asked = await t.untilAsked(place, 2);
      assert.deepEqual(asked.map(({ token }) => token), asked.map(() => 'bw_secret.1'));
    },
  },
  {
    name: 'shows-nothing-unasked',
    requirement: 'Without a token no request has an `Authorization`.',
    over: ALL,
    async run(t) {
      const place = await t.place();
      t.follow(place);
      const [{ headers }] = await t.untilAsked(place, 1);
      assert.equal(headers.authorization, undefined);
    },
  },
  {
    name: 'gives-events-as-they-are',
    requirement: 'Events come with all of their members, in order, whatever text they hold; `live` is told once `ready` has come.',
    over: ALL,
    async run(t) {
      const odd = { topic: 'lab/ä', key: 'k "1"', type: 'note', time: 1, cursor: at(2), data: { text: 'a\nb\u2028c 😀 \\ "', n: 1.5e300, list: [null, true] } };
      const place = await t.place([stream(event(1), { event: odd }, ready(at(2)))]);
      const follow = t.follow(place);
      await t.until('it is live', () => follow.lives > 0);
      assert.deepEqual(follow.events, [event(1).event, odd]);
    },
  },
  {
    name: 'passes-over-what-it-does-not-know',
    requirement: 'Members, control events and types of events that a client does not know change nothing.',
    over: STREAMS,
    async run(t) {
      const strange = { control: { control: 'weather', cursor: at(1), wind: { from: 'north' } } };
      const place = await t.place([stream(ready(), event(1, { mood: 'good' }), strange, event(2, { type: 'weather' }))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1, 2]);
      assert.equal(place.asked().length, 1);
    },
  },
  {
    name: 'keeps-follows-apart',
    requirement: 'Several subscriptions of one client do not disturb each other: each has its own cursor.',
    over: ALL,
    async run(t) {
      const one = { filters: ['lab/one'], client: `apart-${t.transport}`, after: 'e1-100' };
      const place = await t.place();
      t.follow(place, one);
      t.follow(place, { ...one, filters: ['lab/two'], after: 'e1-200' });
      const asked = await t.untilAsked(place, 2);
      const cursors = asked.map(({ query, cursor }) => `${query.topic} ${cursor}`).sort();
      assert.deepEqual(cursors.slice(0, 2), ['lab/one e1-100', 'lab/two e1-200']);
    },
  },
  {
    name: 'follows-queries',
    requirement: 'Each PromQL expression is a parameter `query`, and needs no topic beside it.',
    needs: ['queries'],
    over: ALL,
    async run(t) {
      const place = await t.place();
      const expression = 'sum by (site) (temperature{a="b c&d"}) > 90';
      t.follow(place, { filters: [], queries: [expression] });
      const [{ query }] = await t.untilAsked(place, 1);
      assert.deepEqual([query.query, query.topic], [[expression], undefined]);
    },
  },
  {
    name: 'follows-redirects',
    requirement: 'A redirect (301, 302, 307, 308) leads on: the same is asked where it points to.',
    over: ['sse', 'poll'],
    async run(t) {
      const there = await t.place();
      const here = await t.place();
      const filter = encodeURIComponent('lab/**');
      const Location = `${there.url}v1/events?topic=${filter}&after=e1-0`;
      const statuses = [301, 302, 307, 308];
      here.add(statuses.map((status) => ({ status, body: '', headers: { Location } })));
      there.add(statuses.map(() => stream(ready(), event(1))));
      const follows = statuses.map(() => t.follow(here));
      await t.until('an event from where each leads', () => follows.every(({ data }) => data.includes(1)));
    },
  },
  {
    name: 'shows-no-token-elsewhere',
    requirement: 'Where a redirect leads to another server, no token is shown there.',
    over: ['sse', 'poll'],
    async run(t) {
      const there = await t.place([stream(ready(), event(1))]);
      const Location = `${there.url}v1/events?topic=lab%2Fa&after=e1-0`;
      const here = await t.place([{ status: 307, body: '', headers: { Location } }]);
      const follow = t.follow(here, { token: 'bw_secret.1' });
      await t.until('an event from where it leads', () => follow.data.includes(1));
      assert.equal(here.asked()[0].token, 'bw_secret.1');
      assert.deepEqual(there.asked().map(({ token }) => token), there.asked().map(() => null));
    },
  },
];
