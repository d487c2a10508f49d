// That the checker of the cluster's soak sees each kind of mistake, and passes what is right.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Acknowledged, Followed } from './checker.mjs';

/** Places have holes, as those of a cluster do. */
const event = (epoch, offset, number, publisher = 0) => ({ cursor: `${epoch}-${offset}`, data: { publisher, number } });
const gap = (from, to) => ({ gap: { from, to, reason: 'epoch' } });
const [FIRST, SECOND, THIRD] = [event('e1', 7, 1), event('e1', 9, 2), event('e1', 40, 3)];
const ALL = [FIRST, SECOND, THIRD];

function mistakesOf(items, published = ALL, how = {}) {
  const acknowledged = new Acknowledged();
  for (const { cursor, data } of published) acknowledged.add({ ...data, cursor });
  const followed = new Followed(acknowledged, how);
  items.forEach((item) => followed.take(item));
  followed.end();
  return [...acknowledged.mistakes, ...followed.mistakes];
}

test('what came once and in order is right, and so is what nobody was answered for', () => {
  for (const items of [
    ALL,
    [FIRST, event('e1', 8, 1, 1), SECOND, THIRD],
    [...ALL, event('e1', 41, 4)],
  ]) assert.deepEqual(mistakesOf(items), []);
});

test('what a gap names is not missing, where gaps are allowed', () => {
  for (const [items, published] of [
    [[FIRST, gap('e1-7', 'e1-9'), THIRD], ALL],
    [[FIRST, gap('e1-8', 'e1-9'), THIRD], ALL],
    [[gap('e1-0', 'e1-9'), THIRD], ALL],
    [[FIRST, gap('e1-7', 'e1-50')], ALL],
    [[FIRST, gap('e1-7', 'e2-0'), event('e2', 3, 4)], [...ALL, event('e2', 3, 4)]],
  ]) {
    assert.deepEqual(mistakesOf(items, published, { allowsGaps: true }), []);
    const told = mistakesOf(items, published);
    assert.ok(told.length === 1 && /^a gap after e1-\d+ up to e\d-\d+ \(epoch\)$/.test(told[0]), `${told}`);
  }
});

test('what a gap does not name is missing, whatever is allowed', () => {
  for (const [items, mistake, published] of [
    [[FIRST, gap('e1-20', 'e1-25'), THIRD], /^1 missing between 7 and a gap after e1-20$/],
    [[gap('e1-9', 'e1-25'), THIRD], /^2 missing between -1 and a gap after e1-9$/],
    [[FIRST, gap('e1-9', 'e2-0')], /^1 missing between 7 and a gap after e1-9$/],
    [[FIRST, gap('e1-7', 'e1-8'), THIRD], /^1 missing between 8 and e1-40$/],
    [[FIRST, SECOND, gap('e1-9', 'e1-8'), THIRD], /^a gap up to e1-8, which is behind 9$/],
    [[FIRST, SECOND, gap('e1-7', 'e1-20'), THIRD], /^a gap after e1-7, where e1-9 was given already$/],
    [[FIRST, gap('e3-1', 'e3-2')], /^a gap after e3-1, where e1-7 was given already$/],
    [[FIRST, gap('e1-7', 'e2-0')], /^1 missing at the end, behind e2-0$/, [...ALL, event('e2', 3, 4)]],
  ]) {
    const told = mistakesOf(items, published, { allowsGaps: true });
    assert.ok(told.some((one) => mistake.test(one)), `${mistake}: ${told}`);
  }
});

test('each mistake is seen', () => {
  for (const [items, mistake, published] of [
    [[FIRST, THIRD], /^1 missing between 7 and e1-40$/],
    [[SECOND, THIRD], /^1 missing between -1 and e1-9$/],
    [[FIRST, SECOND], /^1 missing at the end, behind e1-9$/],
    [[], /^3 missing at the end/],
    [[FIRST, SECOND, SECOND, THIRD], /^e1-9 after 9: twice, or out of order$/],
    [[FIRST, THIRD, SECOND], /^e1-9 after 40: twice/],
    [[FIRST, event('e1', 8, 1), SECOND, THIRD], /^0 1 after 1: twice/],
    [[FIRST, event('e1', 9, 5), THIRD], /^e1-9 is 0 5, and its publisher was told that it is 0 2$/],
    [[FIRST, event('e2', 9, 9)], /^e2-9 after e1-7, and no gap$/],
    [[FIRST, SECOND, THIRD], /^1 missing at the end, behind e1-40$/, [...ALL, event('e2', 3, 4)]],
    [ALL, /^e1-9 was given for two events$/, [...ALL, event('e1', 9, 6)]],
  ]) {
    assert.ok(mistakesOf(items, published).some((told) => mistake.test(told)), `${mistake}: ${mistakesOf(items, published)}`);
  }
});
