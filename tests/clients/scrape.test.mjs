// A real exporter, scraped by Bellwire and by Prometheus side by side: both say the same of it.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { freePort } from '../port.mjs';
import { eventually, provesWithConfig } from './bellwire.mjs';
import { scrapedByThem, scrapedByUs, startPrometheus } from './scraped.mjs';
import { Tool } from './tool.mjs';

const exporter = new Tool('prometheus-node-exporter', 'PROMETHEUS_NODE_EXPORTER_BIN');
const prometheus = new Tool('prometheus', 'PROMETHEUS_BIN');

/** What an exporter says alike whenever it is asked. */
const STABLE = /^(node_uname_info|node_boot_time_seconds|node_filesystem_size_bytes|node_memory_MemTotal_bytes|node_cpu_info|node_os_info|node_os_version|node_network_mtu_bytes|node_exporter_build_info|node_scrape_collector_success|go_info|up|scrape_samples_scraped|scrape_samples_post_metric_relabeling)$/;

/** What the documentation tells people to write. */
const manual = await readFile('../../docs/ingest/scrape.md', 'utf8');
const [, documented] = manual.match(/```toml\n# bellwire.toml\n([^`]*)```/);
const [, rules] = manual.match(/```yaml\n# rules\/node.yml\n([^`]*)```/);

const port = await freePort();
const replace = (text, from, to) => {
  assert.ok(text.includes(from), `the documentation says ${from}`);
  return text.replace(from, to);
};
const folder = await mkdtemp(join(tmpdir(), 'bellwire-rules-'));
after(() => rm(folder, { recursive: true, force: true }));
await writeFile(join(folder, 'node.yml'), replace(rules, '        for: 1m\n', ''));
let config = replace(documented, 'rules/*.yml', join(folder, '*.yml'));
config = replace(config, 'localhost:9100', `127.0.0.1:${port}`);
config = replace(config, '"15s"', '"1s"');

const prometheusConfig = `
scrape_configs:
  - job_name: node
    scrape_interval: 1s
    static_configs: [{targets: ['127.0.0.1:${port}'], labels: {site: oslo}}]
`;

const withBoth = (name, body) => exporter.proves(
  name,
  body,
  (name, body) => prometheus.proves(name, body, (name, body) => provesWithConfig(name, config, body)),
);

withBoth('an exporter says the same to Bellwire as to Prometheus, and its end is told', async (server, atEnd) => {
  const running = exporter.start([`--web.listen-address=127.0.0.1:${port}`], atEnd);
  const url = await startPrometheus(prometheus, prometheusConfig, atEnd);

  const [ours, theirs] = await eventually('the same series', async () => {
    const theirs = (await scrapedByThem(url, '{job="node"}')).map(([labels, value]) => [labels, Number(value)]);
    const both = [byLabels(await scrapedByUs(server)), byLabels(theirs)];
    const [our, their] = both.map((series) => [...series.keys()].sort().join('\n'));
    return their && our === their && both;
  });
  assert.ok(theirs.size > 100, `${theirs.size} series`);
  let compared = 0;
  for (const [series, value] of theirs) {
    if (!STABLE.test(JSON.parse(series).__name__)) continue;
    assert.equal(ours.get(series), value, series);
    compared += 1;
  }
  assert.ok(compared > 10, `${compared} values are compared`);
  const { active, dropped } = await targets(server);
  assert.equal(dropped.length, 0);
  assert.equal(active[0].health, 'up');
  assert.deepEqual(active[0].labels, { instance: `127.0.0.1:${port}`, job: 'node', site: 'oslo' });
  assert.equal(active[0].discoveredLabels.__metrics_path__, '/metrics');

  running.child.kill('SIGKILL');
  const alert = await eventually('the alert', async () => {
    const { alerts } = await (await fetch(`${server.url}/v1/alerts`)).json();
    return alerts.find((alert) => alert.labels.alertname === 'TargetDown');
  });
  assert.equal(alert.labels.site, 'oslo');
  assert.equal((await targets(server)).active[0].health, 'down');
});

/** Debian's Prometheus keeps bounds as they are written, newer ones and Bellwire write them alike. */
function byLabels(samples) {
  const number = (text) => (/^-?\d+$/.test(text) ? `${text}.0` : text);
  return new Map(samples.map(([labels, value]) => {
    const written = { ...labels };
    for (const bound of ['le', 'quantile']) if (bound in written) written[bound] = number(written[bound]);
    return [JSON.stringify(written, Object.keys(written).sort()), value];
  }));
}

async function targets(server) {
  const { data } = await (await fetch(`${server.url}/api/v1/targets`)).json();
  return { active: data.activeTargets, dropped: data.droppedTargets };
}
