// The files of deploy as they stand, with other addresses and certificates: three nodes, with what
// compose.yaml tells them, over a real engine, and each proxy before them. Nobody misses an event or
// gets one twice, whatever is killed or drained.

import assert from 'node:assert/strict';
import { request } from 'node:https';
import { test } from 'node:test';
import { engineOf } from '../engine.mjs';
import { eventually } from './bellwire.mjs';
import { deploy, missingOf } from './deployment.mjs';
import { Publisher, eventSource, http2Stream, longPoll, webSocket } from './followers.mjs';

const TEST_PATIENCE_MS = 300_000;
const TOPIC = 'lab/numbers';
/** Enough of them that each node has some, whatever else asks the proxy meanwhile. */
const EVENT_SOURCES = 6;
const BURST = 60;
/** Heartbeats in which a proxy that did not see them would have hung up. */
const HEARTBEATS = 10;

const PROXIES = {
  haproxy: {
    // That of which there is a program is tested.
    engines: ['nats', 'redis'],
    // How the proxy says that it has noticed; new streams are passed on all the same.
    awaitsEngine: /backend 'ready' has no server available/,
    // Publishers see no error where a node drains or dies.
    sendsAgain: true,
  },
  // It asks no node whether it is ready.
  nginx: { engines: ['redis', 'nats'], awaitsEngine: /^/, sendsAgain: false },
  // New streams have to wait for the engine.
  caddy: { engines: ['nats', 'redis'], awaitsEngine: null, sendsAgain: false },
};

/** A test with nodes behind the proxy, said to be skipped where something is not there. */
function provesBehind(proxy, name, how, body) {
  const { engines } = PROXIES[proxy];
  const [kind, missing] = [engineOf(engines), missingOf(proxy, engines)];
  if (missing) {
    console.error(`SKIPPED: there is no ${missing} on this machine: ${proxy}: ${name}`);
    test(`${proxy}: ${name}`, { skip: `there is no ${missing}` }, () => {});
    return;
  }
  test(`${proxy} over ${kind}: ${name}`, { timeout: TEST_PATIENCE_MS }, async (t) => {
    const closings = [];
    const atEnd = (close) => closings.push(close);
    let [deployment, passed] = [null, false];
    t.after(async () => {
      const said = deployment && !passed ? [...deployment.nodes.map(({ output }) => output), deployment.said()] : [];
      said.forEach((output) => console.error(`---\n${output}`));
      for (const close of closings.reverse()) await close();
    });
    deployment = await deploy({ proxy, kind, ...how }, atEnd);
    await body({ ...deployment, way: { ...deployment, topic: TOPIC } }, atEnd);
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

    // A node is killed while somebody publishes, and is back. A poll asks anew all the time.
    const [killed] = await Promise.all([publisher.publish(BURST), nodes[0].end('SIGKILL')]);
    await allHave(killed);
    const again = [...sources, stream, socket].filter((follower, index) => follower.opens > opens[index]);
    assert.ok(again.length > 0, 'some have come back');
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
