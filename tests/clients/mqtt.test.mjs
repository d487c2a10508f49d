// Sensors' own clients of MQTT: mosquitto's, paho's and the npm package `mqtt`.

import assert from 'node:assert/strict';
import { connectAsync } from 'mqtt';
import { freePort } from '../port.mjs';
import { eventually, provesWithConfig, range } from './bellwire.mjs';
import { Tool } from './tool.mjs';

// As docs/ingest/mqtt.md has it, but for the port.
const port = await freePort();
const CONFIG = `
[mqtt]
listen = "127.0.0.1:${port}"

[[mqtt.topics]]
topic = "sensors/{site}/{device}/{name}"

[[mqtt.topics]]
topic = "status/{device}"
name = "up"
words = { online = 1, offline = 0 }

[[mqtt.topics]]
topic = "zigbee/{device}"
payload = "json"
values = { temperature_celsius = "temperature", battery_volts = "cells[0].volts" }
time = "last_seen"
time_unit = "ms"

[[mqtt.topics]]
topic = "doors/{site}/{door}"
event = "doors/{site}/{door}"
`;

const libraries = [process.env.TEST_LIBRARIES, process.env.LD_LIBRARY_PATH].filter(Boolean);
const mosquitto = new Tool(
  'mosquitto_pub', 'MOSQUITTO_PUB_BIN', { LD_LIBRARY_PATH: libraries.join(':') });
const python = new Tool('python3', 'PYTHON_BIN');

const withMqtt = (name, body) => provesWithConfig(name, CONFIG, body);
const to = ['-h', '127.0.0.1', '-p', String(port)];

for (const version of ['mqttv311', 'mqttv5']) {
  for (const quality of ['0', '1']) {
    mosquitto.proves(`mosquitto_pub publishes with ${version} and quality ${quality}`, async (server) => {
      const how = [...to, '-V', version, '-q', quality];
      const topic = 'sensors/oslo/boiler/temperature_celsius';
      await mosquitto.run([...how, '-t', topic, '-m', '21.5']);
      await mosquitto.run([...how, '-t', 'zigbee/a', '-m', '{"temperature":7,"cells":[{"volts":3.1}]}']);
      const labels = { device: 'boiler', site: 'oslo' };
      assert.deepEqual(await newest(server, 'temperature_celsius', 2), [[{ device: 'a' }, 7], [labels, 21.5]]);
      assert.deepEqual(await newest(server, 'battery_volts', 1), [[{ device: 'a' }, 3.1]]);
    }, withMqtt);
  }
}

mosquitto.proves('mosquitto_pub sends thousands, each acknowledged', async (server) => {
  const values = range(1, 5_000).join('\n');
  await mosquitto.run([...to, '-q', '1', '-t', 'sensors/oslo/boiler/count', '-l'], values);
  // Values are shown a little after they are acknowledged.
  await eventually('the last of them', async () => (await newest(server, 'count', 1))[0][1] === 5_000);
}, withMqtt);

withMqtt('mqtt.js publishes with both versions, and its will is a sample', async (server, atEnd) => {
  for (const protocolVersion of [4, 5]) {
    const will = { topic: `status/js${protocolVersion}`, payload: Buffer.from('offline'), qos: 1 };
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion, will });
    atEnd(() => client.endAsync(true));
    const device = `js${protocolVersion}`;
    const all = range(1, 300).map((number) =>
      client.publishAsync(`sensors/oslo/${device}/count`, String(number), { qos: 1, retain: true }));
    await Promise.all(all);
    await client.publishAsync(`status/${device}`, 'online', { qos: 1 });
    await eventually('it is up', async () => (await of(server, 'up', device)) === 1);
    assert.equal(await of(server, 'count', device), 300);
    client.stream.destroy();
    await eventually('it is gone', async () => (await of(server, 'up', device)) === 0);
    await client.endAsync(true);
  }
});

withMqtt('messages, and a will, are events where the configuration says so', async (server, atEnd) => {
  const will = { topic: 'doors/oslo/front', payload: Buffer.from('gone'), qos: 1 };
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, will });
  atEnd(() => client.endAsync(true));
  await client.publishAsync('doors/oslo/front', '{"open":true}', { qos: 1 });
  const events = async () => {
    const response = await fetch(`${server.url}/v1/topics/doors/oslo/front`);
    return response.ok ? (await response.json()).events.map(({ data }) => data) : [];
  };
  // It was durable before it was acknowledged.
  assert.deepEqual(await events(), [{ open: true }]);
  client.stream.destroy();
  await eventually('its will', async () => (await events()).length === 2);
  assert.deepEqual(await events(), [{ open: true }, 'gone']);
});

python.proves('paho publishes with both versions', async (server) => {
  const output = await python.run(['publish_mqtt.py', String(port)]);
  assert.equal(output, 'acknowledged 200\nacknowledged 200\nrefused Payload format invalid\n');
  for (const device of ['paho4', 'paho5']) {
    await eventually('all', async () => (await of(server, 'count', device)) === 200);
  }
}, withMqtt);

/** The newest sample of each series of a metric: its labels and its value. */
async function newest(server, metric, count) {
  const events = await eventually(metric, async () => {
    const response = await fetch(`${server.url}/v1/topics/samples/${metric}`);
    const page = response.ok && (await response.json());
    return page.events?.length === count && page.events;
  });
  return events.map(({ data }) => [data.labels, data.value]).sort((a, b) => a[1] - b[1]);
}

/** The newest value of a metric and device. */
async function of(server, metric, device) {
  const response = await fetch(`${server.url}/v1/topics/samples/${metric}`);
  const { events } = response.ok ? await response.json() : { events: [] };
  return events.find(({ data }) => data.labels.device === device)?.data.value;
}
