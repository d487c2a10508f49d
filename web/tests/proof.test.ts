// What the page claims of what the server says of itself: no good news without its proof.

import { type Signal } from '@preact/signals';
import assert from 'node:assert/strict';
import test from 'node:test';
import { serverNow } from '../src/stores/clock.js';
import { isCurrent, isTrouble, proof } from '../src/stores/proof.js';
import { type ServerStatus, serverStatus } from '../src/stores/status.js';
import { connection } from '../src/stores/stream.js';
import { doubtText } from '../src/shell/doubts.js';
import { chooseLanguage } from '../src/text/text.js';

type Rules = NonNullable<ServerStatus['rules']>;

function tell(rules: Partial<Rules>): void {
  connection.value = { ...connection.value, status: 'live', hasBegun: true };
  (serverStatus as Signal<ServerStatus>).value = {
    version: '', time: 0, ready: true,
    rules: { loaded: 4, failing: 0, without_series: 0, reload_failing: false, seen: 'all', last_sample_at: serverNow(), ...rules },
  };
}

test('rules that fail or find no series prove nothing, once none is left that does neither', () => {
  const cases = [
    [{}, null], [{ failing: 3 }, null], [{ failing: 4 }, 'failing'], [{ failing: 2, without_series: 2 }, 'failing'],
    [{ failing: 1, without_series: 2 }, null], [{ without_series: 4 }, 'no-series'], [{ loaded: 0 }, 'no-rules'],
    [{ alerting: 0 }, 'no-rules'], [{ alerting: 2, failing: 2 }, 'failing'], [{ last_sample_at: serverNow() - 600_000 }, 'old-sample'],
  ] as const;
  for (const [rules, doubt] of cases) {
    tell(rules);
    assert.equal(proof.value.doubt, doubt, JSON.stringify(rules));
  }
});

test('a server that takes no events in proves nothing, and says why', () => {
  tell({});
  assert.equal(proof.value.doubt, null);
  connection.value = { ...connection.value, outage: 'the engine is away' };
  assert.deepEqual([proof.value.doubt, proof.value.about, isTrouble('degraded')], ['degraded', 'the engine is away', true]);
  for (const language of ['en', 'de'] as const) {
    chooseLanguage(language);
    assert.match(doubtText(proof.value), /: the engine is away$/);
  }
  connection.value = { ...connection.value, outage: '' };
});

test('what is shown is so now where the server is connected, takes events in and is ready, whichever page shows it', () => {
  const status = serverStatus as Signal<ServerStatus | null>;
  tell({});
  const whole = status.value!;
  const live = { ...connection.value, status: 'live', outage: '' } as const;
  const unready = { ...whole, ready: false, unready: 'the node is behind its cluster' };
  const cases = [
    [live, whole, true, null], [live, null, true, 'unknown'],
    [live, unready, false, 'unready'], [{ ...live, outage: 'away' }, whole, false, 'degraded'],
    [{ ...live, outage: 'away' }, unready, false, 'degraded'], [{ ...live, status: 'waiting' }, whole, false, 'away'],
  ] as const;
  for (const [connected, told, isSo, doubt] of cases) {
    connection.value = connected;
    status.value = told;
    assert.deepEqual([isCurrent(), proof.value.doubt], [isSo, doubt], JSON.stringify([connected.status, connected.outage, told?.ready]));
  }
  connection.value = live;
});

test('what fails is said with how many', () => {
  chooseLanguage('en');
  tell({ failing: 3, without_series: 1 });
  assert.equal(doubtText(proof.value), 'Rules fail (3) or find no series (1): what fires may not be known.');
});
