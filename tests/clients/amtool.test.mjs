// amtool, Alertmanager's own command line: it finds in Bellwire an Alertmanager like any other.

import assert from 'node:assert/strict';
import { eventually } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const amtool = new Tool('amtool', 'AMTOOL_BIN');

/** What amtool prints, as JSON where it can. */
async function ask(server, ...flags) {
  const output = await amtool.run([`--alertmanager.url=${server.url}`, ...flags]);
  return flags.includes('json') ? JSON.parse(output) : output.trim();
}

const names = (alerts) => alerts.map((alert) => alert.labels.alertname).sort();

amtool.proves('amtool adds alerts and finds them by their labels', async (server) => {
  await ask(server, 'alert', 'add', 'Hot', 'site=oslo', '--annotation=summary=hot', '--generator-url=http://p/graph');
  await ask(server, 'alert', 'add', 'alertname=Cold', 'site=rome', 'severity=critical');
  const all = await ask(server, 'alert', 'query', '-o', 'json');
  assert.deepEqual(names(all), ['Cold', 'Hot']);
  const hot = all.find((alert) => alert.labels.alertname === 'Hot');
  assert.equal(hot.annotations.summary, 'hot');
  assert.equal(hot.generatorURL, 'http://p/graph');
  assert.equal(hot.status.state, 'active');
  assert.deepEqual(hot.receivers, [{ name: 'default' }]);
  // Without an end it goes on for five minutes.
  assert.equal(Date.parse(hot.endsAt) - Date.parse(hot.updatedAt), 300_000);
  for (const [matcher, expected] of [
    ['site=oslo', ['Hot']],
    ['site=~"o.*|r.*"', ['Cold', 'Hot']],
    ['severity!=critical', ['Hot']],
    ['alertname!~"H.*"', ['Cold']],
  ]) {
    assert.deepEqual(names(await ask(server, 'alert', 'query', '-o', 'json', matcher)), expected, matcher);
  }
  const board = await (await fetch(`${server.url}/v1/alerts`)).json();
  assert.deepEqual(names(board.alerts), ['Cold', 'Hot']);
});

amtool.proves('amtool makes, changes, exports, imports and ends silences', async (server) => {
  await ask(server, 'alert', 'add', 'Hot', 'site=oslo');
  const id = await ask(server, 'silence', 'add', 'alertname=Hot', '-c', 'maintenance', '-a', 'ada', '-d', '2h');
  assert.match(id, /^[0-9a-f-]{36}$/);
  const [silence] = await ask(server, 'silence', 'query', '-o', 'json');
  assert.equal(silence.id, id);
  assert.equal(silence.status.state, 'active');
  assert.equal(silence.createdBy, 'ada');
  assert.deepEqual(await ask(server, 'alert', 'query', '-o', 'json'), []);
  const [suppressed] = await ask(server, 'alert', 'query', '--silenced', '-o', 'json');
  assert.equal(suppressed.status.state, 'suppressed');
  assert.deepEqual(suppressed.status.silencedBy, [id]);

  const [longer] = await ask(server, 'silence', 'update', id, '-d', '4h', '-c', 'longer', '-o', 'json');
  assert.equal(longer.id, id, 'a later end makes no new silence');
  assert.equal(longer.comment, 'longer');

  const exported = await ask(server, 'silence', 'query', '-o', 'json');
  await ask(server, 'silence', 'expire', id);
  assert.deepEqual(await ask(server, 'silence', 'query', '-o', 'json'), []);
  assert.equal((await ask(server, 'silence', 'query', '--expired', '--within', '1h', '-o', 'json')).length, 1);
  const [active] = await ask(server, 'alert', 'query', '-o', 'json');
  assert.equal(active.status.state, 'active');

  const imported = await amtool.run(
    [`--alertmanager.url=${server.url}`, 'silence', 'import', '--force'],
    JSON.stringify(exported),
  );
  assert.match(imported, /[0-9a-f-]{36}/);
  assert.equal((await ask(server, 'silence', 'query', '-o', 'json'))[0].comment, 'longer');
});

amtool.proves('amtool is told why a silence is refused', async (server) => {
  const flags = [`--alertmanager.url=${server.url}`, 'silence', 'add', '-c', 'x'];
  assert.match(await amtool.fails([...flags, 'a=']), /must not match the empty string/);
  assert.match(await amtool.fails([...flags, 'a=~"["']), /./);
});

amtool.proves('amtool shows configuration, cluster and routes', async (server) => {
  assert.match(await ask(server, 'config', 'show'), /receiver: default/);
  assert.match(await ask(server, 'cluster', 'show'), /Cluster Status:\s+ready/);
  assert.match(await ask(server, 'config', 'routes'), /receiver: default/);
  assert.equal(await ask(server, 'config', 'routes', 'test', 'alertname=Hot'), 'default');
});

amtool.proves('what amtool did is there after SIGKILL', async (server) => {
  await ask(server, 'alert', 'add', 'Hot', 'site=oslo');
  const id = await ask(server, 'silence', 'add', 'site=oslo', '-c', 'maintenance');
  await server.end('SIGKILL');
  await server.start();
  const found = await eventually('the alert', async () =>
    (await ask(server, 'alert', 'query', '--silenced', '-o', 'json'))[0]);
  assert.deepEqual(found.status.silencedBy, [id]);
});
