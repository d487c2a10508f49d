// What the files of deploy say of each other, of the server and of the proxies, as far as that can be
// seen without Docker, Kubernetes and systemd.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { deployed } from '../proxy.mjs';
import { BINARY, proves } from './bellwire.mjs';
import { COMPOSE, NAMES } from './deployment.mjs';

const NODES = Object.entries(COMPOSE.services).filter(([name]) => name.startsWith('bellwire-'));
const DOCUMENTS = parseAllDocuments(deployed('kubernetes.yaml', []));
const objectsOf = (kind) => DOCUMENTS.map((document) => document.toJS()).filter((object) => object.kind === kind);
const [STATEFUL_SET] = objectsOf('StatefulSet');
const POD = STATEFUL_SET.spec.template.spec;
const [CONTAINER] = POD.containers;
const LIMITS = readFileSync(new URL('../../crates/model/src/limits.rs', import.meta.url), 'utf8');

/** A duration of the server's limits, in seconds. */
const seconds = (name) => {
  const [, unit, number] = LIMITS.match(new RegExp(`${name}: Duration = Duration::from_(millis|secs|mins)\\(([\\d_]+)\\)`));
  return Number(number.replaceAll('_', '')) * { millis: 0.001, secs: 1, mins: 60 }[unit];
};
/** A number of bytes of the server's limits, where it stands as a product. */
const bytes = (name) => {
  const [, product] = LIMITS.match(new RegExp(`${name}: u64 = ([\\d *]+);`));
  return product.split('*').reduce((all, factor) => all * Number(factor), 1);
};
const GIB = 1024 ** 3;
/** What a volume has room for twice, the journal and a copy of it, and something to spare. */
const journalOf = (volume) => (volume - bytes('SNAPSHOT_SPACE_KEPT')) / 2;
/**
 * How long a node that gets on may take to start: it finds the engine and another node, which makes a
 * snapshot and sends it as slowly as it may, or nobody has one until what it lacks is given up, catches up, and
 * learns who keeps the desk.
 */
const startOf = (journal) =>
  ['CLUSTER_CONNECT', 'SNAPSHOT_PEERS', 'SNAPSHOT_MADE', 'SNAPSHOT_SENT', 'CLUSTER_BASE', 'CLUSTER_START', 'CLUSTER_ROLE']
    .reduce((sum, name) => sum + seconds(`${name}_PATIENCE`), journal / bytes('SNAPSHOT_BYTES_PER_SECOND_MIN'));
/** How long a drain takes at most: requests, sensors and the runtime have this time each. */
const DRAIN_S = 3 * seconds('DRAIN_TIMEOUT');

proves('paths that probes and proxies ask for are the server’s, and say that it is well', async (server) => {
  const { startupProbe, readinessProbe, livenessProbe } = CONTAINER;
  const probes = [startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.path);
  const [dockerfile] = deployed('Dockerfile', []).match(/(?<=HEALTHCHECK .*8080)\/\w+/);
  const haproxy = [...deployed('haproxy.cfg', []).matchAll(/httpchk GET (\S+)/g)].map(([, path]) => path);
  const [, caddy] = deployed('Caddyfile', []).match(/health_uri (\S+)/);
  assert.deepEqual([...probes, dockerfile, ...haproxy, caddy], [
    '/healthz', '/readyz', '/healthz', '/healthz', '/readyz', '/healthz', '/readyz',
  ]);
  for (const path of ['/healthz', '/readyz']) assert.equal((await fetch(`${server.url}${path}`)).status, 200);
});

test('variables are settings, with values that the server takes', (t) => {
  const ofPod = Object.fromEntries(CONTAINER.env.map(({ name, value }) => [name, value]));
  const [, line] = deployed('Dockerfile', []).match(/^ENV (BELLWIRE_LISTEN.*)$/m);
  const ofImage = Object.fromEntries(line.split(' ').map((pair) => pair.split('=')));
  const config = join(mkdtempSync(join(tmpdir(), 'bellwire-check-')), 'empty.toml');
  writeFileSync(config, '');
  t.after(() => rmSync(dirname(config), { recursive: true }));
  const told = [...NODES.map(([, { environment }]) => environment), { ...ofPod, ...objectsOf('Secret')[0].stringData }];
  // No misspelt name passes, nor a value that is none.
  for (const { BELLWIRE_CLUSTER: engine, ...others } of told) {
    const environment = { ...ofImage, ...others, BELLWIRE_CLUSTER: engine.replace(/\$\{NATS_PASSWORD:[^}]*\}/, 'secret') };
    const { stdout, stderr } = spawnSync(BINARY, ['check', '--config', config], { env: environment, encoding: 'utf8' });
    assert.equal(`${stderr}${stdout}`, '0 rules, 0 errors\n');
  }
});

test('the nodes of compose.yaml are those that proxies name, and differ in nothing but their data', () => {
  const names = NODES.map(([name]) => name);
  assert.deepEqual(names, NAMES);
  for (const [file, pattern] of [
    ['haproxy.cfg', /^ {4}server \w (\S+):8080$/gm],
    ['nginx.conf', /^ {8}server (\S+):8080 /gm],
    ['Caddyfile', /(?<= )(bellwire-\w+):8080/g],
  ]) {
    const named = [...deployed(file, []).matchAll(pattern)].map(([, name]) => name);
    assert.deepEqual(named, file === 'haproxy.cfg' ? [...names, ...names] : names, file);
  }
  const volumes = NODES.flatMap(([, { volumes }]) => volumes);
  assert.equal(new Set(volumes).size, names.length);
  assert.ok(volumes.every((volume) => volume.endsWith(':/data')));
  const alike = NODES.map(([, { volumes, ...node }]) => node);
  alike.forEach((node) => assert.deepEqual(node, alike[0]));
  // All that is mounted is declared.
  const services = Object.values(COMPOSE.services);
  const mounted = services.flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0]));
  assert.deepEqual(mounted.sort(), Object.keys(COMPOSE.volumes).sort());
  const given = services.flatMap(({ configs = [] }) => configs.map(({ source }) => source));
  assert.deepEqual(given.sort(), Object.keys(COMPOSE.configs).sort());
});

test('nodes of compose.yaml have their network’s proxies and the names that proxies give them', () => {
  const [{ environment }] = NODES.map(([, node]) => node);
  const [{ subnet }] = COMPOSE.networks.default.ipam.config;
  assert.equal(environment.BELLWIRE_TRUSTED_PROXIES, subnet);
  assert.deepEqual(environment.BELLWIRE_HOSTS.split(','), ['bellwire.example', ...NODES.map(([name]) => name)]);
  for (const secret of [environment.BELLWIRE_CLUSTER, COMPOSE.services.nats.environment.NATS_PASSWORD]) {
    assert.match(secret, /\$\{NATS_PASSWORD:\?is not set\}/);
  }
  // Who is not asked who he is, comes from this machine alone.
  COMPOSE.services.haproxy.ports.forEach((port) => assert.match(port, /^127\.0\.0\.1:\d+:443$/));
});

test('ports, labels and volumes of the Kubernetes objects fit each other', () => {
  DOCUMENTS.forEach(({ errors }) => assert.deepEqual(errors, []));
  const labels = STATEFUL_SET.spec.template.metadata.labels;
  const [clients, nodes] = objectsOf('Service');
  assert.equal(STATEFUL_SET.spec.serviceName, nodes.metadata.name);
  assert.equal(nodes.spec.clusterIP, 'None');
  assert.equal(clients.spec.sessionAffinity, undefined);
  const [port] = CONTAINER.ports;
  const dockerfile = deployed('Dockerfile', []);
  assert.ok(dockerfile.includes(`EXPOSE ${port.containerPort}\n`) && dockerfile.includes(`BELLWIRE_LISTEN=0.0.0.0:${port.containerPort} `));
  for (const { spec } of objectsOf('Service')) {
    assert.deepEqual(spec.selector, labels);
    assert.deepEqual(spec.ports.map(({ targetPort }) => targetPort), [port.name]);
  }
  for (const { matchLabels } of [
    STATEFUL_SET.spec.selector, objectsOf('PodDisruptionBudget')[0].spec.selector,
    POD.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector,
  ]) assert.deepEqual(matchLabels, labels);
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) assert.equal(CONTAINER[probe].httpGet.port, port.name);
  const claims = STATEFUL_SET.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name);
  assert.deepEqual(CONTAINER.volumeMounts.map(({ name }) => name), claims);
  assert.ok(dockerfile.includes(` BELLWIRE_DATA=${CONTAINER.volumeMounts[0].mountPath}\n`));
  assert.equal(CONTAINER.envFrom[0].secretRef.name, objectsOf('Secret')[0].metadata.name);
  // A Service's name would be in variables that the server takes for misspelt settings.
  assert.equal(POD.enableServiceLinks, false);
});

test('a start has the time to catch up, and an end the time to drain', () => {
  const [{ spec: { resources } }] = STATEFUL_SET.spec.volumeClaimTemplates;
  const [, volume] = resources.requests.storage.match(/^(\d+)Gi$/);
  const start = startOf(journalOf(Number(volume) * GIB));
  // A node that runs may begin anew, too.
  for (const probe of ['startupProbe', 'livenessProbe']) {
    const { periodSeconds, failureThreshold } = CONTAINER[probe];
    assert.ok(periodSeconds * failureThreshold > start, `${probe} waits for ${periodSeconds * failureThreshold} s, a start takes ${start} s`);
  }
  const [, period] = deployed('Dockerfile', []).match(/--start-period=(\d+)m/);
  assert.ok(Number(period) * 60 > start);
  const { preStop } = CONTAINER.lifecycle;
  assert.ok(POD.terminationGracePeriodSeconds >= DRAIN_S + preStop.sleep.seconds);
  const [, stop] = deployed('bellwire.service', []).match(/^TimeoutStopSec=(\d+)$/m);
  assert.ok(Number(stop) >= DRAIN_S);
  for (const [, node] of NODES) assert.ok(parseInt(node.stop_grace_period, 10) >= DRAIN_S);
});

test('proxies wait longer than a heartbeat takes', () => {
  const heartbeat = seconds('HEARTBEAT_INTERVAL');
  for (const [file, pattern, count] of [
    ['haproxy.cfg', /timeout (?:client|server|tunnel) +(\d+)s/g, 3],
    ['nginx.conf', /proxy_read_timeout (\d+)s/g, 1],
  ]) {
    const waits = [...deployed(file, []).matchAll(pattern)].map(([, wait]) => Number(wait));
    assert.equal(waits.length, count, file);
    assert.ok(waits.every((wait) => wait > 2 * heartbeat), file);
  }
});

test('containers are not root, and write nothing but their data', () => {
  const [, user] = deployed('Dockerfile', []).match(/^USER (\d+)$/m);
  assert.ok(Number(user) > 0);
  assert.deepEqual([POD.securityContext.runAsNonRoot, POD.securityContext.runAsUser, POD.securityContext.fsGroup], [true, Number(user), Number(user)]);
  assert.equal(CONTAINER.securityContext.readOnlyRootFilesystem, true);
  assert.match(deployed('Dockerfile', []), /^ENV SQLITE_TMPDIR=\/data$/m);
  NODES.forEach(([, node]) => assert.equal(node.read_only, true));
});

test('kernel settings are settings of a kernel', () => {
  const lines = deployed('sysctl.conf', []).split('\n').filter((line) => line && !line.startsWith('#'));
  assert.ok(lines.length >= 5);
  for (const line of lines) {
    const [, optional, key, value] = line.match(/^(-?)([a-z0-9._]+) = ([\d ]+)$/);
    let current;
    try {
      current = readFileSync(`/proc/sys/${key.replaceAll('.', '/')}`, 'utf8').trim();
    } catch (error) {
      assert.ok(optional || error.code !== 'ENOENT', key);
      continue;
    }
    assert.equal(current.split(/\s+/).length, value.split(' ').length, key);
  }
});

test('what the README says of settings and sizes is so', (t) => {
  const readme = deployed('README.md', []);
  const [, settings] = readme.match(/```toml\n(.*?)```/s);
  const config = join(mkdtempSync(join(tmpdir(), 'bellwire-check-')), 'bellwire.toml');
  t.after(() => rmSync(dirname(config), { recursive: true }));
  writeFileSync(config, `insecure = true\n${settings}`);
  const { stdout, stderr } = spawnSync(BINARY, ['check', '--config', config], { env: {}, encoding: 'utf8' });
  assert.equal(`${stderr}${stdout}`, '0 rules, 0 errors\n');
  const [, buffer] = deployed('haproxy.cfg', []).match(/^ +tune\.bufsize (\d+)$/m);
  assert.ok(readme.includes(`\`Idempotency-Key\` and up to ${buffer / 1024} kB |`));
  const [{ spec: { resources } }] = STATEFUL_SET.spec.volumeClaimTemplates;
  assert.ok(readme.includes(`a volume of ${parseInt(resources.requests.storage, 10)} GiB`));
  // A credential is found under the name that the unit gives it.
  const unit = deployed('bellwire.service', []);
  const given = [...unit.matchAll(/^#LoadCredential=(\S+):\//gm)].map(([, name]) => name);
  const used = [...unit.matchAll(/"\/run\/credentials\/bellwire\.service\/(\S+)"/g)].map(([, name]) => name);
  assert.ok(given.length > 0);
  assert.deepEqual(used, given);
});

test('the folder’s README names each of its files', () => {
  const readme = deployed('README.md', []);
  const files = readdirSync(new URL('../../deploy/', import.meta.url)).filter((name) => name !== 'README.md' && !name.endsWith('.dockerignore'));
  for (const name of files) assert.ok(readme.includes(`](${name})`), name);
});
