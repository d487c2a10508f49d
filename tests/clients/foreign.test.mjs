// Events of others: CloudEvents as their own SDK sends them, and a real Alertmanager's webhook.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CloudEvent, HTTP } from 'cloudevents';
import { eventually, proves, provesWithConfig } from './bellwire.mjs';
import { Tool } from './tool.mjs';

/** Debian's looks for its own templates in /usr/share: it gets to see them there, and nobody else. */
const alertmanager = new Tool('prometheus-alertmanager', 'PROMETHEUS_ALERTMANAGER_BIN');
const unshare = new Tool('unshare', 'UNSHARE_BIN');
const withShare = (program) => [
  '--map-root-user', '--mount', 'sh', '-c', '[ -d "$0" ] && mount --bind "$0" /usr/share; exec "$@"',
  join(dirname(program), '../share'), program,
];

async function history(server, topic) {
  const { events } = await (await fetch(`${server.url}/v1/topics/${topic}?after=earliest`)).json();
  return events;
}

proves('CloudEvents of their own SDK arrive whole, in each mode, and once', async (server) => {
  const event = (id) => new CloudEvent({
    id,
    source: '/lift/7',
    type: 'door.opened',
    subject: 'tür 3, 50 %',
    tenant: 'müller',
    data: { floor: 3 },
  });
  const send = async ({ headers, body }) => {
    const answer = await fetch(`${server.url}/v1/topics/lifts/7`, { method: 'POST', headers, body });
    return { status: answer.status, ...(await answer.json()) };
  };
  const structured = await send(HTTP.structured(event('1')));
  assert.equal(structured.status, 201);
  const again = await send(HTTP.binary(event('1')));
  assert.deepEqual(again, { status: 201, cursor: structured.cursor, duplicate: true });
  assert.equal((await send(HTTP.binary(event('2')))).status, 201);
  const received = (await history(server, 'lifts/7')).map((one) => new CloudEvent(one.data));
  assert.deepEqual(received.map(({ id }) => id), ['1', '2']);
  for (const one of received) {
    const { source, type, subject, tenant, data } = one;
    const sent = event(one.id);
    assert.deepEqual(
      { source, type, subject, tenant, data },
      { source: sent.source, type: sent.type, subject: sent.subject, tenant: sent.tenant, data: sent.data },
    );
  }
});

const CONFIG = `
[[webhook]]
name = "alertmanager"
format = "alertmanager"
topic = "teams/{labels.team}/alerts"
`;

alertmanager.proves('what Alertmanager tells its webhook reaches its team', async (server, atEnd) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-alertmanager-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'alertmanager.yml');
  await writeFile(file, `
route: {receiver: bellwire, group_wait: 0s, group_interval: 1s}
receivers:
  - name: bellwire
    webhook_configs: [{url: '${server.url}/v1/webhooks/alertmanager', send_resolved: true}]
`);
  const port = await freePort();
  unshare.start([
    ...withShare(alertmanager.path),
    `--config.file=${file}`,
    `--storage.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
  ], atEnd);
  const post = async (endsAt) => {
    const alert = { labels: { alertname: 'Hot', team: 'web' }, endsAt };
    const answer = await fetch(`http://127.0.0.1:${port}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([alert]),
    }).catch(() => null);
    return answer?.ok;
  };
  await eventually('Alertmanager', () => post());
  const told = (count) => async () => {
    const events = await history(server, 'teams/web/alerts');
    return events.length >= count && events;
  };
  await eventually('the alert', told(1));
  await post(new Date(Date.now() - 1000).toISOString());
  const [firing, resolved] = await eventually('its end', told(2));
  assert.deepEqual([firing.type, resolved.type], ['firing', 'resolved']);
  assert.equal(firing.key, resolved.key);
  assert.equal(firing.data.labels.alertname, 'Hot');
}, (name, body) => provesWithConfig(name, CONFIG, body));

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
