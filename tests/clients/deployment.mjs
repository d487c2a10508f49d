// Nodes as the files of deploy set them up, with other addresses and certificates: with what
// compose.yaml tells them, over a real engine, and a proxy before them.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { HAS_OPENSSL, makeCertificate } from '../certificate.mjs';
import { Engine, engineOf } from '../engine.mjs';
import { freePort } from '../port.mjs';
import { deployed, hasProxy, startProxy } from '../proxy.mjs';
import { Server } from '../server.mjs';
import { BINARY } from './bellwire.mjs';

/** What the proxies' files call nodes. */
export const NAMES = ['bellwire-a', 'bellwire-b', 'bellwire-c'];
export const COMPOSE = parse(deployed('compose.yaml', []), { merge: true });
const PASSWORD = 'a-password-of-tests';

/** The nodes', and what proxies wait for in place of 90 s: several times as long. */
const HEARTBEAT = ['--heartbeat-interval', '700ms'];
const IDLE_TIMEOUT = '4s';

/** Each proxy's file. */
const FILES = {
  haproxy: (port, nodes, { both, plainPort }) => deployed('haproxy.cfg', [
    ...nodes,
    ['bind :443 ', `${plainPort ? `bind 127.0.0.1:${plainPort}\n    ` : ''}bind 127.0.0.1:${port} `],
    ['/etc/bellwire/bellwire.pem', both],
    ['90s', IDLE_TIMEOUT],
  ]),
  nginx: (port, nodes, { certificate, key }) => deployed('nginx.conf', [
    ...nodes,
    ['listen 443 ', `listen 127.0.0.1:${port} `],
    ['bellwire.example', 'localhost'],
    ['/etc/bellwire/certificate.pem', certificate],
    ['/etc/bellwire/key.pem', key],
    ['90s', IDLE_TIMEOUT],
  ]),
  caddy: (port, nodes, { certificate, key }) => deployed('Caddyfile', [
    ...nodes,
    ['bellwire.example', `https://localhost:${port}`],
    ['/etc/bellwire/certificate.pem', certificate],
    ['/etc/bellwire/key.pem', key],
  ]),
};

/** What of it is not on this machine, or nothing. */
export const missingOf = (proxy, kinds) =>
  !hasProxy(proxy) ? proxy : !HAS_OPENSSL ? 'openssl' : !engineOf(kinds) ? 'engine' : null;

/** What a node is told by compose.yaml, but for what a test has otherwise. */
function environmentOf(url) {
  const told = COMPOSE.services['bellwire-a'].environment;
  assert.match(told.BELLWIRE_CLUSTER, /^nats:\/\/bellwire:\$\{NATS_PASSWORD:[^}]*\}@nats:4222$/);
  return { ...told, BELLWIRE_CLUSTER: url, BELLWIRE_TRUSTED_PROXIES: '127.0.0.1' };
}

/** What compose.yaml tells NATS, but for what a test has otherwise. */
async function settingsOf(folder) {
  const text = COMPOSE.configs.nats.content;
  const replaced = text.replace('8222', await freePort()).replace('/store', join(folder, 'store')).replace('$$NATS_PASSWORD', PASSWORD);
  assert.doesNotMatch(replaced, /\$|8222|: \/store/);
  return replaced;
}

/** A folder of its own, until the end. */
export function folderOf(atEnd) {
  const folder = mkdtempSync(join(tmpdir(), 'bellwire-deploy-'));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Starts a proxy with its file before the nodes at these addresses, a `host:port` each; where they are
 * fewer than the file has, the last one stands for the others. With `plainPort` HAProxy takes
 * connections without TLS there, too.
 */
export async function startBefore(addresses, { proxy, plainPort = null }, atEnd) {
  const folder = folderOf(atEnd);
  const { certificate } = makeCertificate(folder);
  const [key, both, port] = [join(folder, 'key.pem'), join(folder, 'both.pem'), await freePort()];
  const trust = readFileSync(certificate, 'utf8');
  writeFileSync(both, trust + readFileSync(key, 'utf8'));
  const places = NAMES.map((name, index) => [`${name}:8080`, addresses[index] ?? addresses.at(-1)]);
  const said = await startProxy(proxy, FILES[proxy](port, places, { certificate, key, both, plainPort }), port, atEnd);
  return { said, certificate, trust, url: `https://localhost:${port}` };
}

/**
 * Starts all of it: a node for each name, and the proxy before them, as `startBefore` does. `reaches`
 * says where each node finds the engine, by its place.
 */
export async function deploy({ proxy, kind, names = NAMES, flags = [], plainPort = null, reaches = ({ url }) => url }, atEnd) {
  const folder = folderOf(atEnd);
  const engine = new Engine(kind, folder, { settings: await settingsOf(folder), who: `bellwire:${PASSWORD}` });
  atEnd(() => engine.kill());
  await engine.start();
  const nodes = await Promise.all(names.map(async (name, index) => {
    const environment = environmentOf(await reaches(engine, index));
    return new Server(BINARY, 'serve', join(folder, name), [...HEARTBEAT, ...flags], environment);
  }));
  nodes.forEach((node) => atEnd(() => node.end('SIGKILL')));
  await Promise.all(nodes.map((node) => node.start()));
  const before = await startBefore(nodes.map(({ url }) => new URL(url).host), { proxy, plainPort }, atEnd);
  return { engine, nodes, ...before };
}
