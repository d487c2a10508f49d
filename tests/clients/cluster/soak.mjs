// A cluster in trouble: three nodes over an engine behind HAProxy, and followers of each kind. Nodes and
// engine are killed, paused and drained by a seed while publishers go on; then a checker that knows
// neither looks at what all have written down.

import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, fetch as fetchWith } from 'undici';
import { WebSocket } from 'ws';
import { freePort } from '../../port.mjs';
import { randomOf } from '../../random.mjs';
import { BINARY, eventually } from '../bellwire.mjs';
import { deploy, folderOf } from '../deployment.mjs';
import { Follower, eventSource, http2Stream, longPoll, webSocket } from '../followers.mjs';
import { FILTER as ALERTS, Announced, RULES, Sender } from './alerts.mjs';
import { check, placeOf } from './checker.mjs';
import { Gate } from './gate.mjs';
import { Trouble, ofEngine, ofNodes } from './trouble.mjs';

const PUBLISHERS = 3;
/** What is between two events of a publisher, at least. */
const PAUSE_MS = 40;
/** How long an answer is waited for before the event is offered again. */
const ANSWER_MS = 15_000;
/** It is quiet around the engine for so many times as long: while it is away nothing is published. */
const ENGINE_QUIET = 3;
/** How long, once all is well again, publishers may take to have their last event taken. */
const LAST_ANSWER_MS = 120_000;
const FILTER = 'lab/**';
const CLIENT = fileURLToPath(new URL('../../../clients/js/', import.meta.url));

/** A file of lines of JSON. */
function ledger(path, atEnd) {
  const file = openSync(path, 'a');
  atEnd(() => closeSync(file));
  return (item) => writeSync(file, `${JSON.stringify(item)}\n`);
}

/** The client for JavaScript, built from this checkout. */
async function packageOf() {
  execFileSync('node', ['scripts/build.mjs'], { cwd: CLIENT, stdio: 'pipe' });
  return import(new URL('../../../clients/js/dist/index.js', import.meta.url));
}

/** The client for JavaScript over its transports; it does not speak TLS with a certificate of tests. */
const ofPackage = (sdk, name, transport, plainUrl) => ({ write }, atEnd) => {
  const follower = new Follower(`the client for JavaScript, ${name}`, write);
  const client = new sdk.Client(plainUrl, { transport });
  atEnd(() => client.close());
  const subscription = client.subscribe(FILTER, { after: 'earliest' });
  for (const type of ['event', 'gap']) subscription.addEventListener(type, ({ detail }) => follower.take(detail));
  subscription.addEventListener('ready', () => (follower.opens += 1));
  return follower;
};

/** `bellwire subscribe`, which is made of the client for Rust. */
function command({ url, certificate, write }, atEnd) {
  const follower = new Follower('the client for Rust', write);
  const flags = ['subscribe', FILTER, '--server', url, '--ca', certificate, '--after', 'earliest', '--json'];
  const child = spawn(BINARY, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
  atEnd(() => child.kill('SIGKILL'));
  createInterface({ input: child.stdout }).on('line', (line) => follower.take(JSON.parse(line)));
  createInterface({ input: child.stderr }).on('line', (line) => {
    const [, from, to, reason] = line.match(/^gap: events after (\S+) up to (\S+) are gone \((\w+)\)/) ?? [];
    if (to) follower.take({ control: 'gap', from, to, reason });
    if (line === 'ready') follower.opens += 1;
  });
  return follower;
}

/**
 * Publishes one number after the other while `goesOn`, each with a key until it is taken or `end`
 * aborts. Gives what is wrong.
 */
async function publish({ url, trust: ca, seed, publisher, acknowledge, counts, end }, goesOn, atEnd) {
  let why = '';
  const dispatcher = new Agent({ connect: { ca } });
  atEnd(() => dispatcher.destroy());
  const offer = async (number) => {
    const answer = await fetchWith(`${url}/v1/topics/lab/${publisher}`, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/json', 'idempotency-key': `${seed}-${publisher}-${number}` },
      body: JSON.stringify({ publisher, number }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const said = await answer.json();
    if (answer.status === 201 || answer.status === 200) return said.cursor;
    throw new Error(JSON.stringify(said));
  };
  for (let number = 1; goesOn(); number += 1) {
    let cursor;
    while (!(cursor = await offer(number).catch((error) => ((why = `${error}`), null)))) {
      if (end.aborted) return [`publisher ${publisher}: number ${number} was not taken within ${LAST_ANSWER_MS} ms of peace: ${why}`];
      counts.refusals += 1;
      await setTimeout(PAUSE_MS);
    }
    acknowledge({ publisher, number, cursor });
    await setTimeout(PAUSE_MS);
  }
  return [];
}

/**
 * Runs it for so many seconds with `each` followers of each kind; `folder` gets what all have
 * written down, `atEnd` what ends them. Gives what the checker says, with what has happened.
 */
export async function soak({ seconds, seed, kind, each, intervalMs, folder }, atEnd) {
  const plainPort = await freePort();
  const sdk = await packageOf();
  const gates = [];
  const reaches = async (engine, index) => {
    gates[index] = new Gate(() => engine.port);
    return engine.urlAt(await gates[index].start(atEnd));
  };
  const rules = join(folderOf(atEnd), 'rules.yml');
  writeFileSync(rules, RULES);
  const flags = ['--rules', rules];
  const { engine, nodes, ...way } = await deploy({ proxy: 'haproxy', kind, flags, plainPort, reaches }, atEnd);
  const begin = (start, index) => {
    const write = ledger(join(folder, `follower-${index}.ndjson`), atEnd);
    return start({ ...way, topic: FILTER, write: ({ control, from, to, reason, cursor, data }) =>
      write(control ? { gap: { from, to, reason } } : { cursor, data }) }, atEnd);
  };
  const transports = { SSE: sdk.sse, WebSocket: sdk.webSocket({ WebSocket }), 'long poll': sdk.longPoll() };
  const ofSdk = Object.entries(transports).map(([name, transport]) => ofPackage(sdk, name, transport, `http://127.0.0.1:${plainPort}`));
  const kinds = [eventSource, http2Stream, webSocket, longPoll, command, ...ofSdk];
  const followers = Array.from({ length: each }, () => kinds).flat().map(begin);

  const counts = { refusals: 0 };
  const write = ledger(join(folder, 'acknowledged.ndjson'), atEnd);
  let last = null;
  const acknowledge = (item) => {
    write(item);
    if (!last || placeOf(item.cursor).offset > placeOf(last).offset) last = item.cursor;
  };
  let goesOn = true;
  const end = new AbortController();
  const publishing = Array.from({ length: PUBLISHERS }, (_, publisher) =>
    publish({ ...way, seed, publisher, acknowledge, counts, end: end.signal }, () => goesOn, atEnd));

  const announced = new Announced();
  const tell = ledger(join(folder, 'alerts.ndjson'), atEnd);
  webSocket({ ...way, topic: ALERTS, write: (item) => {
    tell(item);
    if (!item.control) announced.take(item);
  } }, atEnd);
  const sender = new Sender(way, announced, atEnd);
  const sending = sender.run(end.signal);

  const troubles = [1, ENGINE_QUIET].map((factor, index) => new Trouble(randomOf(seed + index), factor * intervalMs));
  const running = [troubles[0].run('node', ofNodes(nodes, gates)), troubles[1].run('engine', ofEngine(engine))];
  await Promise.race([setTimeout(seconds * 1000), ...running]);
  troubles.forEach((trouble) => trouble.stop());
  await Promise.all(running);
  // All is well again: what is published now comes to everybody.
  goesOn = false;
  const deadline = globalThis.setTimeout(() => end.abort(), LAST_ANSWER_MS);
  sender.stop();
  const unpublished = (await Promise.all(publishing)).flat();
  await sending;
  clearTimeout(deadline);
  const hasAll = ({ place }) => place && placeOf(place).epoch === placeOf(last).epoch && placeOf(place).offset >= placeOf(last).offset;
  // Who has not is for the checker to tell.
  await eventually('all followers to have all', () => followers.every(hasAll)).catch(() => {});
  const outcome = await check(folder);
  const opens = Object.fromEntries(followers.map(({ name, opens }, index) => [`${index} ${name}`, opens]));
  const mistakes = [...unpublished, ...announced.end(sender.made), ...outcome.mistakes];
  return { ...outcome, mistakes, alerts: sender.made, refusals: counts.refusals, faults: Object.assign({}, ...troubles.map(({ counts }) => counts)), opens };
}
