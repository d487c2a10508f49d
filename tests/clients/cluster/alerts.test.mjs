// That the soak sees an alert that is announced or resolved twice, or not at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Announced, STAYS, TOGGLES } from './alerts.mjs';

function mistakesOf(told, made) {
  const announced = new Announced();
  for (const [name, type] of told) announced.take({ topic: `alerts/events/none/${name}`, type: `alert.${type}` });
  return announced.end(made);
}

test('what fires once and resolves once is right, also where its data was away', () => {
  assert.deepEqual(mistakesOf([
    [STAYS, 'firing'], [TOGGLES, 'firing'], [TOGGLES, 'resolved'], [TOGGLES, 'acknowledged'], [TOGGLES, 'firing'],
    [STAYS, 'data_lost'], [STAYS, 'firing'], [TOGGLES, 'data_lost'], [TOGGLES, 'resolved'], [STAYS, 'resolved'],
  ], { [TOGGLES]: 2, [STAYS]: 1 }), []);
});

test('each mistake is seen', () => {
  const once = { [STAYS]: 1 };
  for (const [told, mistake] of [
    [['firing', 'firing', 'resolved'], /^SoakStays: alert\.firing after alert\.firing$/],
    [['firing', 'resolved', 'resolved'], /^SoakStays: alert\.resolved after alert\.resolved$/],
    [['resolved'], /^SoakStays: alert\.resolved after nothing$/],
    [['firing', 'resolved', 'firing', 'resolved'], /^SoakStays was announced 2 times, and has fired 1 times$/],
    [[], /^SoakStays was announced 0 times/],
    [['firing'], /^SoakStays has not resolved: alert\.firing$/],
    [['firing', 'data_lost'], /^SoakStays has not resolved: alert\.data_lost$/],
    [['data_lost', 'resolved'], /^SoakStays: alert\.data_lost after nothing$/],
  ]) {
    const mistakes = mistakesOf(told.map((type) => [STAYS, type]), once);
    assert.ok(mistakes.some((one) => mistake.test(one)), `${mistake}: ${mistakes}`);
  }
});
