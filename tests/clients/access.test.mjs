// Clients that others wrote, at a server that asks who they are: each shows a key in its own way.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HttpError, InfluxDB, Point, setLogger } from '@influxdata/influxdb-client';
import { EventSource } from 'eventsource';
import { eventually, provesWithKeys, publish } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const amtool = new Tool('amtool', 'AMTOOL_BIN');
const prometheus = new Tool('prometheus', 'PROMETHEUS_BIN');
const python = new Tool('python3', 'PYTHON_BIN');

// The client prints each failed write; these tests look at the errors themselves.
setLogger({ error() {}, warn() {} });

/** What a team may: its own samples, topics and alerts. */
const ROLES = `
[[access.role]]
name = "team"
subscribe = ["teams/{sub}/**", "alerts/**", "samples/**"]
publish = ["teams/{sub}/**"]
ingest = ['{team="{sub}"}']
query = ['{team="{sub}"}']
alerts = ['{team="{sub}"}']
attend = ['{team="{sub}"}']
post_alerts = ['{team="{sub}"}']
`;

const TEAMS = { red: ['team'], blue: ['team'], operator: ['admin'] };

const names = (alerts) => alerts.map((alert) => alert.labels.alertname).sort();
const bearer = (key) => ({ headers: { authorization: `Bearer ${key}` } });

const withKeys = (name, body) => provesWithKeys(name, { roles: ROLES, subjects: TEAMS }, body);

async function folderOf(atEnd) {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-access-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

amtool.proves('amtool of a team sees and silences what is its own', async (server, atEnd, keys) => {
  const folder = await folderOf(atEnd);
  // Both ways that Alertmanager's clients know.
  const ways = {
    red: `basic_auth: {username: red, password: ${keys.red}}`,
    blue: `authorization: {credentials: ${keys.blue}}`,
  };
  for (const [team, text] of Object.entries(ways)) await writeFile(join(folder, team), text);
  const flags = (team) => [`--alertmanager.url=${server.url}`, `--http.config.file=${join(folder, team)}`];
  const ask = async (team, ...more) => {
    const output = await amtool.run([...flags(team), ...more]);
    return more.includes('json') ? JSON.parse(output) : output.trim();
  };
  await ask('red', 'alert', 'add', 'Hot', 'team=red');
  await ask('blue', 'alert', 'add', 'Cold', 'team=blue');
  assert.match(await amtool.fails([...flags('blue'), 'alert', 'add', 'Forged', 'team=red']), /./);
  assert.deepEqual(names(await ask('red', 'alert', 'query', '-o', 'json')), ['Hot']);
  assert.deepEqual(names(await ask('blue', 'alert', 'query', '-o', 'json')), ['Cold']);

  const id = await ask('red', 'silence', 'add', 'alertname=~".+"', '-c', 'all of it', '-a', 'somebody');
  const [silence] = await ask('red', 'silence', 'query', '-o', 'json');
  assert.equal(silence.id, id);
  assert.equal(silence.createdBy, 'red', 'whoever has made it is who has shown it');
  assert.deepEqual(await ask('blue', 'silence', 'query', '-o', 'json'), []);
  assert.deepEqual(names(await ask('blue', 'alert', 'query', '-o', 'json')), ['Cold']);
  assert.match(await amtool.fails([...flags('blue'), 'silence', 'expire', id]), /404/);

  const stranger = await amtool.fails([`--alertmanager.url=${server.url}`, 'alert', 'query']);
  assert.match(stranger, /status 401/);
}, withKeys);

const config = (host, team, key) => `
global:
  evaluation_interval: 1s
  external_labels: {team: ${team}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{targets: ['${host}']}]
      authorization: {credentials: ${key}}
`;

const RULES = `
groups:
  - name: g
    rules:
      - alert: AlwaysOn
        expr: vector(1)
`;

prometheus.proves('a Prometheus with a key posts alerts of its team alone', async (server, atEnd, keys) => {
  // The second says that it is of a team that it is not of.
  let forger;
  for (const [team, key] of [['red', keys.red], ['blue', keys.red]]) {
    const folder = await folderOf(atEnd);
    await writeFile(join(folder, 'rules.yml'), RULES);
    await writeFile(join(folder, 'prometheus.yml'), config(new URL(server.url).host, team, key));
    const started = prometheus.start([
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      // What it says before it has found whom to tell is said again after this long.
      '--rules.alert.resend-delay=5s',
    ], atEnd);
    if (team === 'blue') forger = started;
  }
  const shown = async (key) =>
    (await (await fetch(`${server.url}/v1/alerts`, bearer(key))).json()).alerts;
  const [alert] = await eventually('the alert', async () => {
    const alerts = await shown(keys.red);
    return alerts.length > 0 && alerts;
  });
  assert.equal(alert.labels.team, 'red');
  await eventually('the other one is refused', () => /Error sending alert.*400/.test(forger.output()));
  assert.deepEqual(await shown(keys.blue), []);
}, withKeys);

withKeys('the InfluxDB client of npm shows a key as its token', async (server, _atEnd, keys) => {
  const write = async (token, team) => {
    const api = new InfluxDB({ url: server.url, token }).getWriteApi('org', 'bucket', 'ms', { maxRetries: 0 });
    api.writePoint(new Point('queue').tag('team', team).intField('length', 7));
    await api.close();
  };
  await write(keys.red, 'red');
  const refused = (status) => (error) => error instanceof HttpError && error.statusCode === status;
  await assert.rejects(write(keys.red, 'blue'), refused(400));
  await assert.rejects(write('any', 'red'), refused(401));
  const topic = `${server.url}/v1/topics/samples/queue_length`;
  const { events } = await eventually('the sample', async () => {
    const page = await fetch(topic, bearer(keys.red));
    return page.ok && page.json();
  });
  assert.deepEqual(events.map(({ data }) => data.labels), [{ team: 'red' }]);
  assert.notEqual((await fetch(topic, bearer(keys.blue))).status, 401);
});

python.proves('the influxdb package of PyPI shows a key as its password', async (server, _atEnd, keys) => {
  const output = await python.run(['write_points.py', server.url, 'operator', keys.operator]);
  assert.match(output, /^version 1\.8/m);
  const read = (key) => fetch(`${server.url}/v1/topics/samples/boiler_temperature`, bearer(key));
  const sites = async (key) => (await (await read(key)).json()).events?.length;
  await eventually('both sites', async () => (await sites(keys.operator)) === 2);
  assert.equal((await sites(keys.red)) ?? 0, 0, 'they are of no team');
}, withKeys);

withKeys('an EventSource that sets headers follows what is its own', async (server, atEnd, keys) => {
  const follow = (key) => {
    const source = new EventSource(`${server.url}/v1/events?topic=teams/**`, {
      fetch: (url, init) =>
        fetch(url, { ...init, headers: { ...init.headers, ...bearer(key).headers } }),
    });
    atEnd(() => source.close());
    const counts = [];
    source.addEventListener('message', ({ data }) => counts.push(JSON.parse(data).data.count));
    const ready = new Promise((resolve) => source.addEventListener('ready', resolve));
    return { counts, ready };
  };
  const [red, blue] = [follow(keys.red), follow(keys.blue)];
  await Promise.all([red.ready, blue.ready]);
  await publish(server, 'teams/red/news', [1, 2], keys.red);
  await publish(server, 'teams/blue/news', [3], keys.blue);
  await eventually('what is theirs', () => red.counts.length === 2 && blue.counts.length === 1);
  assert.deepEqual([red.counts, blue.counts], [[1, 2], [3]]);
});
