// Prometheus as a sender of samples: with the configuration of the documentation it writes to
// Bellwire what it scrapes, whatever becomes of the server meanwhile, and both know the same.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import { freePort } from '../port.mjs';
import { eventually, provesOnSmallDisk, provesWithKeys, provesWithRules, range } from './bellwire.mjs';
import { refusedSamples, throughBusyRules, throughFullDisk, throughKills } from './numbered.mjs';
import { Tool } from './tool.mjs';

const PAGE = readFileSync(new URL('../../docs/ingest/prometheus.md', import.meta.url), 'utf8');
const BLOCKS = [...PAGE.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, block]) => block);
const REMOTE_WRITE = BLOCKS.find((block) => block.startsWith('remote_write:'));
const VERSION_2 = BLOCKS.find((block) => block.includes('protobuf_message:'));
const AUTHORIZATION = BLOCKS.find((block) => block.includes('authorization:'));
const HOST = '127.0.0.1:8080';

/** What the target shows; rules look at it for as long as the tests take. */
const METRICS = ['t_gauge', 't_total', 't_seconds_bucket', 't_odd'];
const rule = (metric, index) => `  - {alert: N${index}, expr: 'count_over_time(${metric}[20m]) < 0'}`;
/** What rules look at without looking back: the target shows it, and so does whoever makes noise. */
const NEWEST = ['t_newest', 'noise'].map((metric) => `  - {alert: Newest, expr: ${metric} > 1 < 1e9}`);
const RULES = `groups:\n- name: g\n  rules:\n${[...[...METRICS, 't_gone'].map(rule), ...NEWEST].join('\n')}\n`;

/** What the target and a scrape of it come to. */
const SERIES = 17;
/** Series that come later. */
const OTHERS = 20;

/** How often Prometheus scrapes the target before a test goes on. */
const SCRAPES = 3;

/** A target whose figures are others at each scrape. */
class Target {
  scrapes = 0;
  hasGone = false;
  /** How many series it has beside the others. */
  others = 0;

  async listen(atEnd) {
    const server = createServer((request, response) => {
      this.scrapes += 1;
      response.setHeader('content-type', 'text/plain; version=0.0.4').end(this.#text());
    });
    atEnd(() => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return server.address().port;
  }

  #text() {
    const count = this.scrapes;
    return [
      `t_gauge{name="a"} ${Math.sin(count)}`,
      `t_gauge{name="höhe \\"b\\" \\\\ c"} ${-count / 7}`,
      `t_total ${1e15 + count}`,
      `t_newest ${1e15 + count}`,
      ...['0.1', '1', '+Inf'].map((le, index) => `t_seconds_bucket{le="${le}"} ${count * index}`),
      `t_odd{kind="nan"} NaN`,
      `t_odd{kind="inf"} ${count % 2 ? '+Inf' : '-Inf'}`,
      `t_odd{kind="small"} 5e-324`,
      this.hasGone ? '' : `t_gone ${count}`,
      ...range(1, this.others).map((number) => `t_other{number="${number}"} ${count}`),
      '',
    ].join('\n');
  }

  /** Waits until it has been scraped some times more. */
  async scrapedAgain() {
    const until = this.scrapes + SCRAPES;
    await eventually('scrapes', () => this.scrapes >= until);
  }
}

/** The points of a metric, by series: as both APIs tell them. */
async function points(url, metric, headers = {}) {
  const response = await fetch(`${url}/api/v1/query?query=${metric}[20m]`, { headers });
  if (!response.ok) return {};
  const { data } = await response.json();
  return Object.fromEntries(data.result.map(({ metric, values }) => [
    JSON.stringify(Object.entries(metric).sort()),
    values,
  ]));
}

async function knowTheSame(prometheus, server, headers = {}) {
  for (const metric of METRICS) {
    const expected = await points(prometheus, metric);
    assert.notDeepEqual(expected, {}, metric);
    const until = Math.max(...Object.values(expected).flat().map(([time]) => time));
    const found = await eventually(`${metric} of ${until}`, async () => {
      const found = await points(server.url, metric, headers);
      const newest = Object.values(found).map((values) => values.at(-1)[0]);
      return newest.length === Object.keys(expected).length && Math.min(...newest) >= until && found;
    });
    for (const [series, values] of Object.entries(expected)) {
      assert.deepEqual(found[series].filter(([time]) => time <= until), values, series);
    }
  }
}

/** A Prometheus that scrapes a target and writes what it knows to the server. */
async function begin({ tool, more }, server, atEnd, key = null) {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-prometheus-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const target = new Target();
  const scraped = `127.0.0.1:${await target.listen(atEnd)}`;
  const write = REMOTE_WRITE.replace(HOST, new URL(server.url).host);
  assert.notEqual(write, REMOTE_WRITE);
  const keyFile = join(folder, 'key');
  if (key) await writeFile(keyFile, key);
  const shown = key ? AUTHORIZATION.replace('/etc/prometheus/bellwire-key', keyFile) : '';
  await writeFile(join(folder, 'prometheus.yml'), `
global: {scrape_interval: 500ms}
scrape_configs:
  - job_name: target
    static_configs: [{targets: ['${scraped}']}]
${write}${more}${shown}`);
  const listen = `127.0.0.1:${await freePort()}`;
  const { output } = tool.start([
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${listen}`,
  ], atEnd);
  const prometheus = `http://${listen}`;
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  await eventually('scrapes', () => target.scrapes > SCRAPES);
  const sender = {
    goesOn: () => target.scrapedAgain(),
    hasArrived: (server) => knowTheSame(prometheus, server, headers),
  };
  const lostNothing = async () => {
    assert.deepEqual(await refusedSamples(server, 'remote_write'), [], output());
    assert.doesNotMatch(output(), /non-recoverable/);
    assert.equal(await failed(), 0);
  };
  /** Samples that Prometheus counts as not taken. */
  const failed = async () => {
    const metrics = await (await fetch(`${prometheus}/metrics`)).text();
    return Number(metrics.match(/^prometheus_remote_storage_samples_failed_total\{.*\} (.*)$/m)[1]);
  };
  return { target, sender, lostNothing, failed, output };
}

/** A server at which a sender has room for the series that there are at first, and few others. */
function provesLimited(name, rules, body) {
  const roles = `
[[access.role]]
name = "sender"
ingest = ["{}"]
query = ["{}"]
limits = { series = ${SERIES + OTHERS / 2} }
`;
  const subjects = { sender: ['sender'], admin: ['admin'] };
  provesWithKeys(name, { roles, subjects, rules }, body);
}

function sends(prometheus, version) {
  const proves = (name, how, body) => prometheus.tool.proves(name, body, (name, body) => how(name, RULES, body));
  describe(`Prometheus, in ${version},`, { concurrency: true }, () => {
    proves('writes what it knows itself, through SIGKILL and SIGSTOP', provesWithRules, async (server, atEnd) => {
      const { target, sender, lostNothing } = await begin(prometheus, server, atEnd);
      await throughKills(server, sender);

      const gone = async () => (await (await fetch(`${server.url}/api/v1/query?query=t_gone`)).json()).data.result;
      assert.equal((await gone()).length, 1);
      target.hasGone = true;
      await eventually('the stale marker', async () => (await gone()).length === 0);
      await lostNothing();
    });

    proves('writes once what it cannot write while the disk is full', provesOnSmallDisk, async (server, atEnd, disk) => {
      const { sender, lostNothing } = await begin(prometheus, server, atEnd);
      await throughFullDisk(server, sender, disk);
      await lostNothing();
    });

    proves('writes once what it cannot write while the rules wait', provesOnSmallDisk, async (server, atEnd, disk) => {
      const { sender, lostNothing } = await begin(prometheus, server, atEnd);
      await throughBusyRules(server, sender, disk);
      await lostNothing();
    });

    proves('goes on with what is taken where there are more series than it may send', provesLimited, async (server, atEnd, { sender: key, admin }) => {
      const { target, sender, failed, output } = await begin(prometheus, server, atEnd, key);
      await sender.hasArrived(server);
      target.others = OTHERS;
      await sender.goesOn();
      await sender.hasArrived(server);
      target.others = 0;
      await sender.goesOn();
      await sender.hasArrived(server);
      const [figure] = await refusedSamples(server, 'remote_write', { authorization: `Bearer ${admin}` });
      const [, reason, count] = figure.match(/reason="(.*)"} (\d+)$/);
      assert.equal(reason, 'principal_exhausted');
      // In 1.0 nobody is told how much of a request was taken.
      if (prometheus.more) assert.equal(await failed(), Number(count));
      else assert.ok(await failed() >= Number(count), `${await failed()} of ${count}`);
      assert.match(output(), /principal_exhausted/);
    });
  });
}

describe('remote write', { concurrency: true }, () => {
  sends({ tool: new Tool('prometheus', 'PROMETHEUS_BIN'), more: '' }, '1.0');
  sends({ tool: new Tool('prometheus3', 'PROMETHEUS3_BIN'), more: VERSION_2 }, '2.0');
});
