import type { Alert } from '@bellwire/client';
import assert from 'node:assert/strict';
import test from 'node:test';
import { readChoices } from '../src/notify/choices.js';
import { KINDS, kindOf, matchersOf } from '../src/notify/kinds.js';
import { type Batch, Watch } from '../src/notify/watch.js';
import { type News, type Told, worded } from '../src/notify/words.js';

function alert(name: string, state: Alert['state'], firedAt = 10): Alert {
  const labels = { alertname: name, severity: 'critical', site: 'oslo' };
  const resolved = state === 'resolved' ? { resolved_at: 20 } : {};
  return { fingerprint: name, state, severity: 'critical', labels, annotations: {}, active_at: 5, fired_at: firedAt, ...resolved } as Alert;
}

/** A watch whose time the test has, and what it tells. */
function watched() {
  const told: Batch[] = [];
  let flush: (() => void) | null = null;
  const watch = new Watch((batch) => told.push(batch), (run) => { flush = run; });
  const news = () => {
    flush?.();
    flush = null;
    return told.splice(0).flatMap((batch) => batch.news.map(({ alertname, state }) => `${alertname} ${state}`));
  };
  return { watch, news };
}

test('what is there when the page comes is nothing new, and what happens behind it is', () => {
  const { watch, news } = watched();
  watch.take('A', alert('A', 'firing'));
  watch.take('S', alert('S', 'silenced'));
  watch.ready();
  assert.deepEqual(news(), []);
  watch.take('B', alert('B', 'firing'));
  watch.take('C', alert('C', 'pending'));
  watch.take('A', alert('A', 'acknowledged'));
  watch.take('S', alert('S', 'firing'));
  assert.deepEqual(news(), ['B firing', 'S firing']);
  watch.take('A', alert('A', 'resolved'));
  watch.take('B', null);
  assert.deepEqual(news(), ['A resolved']);
});

test('what has come and gone within moments is nothing new', () => {
  const { watch, news } = watched();
  watch.ready();
  watch.take('A', alert('A', 'firing'));
  watch.take('A', alert('A', 'resolved'));
  assert.deepEqual(news(), []);
  watch.take('A', alert('A', 'firing', 11));
  assert.deepEqual(news(), ['A firing']);
  watch.take('A', alert('A', 'resolved'));
  watch.take('A', alert('A', 'firing', 12));
  assert.deepEqual(news(), ['A firing'], 'it fires anew');
});

test('one that has gone and comes again is news', () => {
  const { watch, news } = watched();
  watch.take('A', alert('A', 'firing'));
  watch.ready();
  watch.take('A', alert('A', 'firing'));
  watch.take('A', null);
  assert.deepEqual(news(), [], 'nobody says what has become of it');
  watch.take('A', alert('A', 'firing'));
  assert.deepEqual(news(), ['A firing']);
});

test('a flood is bounded, and counted', () => {
  const batches: Batch[] = [];
  let flush = () => {};
  const watch = new Watch((batch) => batches.push(batch), (run) => { flush = run; });
  watch.ready();
  for (let number = 0; number < 10_000; number += 1) watch.take(`${number}`, alert(`${number}`, 'firing'));
  flush();
  assert.equal(batches.length, 1);
  assert.equal(batches[0]!.news.length + batches[0]!.more, 10_000);
  assert.ok(batches[0]!.news.length <= 256);
  for (let number = 0; number < 10_000; number += 1) watch.take(`${number}`, alert(`${number}`, 'resolved'));
  flush();
  assert.deepEqual([batches[1]!.more, batches[1]!.moreResolved], [9_744, 9_744]);
});

const news = (alertname: string, state: News['state'] = 'firing'): News =>
  ({ fingerprint: alertname, state, alertname, severity: 'critical', labels: { site: 'oslo' }, summary: 'hot', since: 1 });
const told = (more: Partial<Told>): Told => ({ news: [], more: 0, firing: {}, time: 1, ...more });

test('a notification says what is new and what fires in all', () => {
  const one = worded(told({ news: [news('Hot')], firing: { critical: 1 } }), 'en');
  assert.deepEqual([one.title, one.body], ['Hot fires', 'critical: Hot · site=oslo · hot']);
  assert.equal(new URLSearchParams(one.address.split('?')[1]).get('filter'), 'alertname="Hot"');
  const many = worded(told({ news: [news('Hot'), news('Wet'), news('Old', 'resolved')], more: 7, firing: { critical: 9, warning: 1200 } }), 'de');
  assert.equal(many.title, '9 Alarme lösen aus');
  assert.match(many.body, /erledigt: Old.*\n… und 7 weitere\nInsgesamt lösen 1\.209 aus$/s);
  assert.equal(many.address, '#/alerts');
  const over = worded(told({ news: [news('Hot', 'resolved')] }), 'en');
  assert.deepEqual([over.title, over.isPressing], ['Hot has resolved', false]);
  assert.match(over.body, /Nothing of this fires any more/);
  assert.equal(worded(told({ about: 'test' }), 'de').title, 'Benachrichtigungen erreichen diesen Browser');
});

test('what is counted is said of what has become of it, and what is over is no all-clear', () => {
  const title = (more: Partial<Told>) => worded(told(more), 'en').title;
  assert.equal(title({ news: [news('Hot')], more: 16, more_resolved: 16, firing: { critical: 40 } }), 'Hot fires');
  assert.equal(title({ news: [news('Hot')], more: 16, more_resolved: 4, firing: { critical: 40 } }), '13 alerts fire');
  assert.equal(title({ news: [news('Hot')], more: 16, firing: { critical: 1 } }), 'Hot fires', 'no more can fire than fire in all');
  const over = [news('Old', 'resolved'), news('Past', 'resolved')];
  const mixed = worded(told({ news: over, more: 3, more_resolved: 2, firing: { critical: 1 } }), 'en');
  assert.deepEqual([mixed.title, mixed.isPressing], ['1 alert fires', true]);
  assert.deepEqual([title({ news: over, more: 3, firing: { critical: 9 } })], ['3 alerts fire']);
  const still = worded(told({ news: over, firing: { critical: 9 } }), 'en');
  assert.deepEqual([still.title, still.isPressing], ['9 fire in all · 2 alerts have resolved', false]);
  assert.equal(title({ news: over, more: 3, more_resolved: 3 }), '5 alerts have resolved');
  assert.equal(title({ more: 1, more_resolved: 0, firing: { critical: 1 } }), '1 alert fires', 'no name had room');
});

test('a name leads to the board as it is, whatever it is made of', () => {
  const { address } = worded(told({ news: [news('a "b" \\ <c>&d=e\nf')] }), 'en');
  assert.equal(new URLSearchParams(address.split('?')[1]).get('filter'), 'alertname="a \\"b\\" \\\\ <c>&d=e\\nf"');
});

test('the server is asked for the kinds that are chosen, and for no others', () => {
  assert.deepEqual(matchersOf(KINDS), []);
  assert.deepEqual(matchersOf(['critical', 'info']), ['severity!~"(?i:warning|warn|medium|minor)"']);
  const [only] = matchersOf(['warning']);
  assert.equal(only, 'severity=~"(?i:warning|warn|medium|minor)"');
  for (const [severity, kind] of [['CRITICAL', 'critical'], ['warn', 'warning'], ['none', 'info'], ['', 'info']] as const) {
    assert.equal(kindOf(severity), kind);
  }
});

test('what was kept is read as far as it is a choice', () => {
  for (const text of [null, '', '{', '[]', '7', '{"critical":true}', '{"critical":{"sound":"yes"}}']) {
    assert.equal(KINDS.some((kind) => Object.values(readChoices(text)[kind]).some(Boolean)), false, `${text}`);
  }
  assert.equal(readChoices('{"critical":{"sound":true},"other":1}').critical.sound, true);
});
