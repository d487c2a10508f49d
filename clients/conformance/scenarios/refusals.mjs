// Refusals, by the server or by something in between: which are for good, and how long to stay away.

import assert from 'node:assert/strict';
import { at, control, cut, event, page, problem, ready, stream, wait } from '../suite/items.mjs';

const STREAMS = ['sse', 'websocket'];
const STATUSES = ['sse', 'poll'];
const ALL = [...STREAMS, 'poll'];

/** For how long it is watched that nothing more is asked. */
const QUIET_MS = 4_000;
/** What was on its way when it was told to be closed has come by then. */
const SETTLED_MS = 1_500;
/** For how long a client that fails is watched, and how often it may try meanwhile: it has a backoff. */
const WATCHED_MS = 15_000;
const TRIES_MAX = 12;

/** What ends a subscription for good: with this code, and without another request. */
function ends(name, requirement, plays, code, over, more = {}) {
  return {
    name,
    requirement,
    over,
    async run(t) {
      const place = await t.place(plays);
      const follow = t.follow(place, more);
      assert.equal(await t.untilClosed(follow), code);
      const { length } = place.requests;
      await t.sleep(QUIET_MS);
      assert.equal(place.requests.length, length, 'it asks again, although that is over');
      assert.equal(length, plays.length);
    },
  };
}

/** What passes: it is tried again, not before so many milliseconds. */
function passes(name, requirement, play, leastMs, over = STATUSES, code = undefined) {
  return {
    name,
    requirement,
    over,
    async run(t) {
      const place = await t.place([play, stream(ready(), event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      const [first, second] = place.asked();
      assert.ok(second.at - first.at >= leastMs, `it came back after ${second.at - first.at} ms, ${leastMs} at least were asked for`);
      if (code) assert.equal(follow.waits[0], code);
    },
  };
}

/** What always fails is tried less and less often. */
function backsOff(name, requirement, play, over, more = {}) {
  return {
    name,
    requirement,
    over,
    async run(t) {
      const place = await t.place([{ ...play, times: 'always' }]);
      const follow = t.follow(place, more);
      await t.untilAsked(place, 1);
      await t.sleep(WATCHED_MS);
      const { length } = place.asked();
      assert.ok(length <= TRIES_MAX, `${length} requests in ${WATCHED_MS / 1_000} s`);
      await t.untilAsked(place, 2);
      assert.equal(follow.closed, null, 'it gives up');
    },
  };
}

export const scenarios = [
  ends('stops-at-204', '`204` says that all topics have ended: the subscription is closed, and nothing was wrong.', [{ status: 204 }], null, STATUSES),
  ends('stops-when-all-have-ended', 'When each topic that was named has told its `end`, and the stream closes, the subscription is closed.', [stream(ready(), event(1, { topic: 'lab/a' }), control('end', { topic: 'lab/a', cursor: at(1) }), control('end', { topic: 'lab/b', cursor: at(1) }), wait(50), cut('end'))], null, STREAMS, { filters: ['lab/a', 'lab/b'] }),
  ends('stops-when-a-poll-tells-the-end', 'So it is where the answer of a poll has the `ends` of all.', [{ body: { events: [event(1).event], cursor: at(2), ends: [{ control: 'end', topic: 'lab/a', cursor: at(2) }] } }], null, ['poll'], { filters: ['lab/a'] }),
  {
    name: 'goes-on-when-one-has-ended',
    requirement: 'When only some have ended, or one of a pattern, or one was reopened, the stream goes on.',
    over: STREAMS,
    async run(t) {
      const end = (topic) => control('end', { topic, cursor: at(1) });
      const plays = [
        [['lab/a', 'lab/b'], [ready(), end('lab/a')]],
        [['lab/**'], [ready(), end('lab/a')]],
        [['lab/a'], [end('lab/a'), control('reopened', { topic: 'lab/a', cursor: at(1) }), ready(at(1))]],
      ];
      await Promise.all(plays.map(async ([filters, items]) => {
        const place = await t.place([stream(...items, wait(20), cut()), stream(ready(at(1)), event(3))]);
        const follow = t.follow(place, { filters });
        await t.untilData(follow, [3]);
      }));
    },
  },
  ends('stops-at-what-is-wrong', 'A `4xx` but 401, 403, 408, 425 and 429 is for good: closed with the code of its problem.', [problem(400, 'topic_invalid')], 'topic_invalid', STATUSES),
  ends('stops-at-a-wrong-cursor', 'A cursor that the server has not given is wrong for good.', [problem(400, 'cursor_invalid')], 'cursor_invalid', STATUSES, { after: 'yesterday' }),
  ends('stops-at-404', 'So is a refusal that is no problem of Bellwire\'s: `unexpected_status`.', [page(404)], 'unexpected_status', STATUSES),
  ends('stops-at-problems-that-are-none', 'A refusal that says that it is a problem and is no JSON has a code, too.', [{ status: 410, headers: { 'Content-Type': 'application/problem+json' }, body: '{"code":' }], 'unexpected_status', STATUSES),
  ends('stops-at-401', 'Without a function that gives tokens, `401` is for good.', [problem(401, 'credential_invalid')], 'credential_invalid', STATUSES, { token: 'old' }),
  ends('stops-at-403', 'So is `403`.', [problem(403, 'forbidden')], 'forbidden', STATUSES, { token: 'old' }),
  ends('stops-at-what-is-no-bellwire', 'What has never been a Bellwire and answers with a page (a wrong address, a captive portal) is `not_bellwire`.', [page(200)], 'not_bellwire', STATUSES),
  ends('stops-at-another-type', 'So is an answer of another type, such as JSON in place of a stream.', [{ body: { hello: 'world' } }], 'not_bellwire', ['sse']),
  ends('stops-at-other-streams', 'So is a stream of events that are not Bellwire\'s.', [stream('data: {"hello":"world"}\n\n')], 'not_bellwire', ['sse']),
  ends('stops-at-displaced', 'A `bye` with the reason `displaced` says that another has taken the place: it is not fought over.', [stream(ready(), control('bye', { reason: 'displaced', retry_ms: 100 }), cut('end'))], 'displaced', STREAMS),
  {
    name: 'outlives-a-captive-portal',
    requirement: 'Where it was a Bellwire before, a page in its place passes: it is tried again.',
    over: STATUSES,
    async run(t) {
      const broken = t.transport === 'poll' ? [] : [wait(20), cut()];
      const place = await t.place([stream(ready(), event(1), ...broken), page(200), stream(ready(at(1)), event(2))]);
      const follow = t.follow(place, { after: at(0) });
      await t.untilData(follow, [1, 2]);
      assert.equal(place.asked().at(2).cursor, at(1));
    },
  },
  {
    name: 'stops-when-it-is-closed',
    requirement: 'What the application closes stays closed: its connection ends, nothing more is told, and nothing is asked again.',
    over: ALL,
    async run(t) {
      const place = await t.place();
      const follow = t.follow(place);
      await t.until('it is live', () => follow.lives > 0);
      t.close(follow);
      assert.equal(await t.untilClosed(follow), null);
      await t.sleep(SETTLED_MS);
      await t.until('its connection ends', () => place.asked().every((request) => request.ended_at !== null));
      const { length } = place.asked();
      await t.sleep(QUIET_MS);
      assert.equal(place.asked().length, length);
    },
  },
  {
    name: 'stops-while-it-waits',
    requirement: 'So does what is closed while it waits for its next try.',
    over: STATUSES,
    async run(t) {
      const place = await t.place([{ ...problem(503, 'journal_unavailable', { 'Retry-After': '3' }), times: 'always' }]);
      const follow = t.follow(place);
      await t.until('it waits', () => follow.waits.length > 0);
      t.close(follow);
      await t.untilClosed(follow);
      await t.sleep(SETTLED_MS);
      const { length } = place.asked();
      await t.sleep(QUIET_MS);
      assert.equal(place.asked().length, length);
    },
  },
  passes('waits-as-503-asks', '`Retry-After` is honoured: nobody comes back before.', problem(503, 'connections_exhausted', { 'Retry-After': '3' }), 3_000, STATUSES, 'connections_exhausted'),
  passes('waits-as-429-asks', 'So it is at `429`.', problem(429, 'address_exhausted', { 'Retry-After': '2' }), 2_000, STATUSES, 'address_exhausted'),
  passes('waits-as-a-proxy-asks', 'So it is where a proxy says so with a page of its own.', page(503, { 'Retry-After': '2' }), 2_000, STATUSES, 'unexpected_status'),
  {
    name: 'waits-until-a-date',
    requirement: '`Retry-After` may be a date.',
    over: STATUSES,
    async run(t) {
      const date = new Date(Date.now() + 8_000).toUTCString();
      const place = await t.place([problem(503, 'memory_exhausted', { 'Retry-After': date }), stream(ready(), event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      const early = Date.parse(date) - place.asked()[1].at;
      assert.ok(early <= 0, `it came back ${early} ms before`);
    },
  },
  passes('passes-502', 'A proxy\'s `502` passes.', page(502), 0, ALL),
  passes('passes-504', 'So does `504`, with a `Retry-After` that is no time.', page(504, { 'Retry-After': 'soon' }), 0),
  passes('passes-500', 'So does `500`.', problem(500, 'internal'), 0),
  passes('passes-408', 'So does `408`.', problem(408, 'body_timeout'), 0),
  passes('passes-425', 'So does `425`.', page(425), 0),
  passes('passes-refused-connections', 'So does a connection that is reset before there is an answer.', { refuse: 'reset' }, 0, ALL),
  passes('passes-closed-connections', 'So does one that is closed before there is an answer.', { refuse: 'break' }, 0, ALL),
  passes('waits-as-bye-asks', 'A `bye` with `retry_ms` is honoured.', stream(ready(), control('bye', { reason: 'drain', retry_ms: 2_500 }), cut('end')), 2_500, STREAMS, 'connection_lost'),
  passes('waits-as-a-refusal-in-the-stream-asks', 'A `bye` with a `status` is a refusal: it waits as long as `retry_ms` says.', stream(control('bye', { reason: 'connections_exhausted', status: 503, detail: '', retry_ms: 2_500 }), cut('end')), 2_500, ['sse'], 'connections_exhausted'),
  backsOff('backs-off-from-refusals', 'A server that refuses is asked less and less often: after a wait that is drawn below 1 s, then 2 s, … 30 s.', problem(503, 'journal_unavailable'), STATUSES),
  backsOff('backs-off-from-resets', 'So is one that resets each connection.', { refuse: 'reset' }, ALL),
  backsOff('backs-off-from-short-lives', 'A connection that is open is no success yet: one that is cut right after `ready` makes the next wait no shorter.', stream(ready(), cut()), STREAMS),
  backsOff('backs-off-from-broken-frames', 'Nor is one that brings what cannot be read.', stream(ready(), 'data: {\n\n'), ['sse']),
  backsOff('backs-off-from-failing-polls', 'A poll that fails each time backs off, too.', { status: 502, body: '' }, ['poll']),
  {
    name: 'does-not-hammer-with-polls',
    requirement: 'A poll whose `wait` comes to nothing, because something in between answers at once with no event, is not asked again and again.',
    over: ['poll'],
    async run(t) {
      const place = await t.place([{ body: { events: [], cursor: at(1) }, times: 'always' }]);
      t.follow(place);
      await t.untilAsked(place, 1);
      await t.sleep(8_000);
      const { length } = place.asked();
      assert.ok(length <= 20, `${length} polls in 8 s`);
      await t.untilAsked(place, 2);
    },
  },
  {
    name: 'comes-back-apart',
    requirement: 'Clients that lose one server come back spread out, not all at once.',
    over: STREAMS,
    async run(t) {
      const count = 12;
      const place = await t.place();
      const follows = Array.from({ length: count }, () => t.follow(place));
      let spread = 0;
      // A machine that is busy for a second makes them one, too, but hardly thrice.
      for (let round = 1; round <= 3 && spread < 100; round += 1) {
        await t.until('all are live', () => follows.every((follow) => follow.lives >= round));
        await place.push(cut('reset'));
        const asked = (await t.untilAsked(place, (round + 1) * count)).slice(round * count).map((request) => request.at);
        spread = Math.max(...asked) - Math.min(...asked);
      }
      assert.ok(spread >= 100, `${count} clients came back within ${spread} ms`);
    },
  },
  {
    name: 'survives-a-refused-upgrade',
    requirement: 'A WebSocket that is refused (a proxy strips `Upgrade`) is tried again, and not hammered.',
    over: ['websocket'],
    async run(t) {
      const place = await t.place([page(200), page(400), problem(426, 'parameter_invalid'), stream(ready(), event(1))]);
      const follow = t.follow(place);
      await t.untilData(follow, [1]);
      assert.ok(follow.waits.length >= 3);
    },
  },
  {
    name: 'redirects-without-a-place',
    requirement: 'A redirect that leads nowhere is no success, and is not hammered.',
    over: STATUSES,
    async run(t) {
      const place = await t.place([{ status: 307, body: '', times: 'always' }]);
      const follow = t.follow(place);
      await t.until('it waits or is closed', () => follow.waits.length > 0 || follow.closed?.error);
      await t.sleep(QUIET_MS);
      assert.ok(place.asked().length <= TRIES_MAX, `${place.asked().length} requests`);
    },
  },
];
