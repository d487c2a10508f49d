// What is sent: once, whatever becomes of the answer, or handed back.

import assert from 'node:assert/strict';
import { at, page, problem } from '../suite/items.mjs';

const send = (play) => ({ for: 'send', ...play });
/** How often something is tried that may be cut off in the middle. */
const TRIES_MAX = 3;
const QUIET_MS = 3_000;

/** How a sending ends. */
async function outcome(t, told) {
  await t.until('it is answered or handed back', () => told.of('answer').length + told.of('error').length > 0);
  return told.of('answer')[0]?.answer ?? told.of('error')[0].error;
}

const keyOf = ({ headers }) => headers['idempotency-key'];

/** One that is tried again, under the same key. */
function retries(name, requirement, play, leastMs = 0) {
  return {
    name,
    requirement,
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send(play), send({ status: 201, body: { cursor: at(5), duplicate: true } })]);
      assert.equal((await outcome(t, t.publish(place, { data: { n: 1 } }))).cursor, at(5));
      const [first, second] = place.asked('send');
      assert.ok(keyOf(first) && keyOf(first) === keyOf(second), `it was sent under ${keyOf(first)}, then ${keyOf(second)}`);
      assert.equal(second.body, first.body);
      assert.ok(second.at - first.at >= leastMs, `it was sent again after ${second.at - first.at} ms`);
    },
  };
}

export const scenarios = [
  {
    name: 'publishes',
    requirement: 'An event is a `POST` to `v1/topics/{topic}`, its payload the body, with an idempotency key that is its own.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place();
      const data = { text: 'ä😀\n', n: 1.5 };
      const told = [1, 2].map(() => t.publish(place, { topic: 'lab/ä b?/c%d', data, key: 'k 1', type: 'note' }));
      for (const one of told) assert.equal((await outcome(t, one)).cursor, at(1));
      const [first, second] = place.asked('send');
      assert.equal(decodeURIComponent(first.path), '/v1/topics/lab/ä b?/c%d');
      assert.deepEqual(JSON.parse(first.body), data);
      assert.match(first.headers['content-type'], /^application\/json/);
      assert.deepEqual([first.headers['bellwire-key'], first.headers['bellwire-type']], ['k 1', 'note']);
      assert.ok(keyOf(first) && keyOf(second) && keyOf(first) !== keyOf(second), 'each has a key of its own');
    },
  },
  {
    name: 'publishes-under-a-key-that-is-given',
    requirement: 'An idempotency key that the application gives is the one that is sent.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place();
      await outcome(t, t.publish(place, { idempotency_key: 'mine-1' }));
      assert.equal(keyOf(place.asked('send')[0]), 'mine-1');
    },
  },
  retries('sends-again-what-was-cut', 'Where the connection breaks before the answer, the event may be there: it is sent again under the same key.', { refuse: 'reset' }),
  retries('sends-again-what-was-closed', 'So it is where the connection is closed.', { refuse: 'break' }),
  retries('sends-again-after-502', 'So it is at a proxy\'s `502`.', page(502)),
  retries('sends-again-when-it-is-asked-to', 'So it is at `429` and `503`, not before `Retry-After`.', problem(429, 'publishers_busy', { 'Retry-After': '2' }), 2_000),
  {
    name: 'takes-no-strangers-word',
    requirement: 'A success that says nothing of Bellwire\'s (a login page, another service) is none: the event is sent again, under the same key.',
    needs: ['publish'],
    async run(t) {
      const strangers = [page(200), { status: 201, body: { ok: true } }, { status: 200, body: '' }];
      const place = await t.place(strangers.map(send));
      assert.equal((await outcome(t, t.publish(place))).cursor, at(1));
      const keys = place.asked('send').map(keyOf);
      assert.deepEqual(keys, Array(strangers.length + 1).fill(keys[0]));
    },
  },
  {
    name: 'hands-back-what-is-refused',
    requirement: 'What is refused for good is handed back with the code of its problem, and not sent again.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send(problem(403, 'topic_reserved'))]);
      const error = await outcome(t, t.publish(place, { topic: 'alerts/active' }));
      assert.deepEqual([error.code, error.status], ['topic_reserved', 403]);
      await t.sleep(QUIET_MS);
      assert.equal(place.asked('send').length, 1);
    },
  },
  {
    name: 'says-of-a-refusal-what-was-cut-before',
    requirement: 'Where an earlier try may have been taken, what is refused for good then says `may_be_taken`.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send({ refuse: 'reset' }), send(problem(403, 'forbidden'))]);
      const error = await outcome(t, t.publish(place));
      assert.deepEqual([error.code, error.may_be_taken], ['forbidden', true]);
    },
  },
  {
    name: 'hands-back-what-is-not-answered',
    requirement: 'What is not answered in time is handed back, with its key, and with `may_be_taken`.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send({ silent: true, times: 'always' })]);
      const error = await outcome(t, t.publish(place, { timeout_ms: 6_000, idempotency_key: 'mine-2' }));
      assert.deepEqual([error.code, error.may_be_taken, error.idempotency_key], ['unanswered', true, 'mine-2']);
    },
  },
  {
    name: 'hands-back-what-a-refusal-may-have-taken',
    requirement: 'A refusal that says `may_be_taken` is no word that nothing was done: the event is sent again under its key, and handed back with `may_be_taken`.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send({ ...problem(503, 'journal_unavailable', {}, { may_be_taken: true }), times: 'always' })]);
      const error = await outcome(t, t.publish(place, { timeout_ms: 6_000, idempotency_key: 'mine-3' }));
      assert.deepEqual([error.code, error.may_be_taken, error.idempotency_key], ['unanswered', true, 'mine-3']);
      assert.ok(place.asked('send').length > 1, 'it was sent again');
    },
  },
  {
    name: 'hands-back-what-was-not-taken',
    requirement: 'Where each refusal says that it was not taken it is handed back so.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send({ ...problem(503, 'journal_unavailable', {}, { may_be_taken: false }), times: 'always' })]);
      // The time may end while one is on its way, of which nobody knows.
      let error = null;
      for (let tries = 0; tries < TRIES_MAX && error?.may_be_taken !== false; tries += 1) {
        error = await outcome(t, t.publish(place, { timeout_ms: 6_000 }));
      }
      assert.deepEqual([error.code, error.may_be_taken], ['unanswered', false]);
    },
  },
  {
    name: 'does-not-hammer-with-events',
    requirement: 'A server that refuses what is sent is asked less and less often.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send({ ...problem(503, 'journal_unavailable'), times: 'always' })]);
      await outcome(t, t.publish(place, { timeout_ms: 12_000 }));
      const { length } = place.asked('send');
      assert.ok(length > 1 && length <= 12, `${length} requests in 12 s`);
    },
  },
  {
    name: 'keeps-the-order-of-what-is-sent',
    requirement: 'Events of one client arrive in the order of the calls, also where the first is tried several times.',
    needs: ['publish'],
    async run(t) {
      const place = await t.place([send({ refuse: 'reset' }), send(page(502))]);
      const told = [1, 2, 3].map((n) => t.publish(place, { data: n, client: 'in-order' }));
      for (const one of told) await outcome(t, one);
      assert.deepEqual(place.asked('send').map(({ body }) => Number(body)), [1, 1, 1, 2, 3]);
    },
  },
  {
    name: 'refreshes-to-send',
    requirement: 'At `401` the function is asked for a newer token, once; the event is sent again with it.',
    needs: ['publish', 'tokens'],
    async run(t) {
      const refused = problem(401, 'credential_invalid');
      const place = await t.place([send(refused), send({ status: 201, body: { cursor: at(9) } }), send(refused), send(refused)]);
      assert.equal((await outcome(t, t.publish(place, { tokens: ['old', 'new'] }))).cursor, at(9));
      assert.deepEqual(place.asked('send').map(({ token }) => token), ['old', 'new']);
      assert.equal((await outcome(t, t.publish(place, { tokens: ['a', 'b', 'c'] }))).code, 'credential_invalid');
      assert.equal(place.asked('send').length, 4);
    },
  },
  {
    name: 'sends-samples',
    requirement: 'Samples are a `POST` to `v1/samples`; the answer is given as it is, with what was refused.',
    needs: ['samples'],
    async run(t) {
      const answer = { accepted: 1, rejected: 1, errors: [{ code: 'value_missing', detail: 'a sample has a `value`', line: 2 }] };
      const place = await t.place([send({ body: answer })]);
      const samples = [{ name: 'temperature', labels: { site: 'oslo' }, value: 93.5 }, { name: 'temperature' }];
      assert.deepEqual(await outcome(t, t.samples(place, samples)), answer);
      const [{ method, path, body }] = place.asked('send');
      assert.deepEqual([method, path, JSON.parse(body)], ['POST', '/v1/samples', samples]);
    },
  },
  {
    name: 'sends-samples-with-a-time-again',
    requirement: 'Samples with a `timestamp` count once however often they come: they are sent again.',
    needs: ['samples'],
    async run(t) {
      const place = await t.place([send({ refuse: 'reset' }), send(page(502))]);
      const samples = [{ name: 'temperature', value: 1, timestamp: 1_767_225_600_000 }];
      assert.equal((await outcome(t, t.samples(place, samples))).accepted, 1);
      assert.equal(place.asked('send').length, 3);
    },
  },
  {
    name: 'sends-samples-without-a-time-once',
    requirement: 'Samples without one would count twice: once the server may have them, they are handed back, and `may_be_taken` says why.',
    needs: ['samples'],
    async run(t) {
      const place = await t.place([send({ refuse: 'reset', times: 'always' })]);
      const error = await outcome(t, t.samples(place, [{ name: 'temperature', value: 1 }]));
      assert.deepEqual([error.code, error.may_be_taken], ['unanswered', true]);
      await t.sleep(QUIET_MS);
      assert.equal(place.asked('send').length, 1);
    },
  },
  ...[
    ['that-may-have-been-taken', 'So they are where a refusal says `may_be_taken`, whatever its code', 'desk_away', { may_be_taken: true }],
    ['where-nobody-says', 'So they are where `journal_unavailable` or `desk_away` does not say (older servers)', 'desk_away', {}],
    ['where-the-disk-is-full', 'So they are at `507`: rules may have seen them', 'journal_full', { may_be_taken: true }, 507],
  ].map(([name, requirement, code, more, status = 503]) => ({
    name: `sends-samples-once-${name}`,
    requirement: `${requirement}.`,
    needs: ['samples'],
    async run(t) {
      const place = await t.place([send({ ...problem(status, code, {}, more), times: 'always' })]);
      const error = await outcome(t, t.samples(place, [{ name: 'temperature', value: 1 }]));
      assert.deepEqual([error.code, error.may_be_taken], ['unanswered', true]);
      await t.sleep(QUIET_MS);
      assert.equal(place.asked('send').length, 1);
    },
  })),
  {
    name: 'sends-samples-again-that-were-not-taken',
    requirement: 'What the server refuses for the moment (`429`, or `may_be_taken` is `false`) it has not taken: that is sent again, with a `timestamp` or without.',
    needs: ['samples'],
    async run(t) {
      const busy = problem(429, 'publishers_busy', { 'Retry-After': '1' });
      const place = await t.place([send(busy), send(problem(503, 'desk_away', {}, { may_be_taken: false }))]);
      assert.equal((await outcome(t, t.samples(place, [{ name: 'temperature', value: 1 }]))).accepted, 1);
      const [first, second, third] = place.asked('send');
      assert.ok(second.at - first.at >= 1_000);
      assert.ok(third, 'what says that it has not taken it is asked again, too');
    },
  },
];
