// Prometheus as a sender: its rules' alerts come to Bellwire as to an Alertmanager.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const prometheus = new Tool('prometheus', 'PROMETHEUS_BIN');

const rules = (condition) => `
groups:
  - name: g
    rules:
      - alert: AlwaysOn
        expr: vector(1) ${condition}
        labels: {severity: warning}
        annotations: {summary: 'the value is {{ $value }}'}
`;

const config = (host) => `
global: {evaluation_interval: 1s}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{targets: ['${host}']}]
`;

prometheus.proves('an alert of Prometheus fires, survives SIGKILL and resolves, told once', async (server, atEnd) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-prometheus-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const write = (name, text) => writeFile(join(folder, name), text);
  await write('rules.yml', rules('> 0'));
  await write('prometheus.yml', config(new URL(server.url).host));
  const { child } = prometheus.start([
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
    // An alert that it does not tell of again ends after four times as long.
    '--rules.alert.resend-delay=10s',
  ], atEnd);

  const firing = await eventually('the alert', () => shown(server, 'firing'));
  assert.equal(firing.labels.severity, 'warning');
  assert.equal(firing.annotations.summary, 'the value is 1');
  assert.match(firing.generator_url, /^http.*\/graph\?/);
  assert.equal(firing.rule, undefined);

  await server.end('SIGKILL');
  await server.start();
  const again = await eventually('the alert after SIGKILL', () => shown(server, 'firing'));
  assert.equal(again.fired_at, firing.fired_at);

  await write('rules.yml', rules('> 2'));
  child.kill('SIGHUP');
  const resolved = await eventually('its end', () => shown(server, 'resolved'));
  assert.equal(resolved.fingerprint, firing.fingerprint);
  const topic = 'alerts/events/warning/AlwaysOn';
  const { events } = await (await fetch(`${server.url}/v1/topics/${topic}`)).json();
  assert.deepEqual(events.map((event) => event.type), ['alert.firing', 'alert.resolved']);
});

async function shown(server, state) {
  const { alerts } = await (await fetch(`${server.url}/v1/alerts`)).json();
  return alerts.find((alert) => alert.labels.alertname === 'AlwaysOn' && alert.state === state);
}
