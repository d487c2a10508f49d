// What a page of the client library has to bear, the same in each browser: a network that comes and
// goes while it moves between transports, and a server that is killed.

import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';

/** A round is a drop of the network and a move, with events on their way all the while. */
const ROUNDS = 50;
const EVENTS_PER_ROUND = 200;
const BATCH = 20;
/** How long the network is away. */
const DROP_MS = 50;
/** What is moved to in turn. */
const NAMES = ['websocket', 'poll', 'sse'];

/** Follows on the page, by a client that can move between transports. */
export async function followMoving(page, url) {
  await page.evaluate(async (url) => {
    const { Client, longPoll, moving, sse, webSocket } = globalThis.bellwire;
    Object.assign(globalThis, { counts: [], moves: [], gaps: 0 });
    globalThis.transport = moving([sse, webSocket(), longPoll()], { leftAloneMs: 500 });
    globalThis.client = new Client(url, { transport: globalThis.transport, random: () => 0.05 });
    const subscription = globalThis.client.subscribe('lab/**', { after: 'earliest' });
    subscription.addEventListener('event', ({ detail }) => globalThis.counts.push(detail.data));
    subscription.addEventListener('move', ({ detail }) => globalThis.moves.push(detail));
    subscription.addEventListener('gap', () => { globalThis.gaps += 1; });
    await subscription.ready();
  }, url);
}

/** Events come once and in order through drops, which `setOffline` makes and ends, and forced moves. */
export async function assertNothingIsLost({ server, page }, setOffline) {
  for (let round = 0; round < ROUNDS; round += 1) {
    const publishing = publish(server, round * EVENTS_PER_ROUND);
    await setOffline(true);
    await setTimeout(DROP_MS);
    await setOffline(false);
    await page.evaluate(moveTo, NAMES[round % NAMES.length]);
    await publishing;
  }
  // Where the one to move to was in use already, there was no move.
  for (let turn = 0; !(await page.evaluate(haveMoved, [NAMES, ROUNDS])); turn += 1) {
    await page.evaluate(moveTo, NAMES[turn % NAMES.length]);
  }
  const events = ROUNDS * EVENTS_PER_ROUND;
  await page.waitForFunction((events) => globalThis.counts.length >= events, events);
  const { counts, gaps } = await page.evaluate(() => ({ counts: globalThis.counts, gaps: globalThis.gaps }));
  assert.deepEqual(counts, Array.from({ length: events }, (_, index) => index));
  assert.equal(gaps, 0);
}

/** The page publishes, reads refusals, and meets a server that was killed again. */
export async function assertComesBack({ server, page }) {
  await page.evaluate((url) => { globalThis.client = new globalThis.bellwire.Client(url, { random: () => 0.05 }); }, server.url);
  const published = await page.evaluate(() => globalThis.client.publish('chat/général', { text: 'hé' }, { type: 'note' }));
  assert.match(published.cursor, /^e\d+-\d+$/);
  const refused = await page.evaluate(async () => {
    const { ProblemError } = globalThis.bellwire;
    const refusals = [globalThis.client.publish('alerts/active', 1), globalThis.client.subscribe('a//b').ready()];
    return Promise.all(refusals.map((refusal) => refusal.catch((error) => [error instanceof ProblemError, error.status, error.code])));
  });
  assert.deepEqual(refused, [[true, 403, 'topic_reserved'], [true, 400, 'topic_invalid']]);
  await page.evaluate(async () => {
    globalThis.texts = [];
    const subscription = globalThis.client.subscribe('chat/**', { after: 'earliest' });
    void (async () => {
      for await (const { data } of subscription) globalThis.texts.push(data.text);
    })();
    await subscription.ready();
  });
  await server.end('SIGKILL');
  await server.start();
  await page.evaluate(() => globalThis.client.publish('chat/a', { text: 'back' }));
  await page.waitForFunction(() => globalThis.texts.length === 2);
  assert.deepEqual(await page.evaluate(() => globalThis.texts), ['hé', 'back']);
}

/** Publishes the events of one round, the first of which has this number. */
async function publish(server, first) {
  const headers = { 'content-type': 'application/json' };
  for (let count = first; count < first + EVENTS_PER_ROUND; count += BATCH) {
    const events = Array.from({ length: BATCH }, (_, index) => ({ topic: `lab/${index % 3}`, data: count + index }));
    const response = await fetch(`${server.url}/v1/events`, { method: 'POST', headers, body: JSON.stringify(events) });
    assert.equal(response.status, 200);
    await setTimeout(10);
  }
}

/**
 * On the page: asks for one transport until something has moved. What is asked for while nothing is
 * live, or another move is on its way, is passed over; where this one is in use, nothing moves.
 */
async function moveTo(wanted) {
  const { moves, transport } = globalThis;
  const before = moves.length;
  for (let tries = 0; tries < 30 && moves.length === before; tries += 1) {
    transport.move(wanted);
    await new Promise((resolve) => globalThis.setTimeout(resolve, 10));
  }
}

/**
 * On the page: whether so many moves have happened that were asked for, and each of these was moved to,
 * be it that it is the better one.
 */
function haveMoved([names, times]) {
  const asked = globalThis.moves.filter(({ reason }) => reason === 'asked');
  return asked.length >= times && names.every((name) => globalThis.moves.some(({ to }) => to === name));
}
