// promtool, Prometheus' own tester of rules: it passes the test that a replay of an incident writes.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { BINARY, provesWithRules } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const promtool = new Tool('promtool', 'PROMTOOL_BIN');

const rules = (threshold) => `
groups:
  - name: boilers
    rules:
      - record: site:boiler:max
        expr: max by (site) (boiler)
      - alert: BoilerHot
        expr: site:boiler:max > ${threshold}
        for: 200ms
        labels: {severity: page}
        annotations: {summary: '{{ $labels.site }} is at {{ $value }}'}
      - alert: BoilerGone
        expr: absent(boiler{site="rome"})
`;

/** How far apart samples come; ticks of the test are half of it. */
const PACE_MS = 100;

promtool.proves(
  'promtool passes the test that is made of an incident, and fails it for other rules',
  async (server, atEnd) => {
    const folder = await mkdtemp(join(tmpdir(), 'bellwire-promtool-'));
    atEnd(() => rm(folder, { recursive: true, force: true }));
    for (const oslo of [50, 70, 85, 86, 88, 95, 96, 97, 98, 60, 55, 50, 50, 50]) {
      const samples = [['oslo', oslo], ['bergen "b"', 20]];
      const lines = samples.map(([site, value]) => JSON.stringify({ name: 'boiler', labels: { site }, value }));
      const response = await fetch(`${server.url}/v1/samples`, { method: 'POST', body: `[${lines}]` });
      assert.equal(response.status, 200, await response.text());
      await setTimeout(PACE_MS);
    }
    const bellwire = (...flags) => execFileSync(BINARY, flags, { cwd: folder }).toString();
    bellwire('record', 'incident.record', '--data', server.data);
    await writeFile(join(folder, 'lower.yml'), rules(80));
    const flags = ['--rules', 'lower.yml', '--test', 'lower_test.yml', '--test-interval', `${PACE_MS / 2}ms`];
    const report = JSON.parse(bellwire('replay', 'incident.record', '--json', ...flags));
    const hot = report.alerts.find(({ alert }) => alert === 'BoilerHot');
    assert.equal(hot.difference, 'earlier', JSON.stringify(report));
    // Before it fires, while it does, and after; the other alert at least once.
    assert.ok(report.test.checks >= 4, JSON.stringify(report.test));
    const text = await readFile(join(folder, 'lower_test.yml'), 'utf8');
    // At which of them it fires is a matter of how far apart they came.
    assert.match(text, /exp_annotations: \{"summary": "oslo is at [89]\d"\}/);

    bellwire('check', '--test', 'lower_test.yml');
    const passed = await promtool.run(['test', 'rules', join(folder, 'lower_test.yml')]);
    assert.match(passed, /SUCCESS/);
    await writeFile(join(folder, 'lower.yml'), rules(90));
    await assert.rejects(promtool.run(['test', 'rules', join(folder, 'lower_test.yml')]));
  },
  (name, body) => provesWithRules(name, rules(90), body),
);
