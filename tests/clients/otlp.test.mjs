// OpenTelemetry's SDKs for Python and Node, set up as the documentation says.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { diag } from '@opentelemetry/api';
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality, AggregationType, InstrumentType, MeterProvider, PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { eventually, proves } from './bellwire.mjs';
import { apart } from './numbered.mjs';
import { Tool } from './tool.mjs';

const PAGE = readFileSync(new URL('../../docs/ingest/opentelemetry.md', import.meta.url), 'utf8');
const [, ENVIRONMENT] = PAGE.match(/^```sh\n(export [^]*?)^```$/m);
const HOST = '127.0.0.1:8080';

const python = new Tool('python3', 'PYTHON_BIN');

/** The variables of the documentation, for this server. */
function environment(server, more = {}) {
  const lines = ENVIRONMENT.trim().split('\n').map((line) => line.match(/^export (\w+)=(.*)$/));
  const variables = Object.fromEntries(lines.map(([, name, value]) => [name, value]));
  const set = { ...variables, ...more };
  for (const name in set) set[name] = set[name].replace(HOST, new URL(server.url).host);
  return set;
}

/** Runs the program with these variables. */
async function runWith(variables, flags) {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    return await python.run(['send_metrics.py', ...flags]);
  } finally {
    process.env = before;
  }
}

/** The values of a metric by one of its labels, once there are as many. */
async function values(server, name, label, count = 1) {
  const events = await eventually(`${count} values of ${name}`, async () => {
    const response = await fetch(`${server.url}/v1/topics/samples/${name}`);
    if (response.status === 404) return null;
    const { events } = await response.json();
    return events.length >= count && events;
  });
  return Object.fromEntries(events.map(({ data }) => [data.labels[label], data.value]));
}

/** What a service has counted and measured, whatever it is written in. */
async function assertCounted(server) {
  assert.deepEqual(await values(server, 'shop_orders_total', 'payment_kind'), { card: 3 });
  assert.deepEqual(await values(server, 'shop_orders_total', 'job'), { 'lab/shop': 3 });
  const name = 'http_server_request_duration_seconds';
  const buckets = { 0.1: 2, 1: 2, '+Inf': 4 };
  assert.deepEqual(await values(server, `${name}_bucket`, 'le', 3), buckets);
  assert.deepEqual(await values(server, `${name}_count`, 'http_route'), { '/a': 4 });
  const { '/a': sum } = await values(server, `${name}_sum`, 'http_route');
  assert.ok(Math.abs(sum - 10.1) < 1e-9, String(sum));
  assert.deepEqual(await values(server, 'room_temperature_celsius', 'job'), { 'lab/shop': 22.5 });
  const arch = await values(server, 'target_info', 'host_arch');
  assert.deepEqual(arch, { arm64: 1 });
}

for (const temporality of ['cumulative', 'delta']) {
  python.proves(`what the SDK for Python counts arrives, ${temporality}`, async (server) => {
    const preference = { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: temporality };
    await runWith(environment(server, preference), []);
    await assertCounted(server);
  });
}

python.proves('the SDK for Python gives up at once on what is not taken', async (server) => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${HOST}` };
  const output = await runWith(environment(server, endpoint), ['refused']);
  assert.match(output, /^traces given up at once True$/m);
  assert.match(output, /^logs given up at once True$/m);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /_samples_refused_total\{source="otlp",reason="exponential_histogram"\} [1-9]/);
});

/** Counts and measures as the program for Python does. */
async function count(exporter) {
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8 });
  const attributes = {
    'service.name': 'shop', 'service.namespace': 'lab', 'service.instance.id': 'shop-1', 'host.arch': 'arm64',
  };
  const provider = new MeterProvider({ readers: [reader], resource: resourceFromAttributes(attributes) });
  const meter = provider.getMeter('shop', '1.2');
  const orders = meter.createCounter('shop.orders', { unit: '{order}' });
  const duration = meter.createHistogram('http.server.request.duration', {
    unit: 's', advice: { explicitBucketBoundaries: [0.1, 1] },
  });
  const temperature = meter.createGauge('room.temperature', { unit: 'Cel' });
  for (const times of [1, 2]) {
    orders.add(times, { 'payment.kind': 'card' });
    duration.record(0.05, { 'http.route': '/a' });
    duration.record(5, { 'http.route': '/a' });
    temperature.record(20.5 + times);
    await next(() => provider.forceFlush());
  }
  await provider.shutdown();
}

/** All send to the same series. */
const next = apart();

for (const [words, Exporter] of [['JSON', JsonExporter], ['Protocol Buffers', ProtobufExporter]]) {
  for (const temporality of ['CUMULATIVE', 'DELTA']) {
    proves(`what the SDK for Node counts arrives as ${words}, ${temporality}`, async (server) => {
      const url = `${server.url}/v1/metrics`;
      const temporalityPreference = AggregationTemporality[temporality];
      await count(new Exporter({ url, temporalityPreference, compression: 'gzip' }));
      await assertCounted(server);
    });
  }

  proves(`the SDK for Node is told in ${words} what is not taken`, async (server, atEnd) => {
    const told = [];
    const note = (...words) => told.push(words.map((word) => (word instanceof Error ? word.message : JSON.stringify(word))).join(' '));
    diag.setLogger({ error: note, warn: note, info: note, debug() {}, verbose() {} });
    atEnd(() => diag.disable());
    const exporter = new Exporter({ url: `${server.url}/v1/metrics` });
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8 });
    const aggregation = { type: AggregationType.EXPONENTIAL_HISTOGRAM };
    const views = [{ instrumentType: InstrumentType.HISTOGRAM, aggregation }];
    const provider = new MeterProvider({ readers: [reader], views });
    const meter = provider.getMeter('shop');
    meter.createHistogram('latency', { unit: 's' }).record(0.5);
    meter.createCounter('orders').add(1);
    await provider.forceFlush();
    await eventually('the partial success', () => told.some((line) => /`latency` is an exponential/.test(line)));
    assert.deepEqual(Object.values(await values(server, 'orders_total', 'job')), [1]);
    await provider.shutdown();
  });
}
