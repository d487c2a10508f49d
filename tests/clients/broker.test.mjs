// A real broker, mosquitto, configured as the documentation says: what sensors publish there reaches the
// rules, and nothing that it holds is lost, whichever of the two is killed, stopped or away.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { HAS_OPENSSL } from '../certificate.mjs';
import { freePort } from '../port.mjs';
import { eventually, provesWithConfig, range } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const PAGE = readFileSync(new URL('../../docs/ingest/mqtt.md', import.meta.url), 'utf8');
const block = (kind, part) => {
  const blocks = [...PAGE.matchAll(/^```(\w+)\n([^]*?)^```$/gm)];
  return blocks.find(([, of, text]) => of === kind && text.includes(part))[2];
};
const MOSQUITTO = block('conf', 'listener 8883');
const BROKER = block('toml', '[[mqtt.broker]]');

const folder = mkdtempSync(join(tmpdir(), 'bellwire-broker-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = (name) => join(folder, name);

const port = await freePort();
const libraries = [process.env.TEST_LIBRARIES, process.env.LD_LIBRARY_PATH].filter(Boolean);
const mosquitto = new Tool(
  'mosquitto', 'MOSQUITTO_BIN', { LD_LIBRARY_PATH: libraries.join(':') });
const isThere = mosquitto.isThere && HAS_OPENSSL;

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Rules that look at what tests publish. */
const RULES = `
groups:
- name: g
  rules:
  - {alert: Hot, expr: temperature_celsius > 90}
  - {alert: Seen, expr: 'count_over_time(count[1h]) < 0'}
`;

if (isThere) {
  makeAuthority('ca');
  makeCertificate('ca', 'broker');
  makeCertificate('ca', 'bellwire');
  makeAuthority('other');
  makeCertificate('other', 'stranger');
  writeFileSync(path('rules.yml'), RULES);
  mkdirSync(path('kept'));
  const text = MOSQUITTO
    .replace('8883', `${port}`)
    .replace('/var/lib/mosquitto/', `${path('kept')}/`)
    .replaceAll(/\/etc\/mosquitto\/certs\//g, `${folder}/`);
  // As root it would become somebody who may not read the folder.
  writeFileSync(path('mosquitto.conf'), `${text}user ${userInfo().username}\n`);
}

/** The documentation's, with these lines more for the broker. */
const config = (lines = '') => `
rules = ["${path('rules.yml')}"]

[mqtt]

[[mqtt.topics]]
topic = "sensors/{site}/{device}/{name}"

[[mqtt.topics]]
topic = "json/{device}"
payload = "json"
values = { temperature_celsius = "t" }
time = "at"

[[mqtt.topics]]
topic = "doors/{door}"
event = "doors/{door}"

${BROKER
    .replace('broker.example', `localhost:${port}`)
    .replaceAll(/"\/etc\/bellwire\//g, `"${folder}/`)}
${lines}
`;

/** A test with a server that has this configuration, and a broker. */
function provesWithBroker(name, text, body) {
  const test = (server, atEnd) => body(server, atEnd, new Broker(atEnd));
  if (isThere) return provesWithConfig(name, text, test);
  mosquitto.proves(name, body);
}

/** A mosquitto, which may be ended and started again. */
class Broker {
  #atEnd;
  #running;

  constructor(atEnd) {
    this.#atEnd = atEnd;
    rmSync(path('kept'), { recursive: true });
    mkdirSync(path('kept'));
    this.start();
  }

  start() {
    this.#running = mosquitto.start(['-c', path('mosquitto.conf')], this.#atEnd);
  }

  signal(name) {
    this.#running.child.kill(name);
  }

  async end(signal) {
    const ended = once(this.#running.child, 'exit');
    this.signal(signal);
    await ended;
  }

  /** A sensor that publishes there, with a will where it has one. */
  async sensor(will) {
    const files = { ca: 'ca.pem', cert: 'bellwire.pem', key: 'bellwire.key' };
    const read = Object.entries(files).map(([name, file]) => [name, readFileSync(path(file))]);
    const options = { ...Object.fromEntries(read), protocolVersion: 5, reconnectPeriod: 100, will };
    const client = await connectAsync(`mqtts://localhost:${port}`, options);
    client.on('error', () => {});
    this.#atEnd(() => client.endAsync(true));
    return client;
  }
}

for (const version of ['5', '3.1.1']) {
  const text = config(`version = "${version}"`);
  provesWithBroker(`what a broker brings is an alert, in ${version}`, text, async (server, atEnd, broker) => {
    await connected(server);
    assert.equal(await ready(server), 'ready\n');
    const sensor = await broker.sensor();
    await sensor.publishAsync('sensors/oslo/boiler/temperature_celsius', '95', { qos: 1 });
    await eventually('an alert', async () => {
      const { alerts } = await (await fetch(`${server.url}/v1/alerts`)).json();
      return alerts.some(({ labels }) => labels.alertname === 'Hot' && labels.device === 'boiler');
    });
  });
}

provesWithBroker('a share of what a broker has is asked for', config('topics = ["$share/b/sensors/#"]'),
  async (server, atEnd, broker) => {
    await connected(server);
    const sensor = await broker.sensor();
    await publish(sensor, range(1, 10));
    await eventually('all', async () => (await seen(server)) === 10);
  });

provesWithBroker('nothing is missing after a kill', config(), async (server, atEnd, broker) => {
  await connected(server);
  const sensor = await broker.sensor();
  const first = publish(sensor, range(1, 500));
  await eventually('some', async () => (await seen(server)) > 0);
  await server.end('SIGKILL');
  await first;
  await publish(sensor, range(501, 1_000));
  await server.start();
  await publish(sensor, range(1_001, 1_100));
  await eventually('all', async () => (await seen(server)) === 1_100);
});

provesWithBroker('what is published while a server has ended in order comes once', config(),
  async (server, atEnd, broker) => {
    await connected(server);
    const sensor = await broker.sensor();
    await publish(sensor, range(1, 100));
    await eventually('all', async () => (await seen(server)) === 100);
    await server.end('SIGTERM');
    await publish(sensor, range(101, 200));
    await server.start();
    await eventually('all', async () => (await seen(server)) === 200);
    assert.equal(await figure(server, 'bellwire_mqtt_broker_messages_total'), 100);
  });

provesWithBroker('a broker may be restarted', config(), async (server, atEnd, broker) => {
  await connected(server);
  const sensor = await broker.sensor();
  await publish(sensor, range(1, 10));
  await broker.end('SIGTERM');
  await eventually('it is missed', async () => (await figure(server, 'bellwire_mqtt_brokers_connected')) === 0);
  assert.match(await ready(server), /^ready\nthe broker of MQTT at mqtts:\/\/localhost:\d+ is not connected: /);
  broker.start();
  await publish(sensor, range(11, 20));
  await eventually('all', async () => (await seen(server)) === 20);
  assert.equal(await ready(server), 'ready\n');
  assert.equal(await figure(server, 'bellwire_mqtt_broker_connections_total'), 2);
});

provesWithBroker('a broker that hangs is noticed', config('keep_alive = "2s"'),
  async (server, atEnd, broker) => {
    await connected(server);
    const sensor = await broker.sensor();
    broker.signal('SIGSTOP');
    await eventually('it is noticed', () => figure(server, 'bellwire_mqtt_broker_failures_total{reason="silent"}'));
    assert.match(await ready(server), /not connected: /);
    broker.signal('SIGCONT');
    await connected(server);
    await publish(sensor, range(1, 10));
    await eventually('all', async () => (await seen(server)) === 10);
  });

provesWithBroker('what a broker has kept counts where it says of when it is', config('session_expiry = "0s"'),
  async (server, atEnd, broker) => {
    await connected(server);
    const sensor = await broker.sensor();
    const keep = (topic, payload) => sensor.publishAsync(topic, payload, { qos: 1, retain: true });
    await keep('sensors/oslo/old/temperature_celsius', '20');
    await keep('json/dated', JSON.stringify({ t: 21, at: Date.now() }));
    // It comes anew: the broker knows nothing of it, and shows what it has.
    await server.end('SIGTERM');
    await server.start();
    const of = 'source="mqtt"';
    await eventually('both', async () =>
      (await figure(server, `bellwire_source_samples_taken_total{${of}}`)) === 1 &&
      (await figure(server, `bellwire_source_samples_refused_total{${of},reason="retained_without_time"}`)) === 1);
  });

provesWithBroker('an event, and a will, comes once however often the server does', config('session_expiry = "0s"'),
  async (server, atEnd, broker) => {
    await connected(server);
    const will = { topic: 'doors/oak', payload: Buffer.from('gone'), qos: 1, retain: true };
    const sensor = await broker.sensor(will);
    await sensor.publishAsync('doors/oak', '{"open":true}', { qos: 1, retain: true });
    await eventually('an event', async () => (await eventsOf(server, 'doors/oak')).length === 1);
    sensor.stream.destroy();
    await eventually('its will', async () => (await eventsOf(server, 'doors/oak')).length === 2);
    for (const times of [1, 2]) {
      await server.end('SIGKILL');
      await server.start();
      // The broker shows what it has kept: once in each life of the server.
      await eventually(`it is shown, ${times}`, async () => {
        const name = 'bellwire_source_samples_refused_total{source="mqtt",reason="retained_without_time"}';
        return (await figure(server, name)) === 1;
      });
    }
    assert.deepEqual(await eventsOf(server, 'doors/oak'), [{ open: true }, 'gone']);
  });

provesWithBroker('no event is missing after a kill', config(), async (server, atEnd, broker) => {
  await connected(server);
  const sensor = await broker.sensor();
  const tell = (numbers) => Promise.all(numbers.map((number) =>
    sensor.publishAsync('doors/oak', `${number}`, { qos: 1 })));
  const first = tell(range(1, 500));
  await eventually('some', async () => (await eventsOf(server, 'doors/oak')).length > 0);
  await server.end('SIGKILL');
  await first;
  await tell(range(501, 600));
  await server.start();
  await eventually('all', async () => new Set(await eventsOf(server, 'doors/oak')).size === 600);
});

provesWithBroker('whoever shows another certificate is not let in',
  config().replaceAll('bellwire.pem', 'stranger.pem').replaceAll('bellwire.key', 'stranger.key'),
  async (server) => {
    await eventually('it fails', async () => {
      const text = await metrics(server);
      return /^bellwire_mqtt_broker_failures_total\{reason="(tls|closed)"\} [1-9]/m.test(text);
    });
    assert.equal(await figure(server, 'bellwire_mqtt_brokers_connected'), 0);
  });

async function connected(server) {
  await eventually('a connection', async () => (await figure(server, 'bellwire_mqtt_brokers_connected')) === 1);
}

/** One message each of sensors with these numbers, which the broker has taken. */
async function publish(sensor, numbers) {
  await Promise.all(numbers.map((number) =>
    sensor.publishAsync(`sensors/oslo/d${number}/count`, `${number}`, { qos: 1 })));
}

/** How many sensors the rules have heard of. */
async function seen(server) {
  const response = await fetch(`${server.url}/api/v1/query?query=${encodeURIComponent('count[1h]')}`);
  if (!response.ok) return 0;
  const { data } = await response.json();
  return data.result.length;
}

/** What the newest events of a topic say. */
async function eventsOf(server, topic) {
  const response = await fetch(`${server.url}/v1/topics/${topic}?limit=1000`);
  return response.ok ? (await response.json()).events.map(({ data }) => data) : [];
}

async function metrics(server) {
  return (await fetch(`${server.url}/metrics`)).text();
}

async function figure(server, name) {
  const lines = (await metrics(server)).split('\n');
  return Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ').at(-1) ?? 0);
}

async function ready(server) {
  return (await fetch(`${server.url}/readyz`)).text();
}

function openssl(...flags) {
  execFileSync('openssl', flags, { cwd: folder, stdio: 'pipe' });
}

function makeAuthority(name) {
  openssl('req', '-x509', ...KEY, '-days', '2', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`);
}

function makeCertificate(authority, name) {
  openssl('req', ...KEY, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
  writeFileSync(path('names'), 'subjectAltName=DNS:localhost\n');
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`,
    '-CAcreateserial', '-days', '2', '-extfile', 'names', '-out', `${name}.pem`);
}
