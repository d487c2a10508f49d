// What tabs that share a connection are told of a server that takes no events in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow, run, setUp } from './tabs.mjs';

test('an outage is told to each, to who comes later, too, and so is its end', async () => {
  const { clock, browser, server } = setUp();
  const told = [];
  const watch = (filter) => {
    const { subscription, ...rest } = follow(browser.open(server), filter);
    const own = [];
    told.push(own);
    for (const name of ['degraded', 'restored']) subscription.addEventListener(name, () => own.push(name));
    return { subscription, ...rest };
  };
  const say = async (control) => {
    for (const connection of server.connections) connection.say(control);
    await run(clock);
  };
  ['a/**', 'b/**'].forEach(watch);
  await run(clock);
  await say({ control: 'degraded', reason: 'engine_away', detail: 'away', works: [], fails: ['live'] });
  const late = watch('a/**');
  await run(clock);
  assert.deepEqual(told, [['degraded'], ['degraded'], ['degraded']]);
  await say({ control: 'restored' });
  assert.deepEqual(told, Array(3).fill(['degraded', 'restored']));
  server.publish('a/1', 1);
  await run(clock);
  assert.deepEqual([late.subscription.status, late.data], ['live', [1]]);
});

test('an outage that only the tab that led was told of is over with its connection', async () => {
  const { clock, browser, server } = setUp();
  const tabs = [0, 1].map(() => browser.open(server));
  const own = tabs.map((tab) => {
    const told = [];
    const { subscription } = follow(tab, 'a/**');
    for (const name of ['degraded', 'restored']) subscription.addEventListener(name, () => told.push(name));
    return told;
  });
  await run(clock);
  const degraded = { control: 'degraded', reason: 'engine_away', detail: 'away', works: [], fails: ['live'] };
  for (const connection of server.connections) connection.say(degraded);
  await run(clock);
  const leader = browser.holder('bellwire http://server.example/v1/events [');
  const left = own[tabs.findIndex((tab) => tab !== leader)];
  assert.deepEqual(left, ['degraded']);
  leader.crash();
  await run(clock, 20_000, 100);
  // The connection of the new one has `ready` with nothing behind it.
  assert.equal(left.at(-1), 'restored');
});

test('an outage that goes on is not over because another tab leads, or another connection does', async () => {
  const { clock, browser, server } = setUp();
  const degraded = { control: 'degraded', reason: 'engine_away', detail: 'away', works: [], fails: ['live'] };
  // As the server has it: right behind `ready`, in a packet of its own at times.
  let isAway = false;
  const past = server.past.bind(server);
  server.past = (...asked) => [...past(...asked), ...(isAway ? [degraded] : [])];
  const watch = (filter) => {
    const told = [];
    const { subscription } = follow(browser.open(server), filter);
    for (const name of ['degraded', 'restored']) subscription.addEventListener(name, () => told.push(name));
    return told;
  };
  const say = async (control) => {
    for (const connection of server.connections) connection.say(control);
    await run(clock, 2_000);
  };
  const own = ['a/**', 'a/**', 'a/**'].map(watch);
  await run(clock, 2_000);
  isAway = true;
  await say(degraded);
  assert.deepEqual(own, Array(3).fill(['degraded']));
  const leader = browser.holder('bellwire http://server.example/v1/events [');
  leader.crash();
  await run(clock, 20_000, 100);
  assert.deepEqual(own.map(({ length }) => length), [1, 1, 1], `${own}`);
  // Somebody follows something else, so that the connection is opened anew.
  own.push(watch('b/**'));
  await run(clock, 5_000, 100);
  assert.deepEqual(own.slice(0, 3).map(({ length }) => length), [1, 1, 1], `${own}`);
  isAway = false;
  await say({ control: 'restored' });
  assert.equal(own.filter((told) => `${told}` === 'degraded,restored').length, 3, `${own}`);
});
