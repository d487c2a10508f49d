// Cuts, and where a client goes on.

import assert from 'node:assert/strict';
import { at, control, cut, event, ready, stream, wait } from '../suite/items.mjs';

const STREAMS = ['sse', 'websocket'];
const ALL = [...STREAMS, 'poll'];
const HOWS = ['end', 'break', 'reset'];

/** A stream that breaks off after what is given; the next one has the events behind that. */
async function cutAfter(t, items, next) {
  const place = await t.place([stream(...items, cut()), stream(...next)]);
  const follow = t.follow(place, { after: at(0) });
  const asked = await t.untilAsked(place, 2);
  return { place, follow, asked };
}

/** A stream of Server-Sent Events that breaks off within the second event. */
function cutWithin(name, requirement, part) {
  return {
    name,
    requirement,
    over: ['sse'],
    async run(t) {
      const items = [ready(), event(1), part];
      const { follow, asked } = await cutAfter(t, items, [event(2, { data: 'ä😀' }), ready(at(2)), event(3)]);
      assert.equal(asked[1].cursor, at(1));
      await t.untilData(follow, [1, 'ä😀', 3]);
    },
  };
}

const frame = 'id: e1-2\ndata: {"topic":"lab/a","time":1,"cursor":"e1-2","data":"ä😀"}\n\n';
const bytesTo = (text) => Buffer.byteLength(frame.slice(0, frame.indexOf(text) + text.length));

export const scenarios = [
  ...HOWS.map((how) => ({
    name: `comes-back-after-${how}`,
    requirement: {
      end: 'A stream that ends in good order is opened again with the cursor of the last event; nothing is told twice or left out.',
      break: 'So is one that breaks off.',
      reset: 'So is one whose connection is reset.',
    }[how],
    over: STREAMS,
    async run(t) {
      const place = await t.place([
        stream(ready(), event(1), event(2), wait(20), cut(how)),
        stream(event(3), ready(at(3)), event(4), wait(20), cut(how)),
        stream(event(5), ready(at(5))),
      ]);
      const follow = t.follow(place, { after: at(0) });
      await t.untilData(follow, [1, 2, 3, 4, 5]);
      assert.deepEqual(place.asked().map(({ cursor }) => cursor), [at(0), at(2), at(4)]);
      assert.equal(follow.closed, null);
      await t.until('it is live thrice', () => follow.lives === 3);
      assert.deepEqual(follow.waits, ['connection_lost', 'connection_lost']);
    },
  })),
  {
    name: 'resumes-at-ready',
    requirement: 'Where no event has come, a client resumes at the cursor of `ready`: what was published while it was away is not missed.',
    over: STREAMS,
    async run(t) {
      const { asked } = await cutAfter(t, [ready(at(7)), wait(20)], [ready(at(7))]);
      assert.equal(asked[1].cursor, at(7));
    },
  },
  {
    name: 'resumes-at-heartbeats',
    requirement: 'The cursor of a `heartbeat` counts like that of an event.',
    over: STREAMS,
    async run(t) {
      const items = [ready(), event(1), control('heartbeat', { cursor: at(50) }), wait(20)];
      const { asked } = await cutAfter(t, items, [ready(at(50))]);
      assert.equal(asked[1].cursor, at(50));
    },
  },
  {
    name: 'resumes-before-gaps',
    requirement: 'The `to` of a gap is no place to resume from: who is cut off right behind a gap comes back with the cursor from before it.',
    over: STREAMS,
    async run(t) {
      const gap = control('gap', { from: at(1), to: at(40), reason: 'expired', filters: ['lab/**'] });
      const { follow, asked } = await cutAfter(t, [ready(), event(1), gap, wait(20)], [gap, event(41), ready(at(41))]);
      assert.equal(asked[1].cursor, at(1));
      await t.untilData(follow, [1, 41]);
    },
  },
  {
    name: 'tells-of-gaps',
    requirement: 'A gap is told to the application, in its place among the events.',
    over: ALL,
    async run(t) {
      const gap = control('gap', { from: at(1), to: at(40), reason: 'epoch', filters: ['lab/**'] });
      const place = await t.place([stream(gap, event(41), event(42), ready(at(42)))]);
      const follow = t.follow(place, { after: at(1) });
      await t.untilData(follow, [41, 42]);
      const kinds = follow.tells.filter(({ tell, control }) => tell === 'event' || control?.control === 'gap').map(({ tell }) => tell);
      assert.deepEqual(kinds, ['control', 'event', 'event']);
      assert.deepEqual(follow.of('control').find(({ control }) => control.control === 'gap').control.to, at(40));
    },
  },
  {
    name: 'takes-cursors-as-they-are',
    requirement: 'Cursors are opaque: the last one is sent back exactly as it came, be it of another epoch, or smaller in any way.',
    over: STREAMS,
    async run(t) {
      const gap = control('gap', { from: at(900), to: 'e0-2', reason: 'epoch', filters: ['lab/**'] });
      const odd = 'e0-3.s+%2F=&9';
      const items = [ready(), event(900), gap, event(3, { cursor: odd }), wait(20)];
      const { asked } = await cutAfter(t, items, [ready(odd)]);
      assert.equal(asked[1].cursor, odd);
    },
  },
  {
    name: 'keeps-its-cursor-over-refusals',
    requirement: 'Tries that fail in between change nothing: the cursor is that of the last event still.',
    over: STREAMS,
    async run(t) {
      const place = await t.place([
        stream(ready(), event(1), wait(20), cut()), { refuse: 'reset' }, { status: 502, body: 'Bad Gateway' }, stream(ready(at(1)), event(2)),
      ]);
      const follow = t.follow(place);
      await t.untilData(follow, [1, 2]);
      assert.deepEqual(place.asked().slice(1).map(({ cursor }) => cursor), [at(1), at(1), at(1)]);
    },
  },
  {
    name: 'stays-through-outages',
    requirement: '`degraded` and `restored` end no stream and move no cursor: events come behind them over the same connection, and a cut in between is gone on from at the last event.',
    over: ALL,
    async run(t) {
      const degraded = control('degraded', {
        reason: 'engine_away', detail: 'the engine is away', works: ['history', 'state'], fails: ['live', 'publish'],
      });
      const restored = control('restored');
      const streams = [
        stream(ready(), event(1), degraded, wait(20), event(2), restored, wait(20), event(3), degraded, wait(20), cut()),
        stream(ready(at(3)), degraded, wait(20), restored, wait(20), event(4)),
      ];
      const polls = [stream(event(1), degraded), stream(event(2), event(3), degraded), stream(event(4))];
      const place = await t.place(t.transport === 'poll' ? polls : streams);
      const follow = t.follow(place, { after: at(0) });
      await t.untilData(follow, [1, 2, 3, 4]);
      const begun = t.transport === 'poll' ? [at(0), at(1), at(3)] : [at(0), at(3)];
      assert.deepEqual(place.asked().slice(0, begun.length).map(({ cursor }) => cursor), begun);
    },
  },
  {
    name: 'tells-outages-behind-ready',
    requirement: 'What the answers of polls say of an outage while they catch up is told behind `ready`: what was told before that is void with it.',
    over: ['poll'],
    async run(t) {
      const degraded = control('degraded', { reason: 'engine_away', detail: 'the engine is away', works: ['history', 'state'], fails: ['live', 'publish'] });
      const place = await t.place([
        { ...stream(event(1), degraded), more: true }, { ...stream(event(2), degraded), more: true }, stream(event(3), degraded), stream(event(4), degraded),
      ]);
      const follow = t.follow(place, { after: at(0) });
      await t.untilData(follow, [1, 2, 3, 4]);
      const kinds = follow.tells.map(({ tell, status, control }) => (tell === 'status' ? status : tell === 'control' ? control.control : null));
      const outages = kinds.filter((kind) => kind === 'degraded' || kind === 'restored');
      if (outages.length === 0) return;
      assert.deepEqual(outages, ['degraded']);
      // Who is told `ready` is told in order; to others it is the status that says so.
      const ready = kinds.includes('ready') ? 'ready' : 'live';
      assert.ok(kinds.indexOf('degraded') > kinds.indexOf(ready), `told in this order: ${kinds.filter(Boolean)}`);
    },
  },
  ...[
    ['', 'A poll that says that `more` events wait is not the last of those that catch up, however few it has: `live` is told once all have come.', [
      { ...stream(event(1)), more: true }, { ...stream(event(2)), more: true }, stream(event(3)),
    ]],
    ['-of-large-events', 'Where nobody says (older servers) a page may be full of bytes, too: a large one is not the last.', [1, 2, 3].map((n) => ({
      body: { events: [event(n, { data: { n, text: 'x'.repeat(1024 * 1024) } }).event], cursor: at(n) },
    }))],
  ].map(([name, requirement, plays]) => ({
    name: `is-live-once-all-has-come${name}`,
    requirement,
    over: ['poll'],
    async run(t) {
      const place = await t.place(plays);
      const follow = t.follow(place, { after: at(0) });
      await t.until('it is live', () => follow.lives > 0 || follow.closed);
      const live = follow.tells.find(({ tell, status }) => tell === 'status' && status === 'live');
      const { length } = place.asked().filter(({ at }) => at <= live.at);
      assert.ok(length >= plays.length, `${length} of ${plays.length} pages were asked for by then`);
      await t.until('all events', () => follow.data.length === plays.length);
    },
  })),
  {
    name: 'outlives-a-server',
    requirement: 'A server that is gone for a while, its port closed, is come back to.',
    over: ALL,
    async run(t) {
      const place = await t.place([stream(ready(), event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      await place.close();
      await t.until('it waits', () => follow.waits.length > 0);
      place.add([stream(ready(at(1)), event(2))]);
      await place.listen();
      await t.untilData(follow, [1, 2]);
      assert.ok(place.asked().slice(1).some(({ cursor }) => cursor === at(1)));
    },
  },
  {
    name: 'polls-on-at-the-answers-cursor',
    requirement: 'A long poll goes on with `after` set to the cursor of the answer, and with a `wait`; an answer that is cut off, or no JSON, is asked for again.',
    over: ['poll'],
    async run(t) {
      const place = await t.place([
        { body: { events: [event(1).event], cursor: at(30) } },
        stream(event(31), event(32), cut()),
        { body: '{"events":[{"topic":"lab', headers: { 'Content-Type': 'application/json' } },
        { body: { events: [event(31).event, event(32).event], cursor: at(32) } },
      ]);
      const follow = t.follow(place, { after: at(0) });
      await t.untilData(follow, [1, 31, 32]);
      const asked = await t.untilAsked(place, 5);
      assert.deepEqual(asked.map(({ cursor }) => cursor), [at(0), at(30), at(30), at(30), at(32)]);
      assert.match(asked[4].query.wait?.[0] ?? 'no wait', /^\d/);
    },
  },
  cutWithin('cut-before-the-blank-line', 'An event whose blank line has not come is none yet: it comes again.', frame.slice(0, -1)),
  cutWithin('cut-behind-the-id', 'An `id:` without its event is no cursor: what follows it has not come.', frame.slice(0, frame.indexOf('data'))),
  cutWithin('cut-within-the-id', 'A cut in the midst of an `id:` makes no cursor of its first half.', frame.slice(0, 6)),
  cutWithin('cut-within-data', 'A cut in the midst of an event is nothing but a cut.', frame.slice(0, frame.indexOf('"data"'))),
  cutWithin('cut-within-a-character', 'So is one in the midst of a character of UTF-8.', {
    hex: Buffer.from(frame).subarray(0, bytesTo('"ä') + 2).toString('hex'),
  }),
  {
    name: 'cut-where-only-the-connection-ends',
    requirement: 'Without chunks the end of the connection is all that tells of a cut: what came of an event by then is none.',
    over: ['sse'],
    async run(t) {
      const place = await t.place([
        { ...stream(ready(), event(1), frame.slice(0, -1), cut()), framing: 'close' }, stream(event(2, { data: 'ä😀' }), ready(at(2))),
      ]);
      const follow = t.follow(place, { after: at(0) });
      await t.untilData(follow, [1, 'ä😀']);
      assert.equal(place.asked()[1].cursor, at(1));
    },
  },
  {
    name: 'cut-within-a-frame',
    requirement: 'A WebSocket that is cut off within a frame has not brought it.',
    over: ['websocket'],
    async run(t) {
      const { follow, asked } = await cutAfter(t, [ready(), event(1), { part: event(2), bytes: -4 }], [event(2), ready(at(2))]);
      assert.equal(asked[1].cursor, at(1));
      await t.untilData(follow, [1, 2]);
    },
  },
  {
    name: 'cut-before-ready',
    requirement: 'Events that come before `ready` count: who is cut off while it catches up goes on behind the last one.',
    over: STREAMS,
    async run(t) {
      const { follow, asked } = await cutAfter(t, [event(1), event(2), wait(20)], [event(3), ready(at(3))]);
      assert.equal(asked[1].cursor, at(2));
      await t.untilData(follow, [1, 2, 3]);
    },
  },
  {
    name: 'keeps-state-across-cuts',
    requirement: 'With `state=changes` the parameter goes along each time, `reset` is told in its place, and its cursor counts.',
    needs: ['state'],
    over: STREAMS,
    async run(t) {
      const value = (n, more) => event(n, { key: 'k', cursor: `e1-0.s1-${n}`, ...more });
      const reset = control('reset', { cursor: 'e1-0', filters: ['lab/**'] });
      const place = await t.place([
        stream(value(1), ready('e1-0.s1-1'), value(2, { data: undefined, deleted: true }), wait(20), cut()),
        stream(reset, wait(20), cut()),
        stream(reset, value(3), ready('e1-0.s1-3')),
      ]);
      const follow = t.follow(place, { state: 'changes' });
      await t.until('the value behind the reset', () => follow.events.length === 3);
      assert.deepEqual(follow.events.map(({ data, deleted }) => data ?? (deleted && 'gone')), [1, 'gone', 3]);
      assert.deepEqual(place.asked().map(({ query }) => query.state), [['changes'], ['changes'], ['changes']]);
      assert.deepEqual(place.asked().slice(1).map(({ cursor }) => cursor), ['e1-0.s1-2', 'e1-0']);
      const told = follow.tells.filter(({ tell, control }) => tell === 'event' || control?.control === 'reset').map(({ tell }) => tell);
      assert.deepEqual(told, ['event', 'event', 'control', 'control', 'event']);
    },
  },
  {
    name: 'keeps-its-cursor-in-a-store',
    requirement: 'With a store, the next subscription begins behind what the one before was given.',
    needs: ['store'],
    over: STREAMS,
    async run(t) {
      const place = await t.place([stream(ready(), event(1), event(2))]);
      const first = t.follow(place, { after: 'earliest', store: `kept-${t.transport}` });
      await t.untilData(first, [1, 2]);
      t.close(first);
      assert.equal(await t.untilClosed(first), null);
      t.follow(place, { after: 'earliest', store: `kept-${t.transport}` });
      const asked = await t.untilAsked(place, 2);
      assert.deepEqual(asked.map(({ cursor }) => cursor), ['earliest', at(2)]);
    },
  },
];
