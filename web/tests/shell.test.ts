import assert from 'node:assert/strict';
import test from 'node:test';
import { clockOf as lookOf, dayOf, stampOf } from '../src/alert/looks.js';
import { clockOf } from '../src/format/clock.js';
import { fitting } from '../src/shell/Navigation.js';
import { scriptOf } from '../src/stores/version.js';
import { lacking, lacks, passes, standing, type Who, who } from '../src/stores/who.js';
import { chooseLanguage } from '../src/text/text.js';
import { recall, remember } from '../src/ui/storage.js';

test('as many links stand there as there is room for, the page that is shown among them', () => {
  const widths = [60, 60, 60, 90];
  const cases = [
    [276, 0, [0, 1, 2, 3]], [275, 0, [0, 1, 2]], [190, 0, [0, 1]], [190, 3, [3]], [212, 3, [0, 3]], [190, -1, [0, 1]], [0, 3, [3]], [0, -1, []],
  ] as const;
  for (const [room, shown, fits] of cases) assert.deepEqual(fitting(widths, room, 58, shown), fits, `${room} ${shown}`);
});

test('the script that a page loads is found below every address, and nothing in what is no page', () => {
  assert.equal(scriptOf('<script>let a</script>\n<script type="module" src="assets/main-4F2A.js"></script>'), 'main-4F2A.js');
  assert.equal(scriptOf('<script type="module" src="https://cdn.example/x/assets/main-4F2A.js">'), 'main-4F2A.js');
  assert.equal(scriptOf('<h1>502 Bad Gateway</h1>'), null);
});

test('filters let pass what the server lets pass', () => {
  const cases = [
    ['alerts/active', 'alerts/active', true], ['alerts/*', 'alerts/active', true], ['alerts/*', 'alerts/events/a', false],
    ['alerts/**', 'alerts', true], ['alerts/**', 'alerts/events/a', true], ['*', 'alerts/active', false], ['alerts', 'alerts/active', false],
  ] as const;
  for (const [filter, topic, does] of cases) assert.equal(passes(filter.split('/'), topic.split('/')), does, `${filter} ${topic}`);
});

test('what somebody lacks is said in words, and nobody lacks anything while they are not known', () => {
  chooseLanguage('en');
  assert.equal(lacks('attend'), false);
  const rights = { subscribe: ['alerts/**'], publish: [], ingest: [], query: [], alerts: ['{}'], attend: [], post_alerts: [], admin: false };
  who.value = { subject: 'ada', means: 'session', roles: [], rights, limits: {} } satisfies Who;
  standing.value = 'known';
  assert.deepEqual([lacks('attend'), lacks('admin'), lacks('alerts'), lacks('subscribe')], [true, true, false, false]);
  assert.match(lacking('attend'), /“attend”/);
  assert.equal(lacking('alerts'), '');
  standing.value = 'unknown';
  assert.equal(lacking('alerts'), 'Log in first.');
});

test('a time of today is short, and no number breaks it', () => {
  const noon = new Date(2026, 10, 30, 12, 0, 5).getTime();
  assert.equal(clockOf(noon, noon), '12:00:05');
  assert.equal(clockOf(noon, noon + 86_400_000), '30 Nov 2026, 12:00:05');
  for (const odd of [NaN, Infinity, 9e15]) assert.equal(clockOf(odd), '–');
  // All pages write the same time the same way.
  const evening = new Date(2026, 10, 30, 20, 4, 56).getTime();
  assert.deepEqual([lookOf(evening), stampOf(evening)], ['20:04:56', '30 Nov 2026, 20:04:56']);
  assert.match(dayOf(evening), /30 November 2026/);
});

test('what a storage that is full does not take counts in place of what it still has', (t) => {
  const kept = new Map([['bellwire-choice', 'old']]);
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: () => { throw new DOMException('full', 'QuotaExceededError'); },
    removeItem: (key: string) => kept.delete(key),
  };
  const before = Object.getOwnPropertyDescriptor(globalThis, 'localStorage');
  Object.defineProperty(globalThis, 'localStorage', { value: storage, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, 'localStorage', before) : Reflect.deleteProperty(globalThis, 'localStorage')));
  assert.equal(recall('choice'), 'old');
  remember('choice', 'new');
  assert.equal(recall('choice'), 'new');
  remember('choice', null);
  assert.equal(recall('choice'), null);
});
