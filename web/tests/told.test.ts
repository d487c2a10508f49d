// What is told of one alert, by a server that answers late, in another order or not at all.

import { signal } from '@preact/signals';
import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { follow, NOTHING } from '../src/alert/told.js';

Object.assign(globalThis, { document: Object.assign(new EventTarget(), { hidden: false, baseURI: 'http://bell/' }) });

/** Questions, which the test answers. */
const asked: { before: string | null; signal: AbortSignal; answer: (body: unknown, status?: number) => Promise<void> }[] = [];

globalThis.fetch = (async (url: URL, { signal }: { signal: AbortSignal }) => new Promise((resolve, reject) => {
  signal.addEventListener('abort', () => reject(signal.reason));
  asked.push({
    before: new URL(url).searchParams.get('before'), signal,
    answer: async (body, status = 200) => {
      resolve(new Response(JSON.stringify(body), { status }));
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      await new Promise((done) => { setImmediate(done); });
    },
  });
})) as typeof fetch;

const page = (state: string, numbers: number[], next?: string) => ({
  alert: { state }, silences: [], history: numbers.map((number) => ({ cursor: `e1-${number}`, time: number })), ...(next && { next }),
});

const settled = () => new Promise((done) => { setImmediate(done); });

test('told: a question without an answer is given up, said to be so, and asked again', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  asked.length = 0;
  const telling = signal(NOTHING);
  const { stop } = follow('f', telling, () => 'no answer');
  assert.equal(asked.length, 1);
  mock.timers.tick(14_999);
  await settled();
  assert.equal(telling.value.isAsking, true);
  mock.timers.tick(1);
  await settled();
  assert.deepEqual([telling.value.fault, telling.value.isAsking], ['no answer', false]);
  mock.timers.tick(5_000);
  assert.equal(asked.length, 2);
  await asked[1]!.answer(page('firing', [1]));
  assert.deepEqual([telling.value.fault, telling.value.told?.alert?.state], ['', 'firing']);
  stop();
  mock.timers.reset();
});

test('told: an answer that a newer question has overtaken is none', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  asked.length = 0;
  const telling = signal(NOTHING);
  const { ask, stop } = follow('f', telling, () => 'no answer');
  ask(null);
  assert.ok(asked[0]!.signal.aborted);
  await asked[1]!.answer(page('resolved', [2, 1]));
  await asked[0]!.answer(page('firing', [1]));
  assert.equal(telling.value.told?.alert?.state, 'resolved');
  stop();
  mock.timers.reset();
});

test('told: who wants to see what was before gets it, whatever is asked beside it', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  asked.length = 0;
  const telling = signal(NOTHING);
  const { ask, stop } = follow('f', telling, () => 'no answer');
  await asked[0]!.answer(page('firing', [9, 8], 'e1-8'));
  ask('e1-8');
  ask(null);
  assert.deepEqual(asked.map(({ before }) => before), [null, 'e1-8']);
  await asked[1]!.answer({}, 429);
  assert.equal(telling.value.isReading, true);
  ask(null);
  assert.deepEqual(asked.map(({ before }) => before), [null, 'e1-8', 'e1-8'], 'it is still wanted');
  await asked[2]!.answer(page('firing', [7, 6]));
  assert.deepEqual(telling.value.told?.history.map(({ time }) => time), [9, 8, 7, 6]);
  mock.timers.tick(300);
  assert.equal(asked.at(-1)!.before, null);
  stop();
  assert.ok(asked.at(-1)!.signal.aborted);
  mock.timers.reset();
});
