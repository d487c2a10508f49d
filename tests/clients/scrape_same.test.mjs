// Targets that change at random, scraped by Bellwire and by Prometheus with the same configuration:
// at each change both come to know the same, value by value.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { freePort } from '../port.mjs';
import { eventually, provesWithConfigOf } from './bellwire.mjs';
import { scrapedByThem, scrapedByUs, startPrometheus } from './scraped.mjs';
import { Tool } from './tool.mjs';
import { randomOf, SEED } from '../random.mjs';

const prometheus = new Tool('prometheus3', 'PROMETHEUS3_BIN');

/** How often the targets change. */
const CHANGES = 8;
/** How often each target has been scraped by each since a change before they are compared. */
const SCRAPES = 2;
/** What depends on who scrapes. */
const OWN = new Set(['scrape_duration_seconds']);

const TEXT = 'text/plain; version=0.0.4';
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** The jobs, in the words of both, by what they show. */
function jobs(port) {
  const to = (path, labels = {}, more = {}) => ({
    job_name: path,
    metrics_path: `/${path}`,
    static_configs: [{ targets: [`127.0.0.1:${port}`], labels }],
    ...more,
  });
  return [
    to('plain', { site: 'oslo' }),
    to('honored', { site: 'oslo' }, { honor_labels: true }),
    to('open', {}, { fallback_scrape_protocol: 'PrometheusText0.0.4' }),
    to('timed'),
    to('timed_tracked', {}, { track_timestamps_staleness: true }),
    to('timed_ignored', {}, { honor_timestamps: false }),
    to('limited', {}, { sample_limit: 3 }),
    {
      ...to('relabeled'),
      static_configs: [
        { targets: [`127.0.0.1:${port}`], labels: { __zone: 'a', tier: 'Front', keep: 'yes' } },
        { targets: [`localhost:${port}`], labels: { __zone: 'b', tier: 'Back', keep: 'yes' } },
        { targets: [`0.0.0.0:${port}`], labels: { __zone: 'c', keep: 'no' } },
      ],
      relabel_configs: [
        { source_labels: ['keep'], regex: 'y.*', action: 'keep' },
        { source_labels: ['__zone', 'tier'], separator: '-', target_label: 'place' },
        { source_labels: ['__address__'], modulus: 7, target_label: 'shard', action: 'hashmod' },
        { source_labels: ['__address__'], regex: '(.*):.*', replacement: 'host $1', target_label: 'instance' },
        { source_labels: ['tier'], target_label: 'tier', action: 'lowercase' },
        { regex: '__(zone)', replacement: 'the_$1', action: 'labelmap' },
        { regex: 'keep', action: 'labeldrop' },
      ],
      metric_relabel_configs: [
        { source_labels: ['__name__'], regex: 't_seconds_(sum|count)', action: 'drop' },
        { source_labels: ['__name__', 'name'], regex: 't_gauge;(.).*', replacement: '${1}_renamed', target_label: '__name__' },
        { source_labels: ['le'], regex: '(.+)', replacement: 'to $1', target_label: 'bound' },
        { regex: 'odd|kind', action: 'labeldrop' },
      ],
    },
  ];
}

/** What targets show, until they change. */
class Targets {
  #random;
  #scrapes = new Map();
  #limited = 0;
  #shown;
  paths;

  constructor(random, paths) {
    this.#random = random;
    this.paths = paths;
    this.#shown = this.#choose();
  }

  async listen(port, atEnd) {
    const server = createServer((request, response) => this.#answer(request, response));
    atEnd(() => {
      server.close();
      server.closeAllConnections();
    });
    await once(server.listen(port, '0.0.0.0'), 'listening');
  }

  /** Shows something else, and waits until everybody has looked at it. */
  async change(scrapers) {
    this.#shown = this.#choose();
    const before = new Map(this.#scrapes);
    await eventually('scrapes', () => scrapers.every((scraper) => this.paths.every((path) => {
      const key = `${scraper} ${path}`;
      // Two targets show the same there.
      const least = path === 'relabeled' ? 2 * SCRAPES : SCRAPES;
      return (this.#scrapes.get(key) ?? 0) >= (before.get(key) ?? 0) + least;
    })));
  }

  #answer(request, response) {
    const path = request.url.slice(1);
    const scraper = /^prometheus/i.test(request.headers['user-agent'] ?? '') ? 'prometheus' : 'bellwire';
    response.on('finish', () => {
      const key = `${scraper} ${path}`;
      this.#scrapes.set(key, (this.#scrapes.get(key) ?? 0) + 1);
    });
    const { fault, lines } = this.#shown[path];
    if (fault === 'status') return response.writeHead(503).end();
    const type = path === 'open' ? OPEN_METRICS : TEXT;
    const text = lines.join('\n').replaceAll('NOW_MS', Date.now()).replaceAll('NOW_S', Date.now() / 1000);
    // Prometheus ends no series that stands before what it does not take, each time anew.
    const broken = fault === 'text' ? '} what is this\n' : '';
    const end = path === 'open' ? '\n# EOF\n' : '\n';
    return response.writeHead(200, { 'content-type': type }).end(`${broken}${text}${end}`);
  }

  #choose() {
    return Object.fromEntries(this.paths.map((path) => {
      const chance = this.#random();
      const fault = chance < 0.1 ? 'status' : chance < 0.2 ? 'text' : null;
      return [path, { fault, lines: this.#lines(path) }];
    }));
  }

  #lines(path) {
    const random = this.#random;
    const some = (lines) => lines.filter(() => random() < 0.75);
    const value = () => {
      const odd = ['NaN', '+Inf', '-Inf', '0', '-0', '1e300', '5e-324'];
      return random() < 0.2 ? odd[Math.floor(random() * odd.length)] : String((random() - 0.5) * 1e4);
    };
    const count = () => Math.floor(random() * 100);
    if (path === 'open') {
      return ['# TYPE o counter', ...some([
        `o_total{name="a"} ${count()} # {trace_id="x"} 1`,
        `o_total{name="b"} ${count()}`,
        'o_created{name="a"} 1.5',
      ]), '# TYPE g gauge', ...some([`g{name="é"} ${value()}`, `g ${value()}`]), '# TYPE h histogram', ...some([
        `h_bucket{le="1"} ${count()}`, `h_bucket{le="+Inf"} ${count()}`, `h_sum ${count()}`, `h_count ${count()}`,
      ])];
    }
    if (path === 'limited') {
      this.#limited += 1;
      return some([1, 2, 3, 4, 5].map((name) => `t_limited{name="${name}",change="${this.#limited}"} ${value()}`));
    }
    if (path.startsWith('timed')) {
      return some([`t_timed{name="a"} ${value()} NOW_MS`, `t_timed{name="b"} ${value()} NOW_MS`, `t_untimed ${value()}`]);
    }
    return ['# TYPE t_seconds histogram', ...some([
      `t_seconds_bucket{le="0.1"} ${count()}`,
      `t_seconds_bucket{le="1"} ${count()}`,
      `t_seconds_bucket{le="1e3"} ${count()}`,
      `t_seconds_bucket{le="+Inf"} ${count()}`,
      `t_seconds_sum ${value()}`,
      `t_seconds_count ${count()}`,
    ]), '# TYPE t_quantiles summary', ...some([
      `t_quantiles{quantile="0.5"} ${value()}`, `t_quantiles{quantile="1"} ${value()}`,
    ]), ...some([
      `t_gauge{name="a"} ${value()}`,
      `t_gauge{name="b \\"quoted\\" \\\\ \\n",odd=""} ${value()}`,
      `t_conflict{job="other",instance="x",site="voss",exported_job="y"} ${value()}`,
      `t_plain ${value()}`,
      `t_plain ${value()}`,
      `{"t.dotted","a.b"="c"} ${value()}`,
    ])];
  }
}

prometheus.proves(
  'targets that change at random are the same to Bellwire as to Prometheus',
  async (server, atEnd, { port }) => {
    const random = randomOf(SEED);
    const all = jobs(port);
    const targets = new Targets(random, all.map(({ job_name: name }) => name));
    await targets.listen(port, atEnd);
    // JSON is YAML.
    const config = JSON.stringify({ global: { scrape_interval: '250ms' }, scrape_configs: all });
    const url = await startPrometheus(prometheus, config, atEnd);
    let compared = 0;
    for (let change = 0; change < CHANGES; change += 1) {
      await targets.change(['bellwire', 'prometheus']);
      let ours, theirs;
      const isSame = async () => {
        ours = byLabels(await scrapedByUs(server));
        theirs = byLabels(await scrapedByThem(url, '{job=~".+"}'));
        return Object.keys(theirs).length > all.length && differing(ours, theirs).length === 0;
      };
      await eventually('the same', isSame).catch(() => {});
      assert.deepEqual(differing(ours, theirs), [], `BELLWIRE_TEST_SEED=${SEED}, change ${change}`);
      compared += Object.keys(theirs).length;
    }
    assert.ok(compared > 100 * CHANGES / 2, `${compared} values are compared`);
  },
  (name, body) => provesWithConfigOf(name, async () => {
    const port = await freePort();
    const rules = 'rules = []\n';
    return { text: rules + jobs(port).map((job) => `[[scrape]]\n${table({ scrape_interval: '250ms', ...job })}`).join('\n'), port };
  }, body),
);

/** Keys and values as TOML has them. */
function table(object) {
  return Object.entries(object).map(([key, value]) => `${key} = ${inline(value)}\n`).join('');
}

function inline(value) {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `{ ${Object.entries(value).map(([key, value]) => `${key} = ${inline(value)}`).join(', ')} }`;
}

/** The series that are not the same: what each has of it. */
function differing(ours, theirs) {
  const all = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  const differ = [...all].filter((series) => ours[series] !== theirs[series]);
  return differ.map((series) => ({ series, ours: ours[series], theirs: theirs[series] }));
}

function byLabels(samples) {
  const kept = samples.filter(([{ __name__: name }]) => !OWN.has(name));
  const entries = kept.map(([labels, value]) => {
    // What is no number in JSON is text with both.
    const shown = /Inf|NaN/.test(value) ? value : Number(value);
    return [JSON.stringify(labels, Object.keys(labels).sort()), shown];
  });
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
