// The files of deploy as they stand, with other addresses and certificates: three nodes, with what
// compose.yaml tells them, over a real engine, and each proxy before them. Nobody misses an event or
// gets one twice, whatever is killed or drained.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { HAS_OPENSSL, makeCertificate } from '../certificate.mjs';
import { Engine, engineOf } from '../engine.mjs';
import { freePort } from '../port.mjs';
import { deployed, hasProxy, startProxy } from '../proxy.mjs';
import { Server } from '../server.mjs';
import { BINARY, eventually } from './bellwire.mjs';
import { Publisher, eventSource, http2Stream, longPoll, webSocket } from './followers.mjs';

const TEST_PATIENCE_MS = 300_000;
const TOPIC = 'lab/numbers';
/** Enough of them that each node has some, whatever else asks the proxy meanwhile. */
const EVENT_SOURCES = 6;
const BURST = 60;

/** The nodes', and what proxies wait for in place of 90 s: several times as long. */
const HEARTBEAT = ['--heartbeat-interval', '700ms'];
const IDLE_TIMEOUT = '4s';
/** Heartbeats in which a proxy that did not see them would have hung up. */
const HEARTBEATS = 10;

const NAMES = ['bellwire-a', 'bellwire-b', 'bellwire-c'];
const COMPOSE = parse(deployed('compose.yaml', []), { merge: true });
const PASSWORD = 'a-password-of-tests';

/** Each proxy with the engine that its nodes are tested with where that is there, and its file. */
const PROXIES = {
  haproxy: {
    engines: ['nats', 'redis'],
    // While the engine is away new streams are passed on, and how the proxy says that it is.
    awaitsEngine: /backend 'ready' has no server available/,
    // Publishers see no error where a node drains or dies.
    sendsAgain: true,
    file: (port, nodes, { both }) => deployed('haproxy.cfg', [
      ...nodes,
      ['bind :443 ', `bind 127.0.0.1:${port} `],
      ['/etc/bellwire/bellwire.pem', both],
      ['90s', IDLE_TIMEOUT],
    ]),
  },
  nginx: {
    engines: ['redis', 'nats'],
    // It does not ask.
    awaitsEngine: /^/,
    sendsAgain: false,
    file: (port, nodes, { certificate, key }) => deployed('nginx.conf', [
      ...nodes,
      ['listen 443 ', `listen 127.0.0.1:${port} `],
      ['bellwire.example', 'localhost'],
      ['/etc/bellwire/certificate.pem', certificate],
      ['/etc/bellwire/key.pem', key],
      ['90s', IDLE_TIMEOUT],
    ]),
  },
  caddy: {
    engines: ['nats', 'redis'],
    awaitsEngine: null,
    sendsAgain: false,
    file: (port, nodes, { certificate, key }) => deployed('Caddyfile', [
      ...nodes,
      ['bellwire.example', `https://localhost:${port}`],
      ['/etc/bellwire/certificate.pem', certificate],
      ['/etc/bellwire/key.pem', key],
    ]),
  },
};

/** What a node is told by compose.yaml, but for what a test has otherwise. */
function environmentOf(engine) {
  const told = COMPOSE.services['bellwire-a'].environment;
  assert.match(told.BELLWIRE_CLUSTER, /^nats:\/\/bellwire:\$\{NATS_PASSWORD:[^}]*\}@nats:4222$/);
  return { ...told, BELLWIRE_CLUSTER: engine.url, BELLWIRE_TRUSTED_PROXIES: '127.0.0.1' };
}

/** What compose.yaml tells NATS, but for what a test has otherwise. */
async function settingsOf(folder) {
  const text = COMPOSE.configs.nats.content;
  const replaced = text.replace('8222', await freePort()).replace('/store', join(folder, 'store')).replace('$$NATS_PASSWORD', PASSWORD);
  assert.doesNotMatch(replaced, /\$|8222|: \/store/);
  return replaced;
}

/** A test with nodes behind the proxy, said to be skipped where something is not there. */
function provesBehind(proxy, name, { names = NAMES, flags = [] }, body) {
  const kind = engineOf(PROXIES[proxy].engines);
  const missing = !hasProxy(proxy) ? proxy : !HAS_OPENSSL ? 'openssl' : !kind ? 'engine' : null;
  if (missing) {
    console.error(`SKIPPED: there is no ${missing} on this machine: ${name}`);
    test(name, { skip: `there is no ${missing}` }, () => {});
    return;
  }
  test(`${proxy} over ${kind}: ${name}`, { timeout: TEST_PATIENCE_MS }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'bellwire-deploy-'));
    const closings = [() => rmSync(folder, { recursive: true, force: true })];
    const atEnd = (close) => closings.push(close);
    let [nodes, said, passed] = [[], () => '', false];
    t.after(async () => {
      if (!passed) [...nodes.map(({ output }) => output), said()].forEach((output) => console.error(`---\n${output}`));
      for (const close of closings.reverse()) await close();
    });
    const engine = new Engine(kind, folder, { settings: await settingsOf(folder), who: `bellwire:${PASSWORD}` });
    atEnd(() => engine.kill());
    await engine.start();
    nodes = names.map((name) => new Server(BINARY, 'serve', join(folder, name), [...HEARTBEAT, ...flags], environmentOf(engine)));
    nodes.forEach((node) => atEnd(() => node.end('SIGKILL')));
    await Promise.all(nodes.map((node) => node.start()));
    const { certificate } = makeCertificate(folder);
    const [key, both, port] = [join(folder, 'key.pem'), join(folder, 'both.pem'), await freePort()];
    const trust = readFileSync(certificate, 'utf8');
    writeFileSync(both, trust + readFileSync(key, 'utf8'));
    // Where there are fewer nodes than names, all are the last one.
    const places = NAMES.map((name, index) => [`${name}:8080`, new URL((nodes[index] ?? nodes.at(-1)).url).host]);
    said = await startProxy(proxy, PROXIES[proxy].file(port, places, { certificate, key, both }), port, atEnd);
    const way = { url: `https://localhost:${port}`, topic: TOPIC, trust, certificate };
    await body({ engine, nodes, way, said }, atEnd);
    passed = true;
  });
}

const figure = async (node, name) => {
  const lines = (await (await fetch(`${node.url}/metrics`)).text()).split('\n');
  return lines.filter((line) => line.startsWith(`${name}{`)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
};
const isReady = (node) => fetch(`${node.url}/readyz`).then(({ status }) => status === 200);

for (const [proxy, { awaitsEngine, sendsAgain }] of Object.entries(PROXIES)) {
  provesBehind(proxy, 'nobody misses an event or gets one twice', {}, async ({ engine, nodes, way, said }, atEnd) => {
    const sources = Array.from({ length: EVENT_SOURCES }, () => eventSource(way, atEnd));
    const [stream, socket, poll] = [http2Stream, webSocket, longPoll].map((begin) => begin(way, atEnd));
    const followers = [...sources, stream, socket, poll];
    const publisher = new Publisher(way, atEnd);
    const allHave = async (last) => {
      for (const follower of followers) await follower.has(last);
    };
    for (const node of nodes) await eventually('streams at each node', async () => (await figure(node, 'bellwire_transport_streams_open')) > 0);

    // Nothing sits in a buffer: the next one is published when all have the one before.
    for (let times = 0; times < 5; times += 1) await allHave(await publisher.publish(1));

    // Whatever is silent stays.
    const opens = [...sources, stream, socket].map((follower) => follower.opens);
    const before = [stream, socket].map(({ heartbeats }) => heartbeats);
    await eventually('heartbeats', () => [stream, socket].every(({ heartbeats }, index) => heartbeats >= before[index] + HEARTBEATS));
    await allHave(await publisher.publish(1));
    assert.deepEqual([...sources, stream, socket].map((follower) => follower.opens), opens);

    // A node is killed while somebody publishes, and is back.
    const [killed] = await Promise.all([publisher.publish(BURST), nodes[0].end('SIGKILL')]);
    await allHave(killed);
    assert.ok(followers.reduce((sum, follower) => sum + follower.opens, 0) > opens.length, 'some have come back');
    await allHave(await publisher.publish(BURST));
    await nodes[0].start();

    // A node drains while somebody publishes: it takes nobody new, and nobody sees an error.
    const publishing = publisher.publish(BURST);
    await nodes[1].end('SIGTERM');
    await publishing;
    await allHave(await publisher.publish(BURST));
    for (const { name, refusals } of followers) assert.deepEqual(refusals, [], name);
    if (sendsAgain) assert.deepEqual(publisher.refusals, []);
    await nodes[1].start();

    // The engine is away: streams go on and begin.
    await engine.kill();
    await eventually('all nodes to notice', async () => (await Promise.all(nodes.map(isReady))).every((ready) => !ready));
    if (awaitsEngine) {
      await eventually('the proxy to notice', () => awaitsEngine.test(said()));
      const late = eventSource(way, atEnd);
      await late.has(publisher.published);
      followers.push(late);
      sources.push(late);
    }
    await engine.start();
    for (const node of nodes) await eventually('the nodes to be ready', () => isReady(node));
    await allHave(await publisher.publish(BURST));

    // All nodes are away: an EventSource meets the proxy alone, and comes back to a node later.
    await Promise.all(nodes.map((node) => node.end('SIGKILL')));
    const met = sources.map((source) => source.opens);
    await eventually('an answer of the proxy', () => sources.every((source, index) => source.opens > met[index]));
    await Promise.all(nodes.map((node) => node.start()));
    await allHave(await publisher.publish(BURST));
    for (const { name, refusals } of sources) assert.deepEqual(refusals, [], name);
  });

  const LIMIT = 20;
  const flags = ['--connections-per-address-max', `${LIMIT}`];
  provesBehind(proxy, 'a request is whose it is, whatever its client says', { names: ['alone'], flags }, async ({ way }, atEnd) => {
    const path = `/v1/events?topic=${TOPIC}`;
    for (let times = 0; times < LIMIT; times += 1) assert.equal(await status(way, path, '127.0.0.2', {}, atEnd), 200);
    for (const headers of [{}, { 'x-forwarded-for': '192.0.2.1' }, { forwarded: 'for=192.0.2.1' }]) {
      assert.equal(await status(way, path, '127.0.0.2', headers, atEnd), 429, `it is another's with ${Object.keys(headers)}`);
    }
    assert.equal(await status(way, path, '127.0.0.3', {}, atEnd), 200);
  });
}

/** What somebody who connects from an address is answered; the answer stays open. */
function status({ url, trust: ca }, path, localAddress, headers, atEnd) {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}${path}`, { ca, localAddress, headers, agent: false, family: 4 }, ({ statusCode }) => resolve(statusCode));
    atEnd(() => asked.destroy());
    asked.on('error', reject);
    asked.end();
  });
}
