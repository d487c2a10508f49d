// The npm package `@influxdata/influxdb-client`, with the options that it has by itself.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { HttpError, InfluxDB, Point, setLogger } from '@influxdata/influxdb-client';
import { eventually, proves, range } from './bellwire.mjs';

/** Enough that the client compresses the body: it does so from 1,000 bytes on. */
const SITES = range(1, 100).map((number) => `site-${number}`);

// The client prints each failed write; these tests look at the errors themselves.
setLogger({ error() {}, warn() {} });

proves('points of the InfluxDB client become samples, by gzip', async (server, atEnd) => {
  const encodings = requestEncodings(atEnd);
  const writing = writeApi(server);
  for (const [index, site] of SITES.entries()) {
    const point = new Point('boiler').tag('site', site);
    writing.writePoint(point.floatField('temperature', index + 0.5).booleanField('on', true));
  }
  await writing.close();

  const temperatures = await values(server, 'samples/boiler_temperature', SITES.length);
  assert.deepEqual(temperatures, bySite((index) => index + 0.5));
  const switches = await values(server, 'samples/boiler_on', SITES.length);
  assert.deepEqual(switches, bySite(() => 1));
  assert.deepEqual(encodings, ['gzip']);
});

proves('each type of field, what it escapes and its times arrive as written', async (server) => {
  const time = new Date(Date.now() - 60_000);
  const site = 'Oslo, N=1 \\ "æ"';
  const writing = writeApi(server);
  const point = new Point('my tank,a').tag('site', site).timestamp(time);
  point.intField('level', -7).uintField('count', 7).floatField('ratio', 2.5e-7);
  writing.writePoint(point.booleanField('open', false).stringField('note', 'a "b", c=1 \\'));
  await writing.close();

  const fields = { level: -7, count: 7, ratio: 2.5e-7, open: 0 };
  for (const [field, value] of Object.entries(fields)) {
    const topic = `samples/my_tank_a_${field}`;
    assert.deepEqual(await values(server, topic, 1), { [site]: value });
    const { events } = await (await fetch(`${server.url}/v1/topics/${topic}`)).json();
    assert.equal(events[0].time, time.getTime());
  }
  const { topics } = await (await fetch(`${server.url}/v1/topics`)).json();
  assert.equal(topics.length, Object.keys(fields).length, 'a string is no sample');
});

proves('the InfluxDB client is told of a bad line, and the others count', async (server) => {
  const writing = writeApi(server);
  const lines = ['pump,site=oslo rate=1', 'pump,site=bergen rate=fast', 'pump,site=voss rate=3'];
  writing.writeRecords(lines);
  await assert.rejects(writing.close(), (error) => {
    assert.ok(error instanceof HttpError, String(error));
    assert.equal(error.statusCode, 400);
    assert.equal(error.code, 'invalid');
    assert.match(error.message, /partial write: 1 of the lines refused: line 2: /);
    return true;
  });
  assert.deepEqual(await values(server, 'samples/pump_rate', 2), { oslo: 1, voss: 3 });
});

function writeApi(server) {
  return new InfluxDB({ url: server.url, token: 'any' }).getWriteApi('org', 'bucket');
}

/** What `values` gives when each site has the value of its index. */
function bySite(value) {
  return Object.fromEntries(SITES.map((site, index) => [site, value(index)]));
}

/** The topic's values by site, once there are as many: samples are taken in after the answer. */
async function values(server, topic, count) {
  const events = await eventually(`${count} values on ${topic}`, async () => {
    const response = await fetch(`${server.url}/v1/topics/${topic}?limit=1000`);
    if (response.status === 404) return null;
    assert.equal(response.status, 200);
    const { events } = await response.json();
    return events.length >= count && events;
  });
  return Object.fromEntries(events.map(({ data }) => [data.labels.site, data.value]));
}

/** The `Content-Encoding` of each request that Node's own client sends from now on. */
function requestEncodings(atEnd) {
  const encodings = [];
  const note = ({ request }) => encodings.push(request.getHeader('content-encoding'));
  subscribe('http.client.request.start', note);
  atEnd(() => unsubscribe('http.client.request.start', note));
  return encodings;
}
