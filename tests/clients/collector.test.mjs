// OpenTelemetry's collector between an SDK and Bellwire, with the configuration of the documentation.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality, MeterProvider, PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { freePort } from '../port.mjs';
import { eventually, provesOnSmallDisk, provesWithRules } from './bellwire.mjs';
import {
  apart, Numbered, refusedSamples, RULES, throughBusyRules, throughFullDisk, throughKills,
} from './numbered.mjs';
import { Tool } from './tool.mjs';

const PAGE = readFileSync(new URL('../../docs/ingest/opentelemetry.md', import.meta.url), 'utf8');
const [, COLLECTOR] = PAGE.match(/^```yaml\n(receivers:\n[^]*?)^```$/m);

const collector = new Tool('collector', 'COLLECTOR_BIN');

/** A collector that sends to the server, which may be killed and come again. */
class Collector {
  #flags;
  #running = null;
  url;

  static async start(server, atEnd) {
    const folder = await mkdtemp(join(tmpdir(), 'bellwire-collector-'));
    atEnd(() => rm(folder, { recursive: true, force: true }));
    const listen = `127.0.0.1:${await freePort()}`;
    const replaced = {
      '127.0.0.1:4318': listen,
      '127.0.0.1:8080': new URL(server.url).host,
      '/var/lib/otelcol': folder,
    };
    let configuration = COLLECTOR;
    for (const [from, to] of Object.entries(replaced)) {
      assert.ok(configuration.includes(from), from);
      configuration = configuration.replace(from, to);
    }
    const file = join(folder, 'collector.yaml');
    await writeFile(file, configuration);
    // It would show its own figures on a port that is always the same.
    const quiet = '--set=service.telemetry.metrics.level=none';
    const made = new Collector();
    made.#flags = [`--config=${file}`, quiet];
    made.url = `http://${listen}`;
    await made.again(atEnd);
    return made;
  }

  /** Starts it, where it has ended or not begun. */
  async again(atEnd) {
    this.#running = collector.start(this.#flags, atEnd);
    const isThere = () => fetch(this.url).then(() => true, () => false);
    await eventually('the collector', isThere).catch((error) => assert.fail(`${error.message}: ${this.output}`));
  }

  async kill() {
    const { child } = this.#running;
    child.kill('SIGKILL');
    await eventually('its end', () => child.signalCode);
  }

  get output() {
    return this.#running.output();
  }
}

/** An SDK that counts, and sends each step by itself. */
function counting(url, atEnd, temporality) {
  const temporalityPreference = AggregationTemporality[temporality];
  const exporter = new OTLPMetricExporter({ url: `${url}/v1/metrics`, temporalityPreference });
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8 });
  const resource = resourceFromAttributes({ 'service.name': 'shop' });
  const provider = new MeterProvider({ readers: [reader], resource });
  atEnd(() => provider.shutdown().catch(() => {}));
  const steps = provider.getMeter('shop').createCounter('steps');
  const next = apart();
  return new Numbered(() => {
    steps.add(1);
    return next(() => provider.forceFlush());
  });
}

const proves = (name, how, rules, body) => collector.proves(name, body, (name, body) => how(name, rules, body));

describe('a collector', { concurrency: true }, () => {
  proves('what it passes on arrives once, through SIGKILL and SIGSTOP of the server and of itself', provesWithRules, RULES, async (server, atEnd) => {
    const between = await Collector.start(server, atEnd);
    const sender = counting(between.url, atEnd, 'CUMULATIVE');
    await throughKills(server, sender);

    server.signal('SIGSTOP');
    await sender.goesOn();
    await between.kill();
    server.signal('SIGCONT');
    await between.again(atEnd);
    await sender.goesOn();
    await sender.hasArrived(server);
    await assertNothingRefused(server, between);
  });

  proves('what it passes on while the disk is full arrives once', provesOnSmallDisk, RULES, async (server, atEnd, disk) => {
    const between = await Collector.start(server, atEnd);
    await throughFullDisk(server, counting(between.url, atEnd, 'CUMULATIVE'), disk);
    await assertNothingRefused(server, between);
  });

  proves('what it passes on while the rules wait arrives once', provesOnSmallDisk, RULES, async (server, atEnd, disk) => {
    const between = await Collector.start(server, atEnd);
    await throughBusyRules(server, counting(between.url, atEnd, 'DELTA'), disk);
    await assertNothingRefused(server, between);
  });
});

async function assertNothingRefused(server, between) {
  assert.deepEqual(await refusedSamples(server, 'otlp'), []);
  assert.doesNotMatch(between.output, /Dropping data/);
}
