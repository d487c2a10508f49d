// A server for one test: fresh, on a port of its own, and gone when the test is over.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync, writeFileSync, writeSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { HAS_OPENSSL, makeCertificate } from '../certificate.mjs';
import { PushService } from '../push_service.mjs';
import { Server } from '../server.mjs';

/** The program that is tested. */
export const BINARY = process.env.BELLWIRE_BIN ?? '../../target/debug/bellwire';

/** Bounds how long a broken build can hang; nothing is measured against it. */
const PATIENCE_MS = 60_000;

/** A test waits several times; what it waits for explains more than the test's own end. */
const TEST_PATIENCE_MS = 5 * PATIENCE_MS;

/** How often a condition is looked at. */
const LOOK_INTERVAL_MS = 20;

/** A disk that a test may fill. */
const SMALL_DISK = '16m';

/** What must not outlive this process, whatever ends it. */
const servers = new Set();
process.on('exit', () => servers.forEach((server) => server.kill()));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/**
 * A test with a server. The body gets `atEnd`, which takes what closes what it has opened: that is
 * done before the server ends, newest first, and when the test runs out of time, too.
 */
export function proves(name, body) {
  provesWith(name, () => ({ flags: [] }), body);
}

/**
 * A test with a server that has these flags. The body also gets `startAnother`, which starts a
 * second one.
 */
export function provesWithFlags(name, flags, body) {
  const prepare = () => ({ flags });
  provesWith(name, prepare, (server, atEnd, { startAnother }) => body(server, atEnd, startAnother));
}

/** A test with a server that these rules are loaded into. */
export function provesWithRules(name, rules, body) {
  const prepare = (folder) => {
    const file = join(folder, 'rules.yml');
    writeFileSync(file, rules);
    return { flags: ['--rules', file] };
  };
  provesWith(name, prepare, body);
}

/** A test with a server that has this configuration. */
export function provesWithConfig(name, text, body) {
  const prepare = (folder) => {
    const file = join(folder, 'bellwire.toml');
    writeFileSync(file, text);
    return { flags: ['--config', file] };
  };
  provesWith(name, prepare, body);
}

/** A test with a server whose configuration is made for it: the body also gets what that gives. */
export function provesWithConfigOf(name, make, body) {
  const prepare = async (folder) => {
    const { text, ...given } = await make();
    const file = join(folder, 'bellwire.toml');
    writeFileSync(file, text);
    return { flags: ['--config', file], ...given };
  };
  provesWith(name, prepare, body);
}

/**
 * A test with a server that asks who somebody is. It has these roles, and for each of `subjects` a
 * key that has some of them: the body gets the keys by subject. Rules are loaded where there are some.
 */
export function provesWithKeys(name, { roles, subjects, rules = null }, body) {
  const prepare = (folder) => {
    const { text, keys } = keysOf(subjects);
    const file = join(folder, 'bellwire.toml');
    writeFileSync(file, `${roles}${text}`);
    const flags = ['--config', file];
    if (rules) {
      const file = join(folder, 'rules.yml');
      writeFileSync(file, rules);
      flags.push('--rules', file);
    }
    return { flags, keys };
  };
  provesWith(name, prepare, (server, atEnd, { keys }) => body(server, atEnd, keys));
}

/** A key for each subject, with its roles: what the configuration has of them, and the keys. */
function keysOf(subjects) {
  const keys = {};
  let text = '';
  for (const [subject, names] of Object.entries(subjects)) {
    const flags = names.flatMap((role) => ['--role', role]);
    const made = execFileSync(BINARY, ['key', 'make', '--subject', subject, ...flags]).toString();
    // The key, and what the configuration needs of it.
    keys[subject] = made.slice(0, made.indexOf('\n'));
    text += `\n${made.slice(made.indexOf('\n'))}`;
  }
  return { text, keys };
}

/**
 * A test with a server and a push service that it trusts, which serves as `service` answers. Without
 * `roles` the server asks nobody who they are; the body gets the push service, and keys by subject.
 */
export function provesWithPushService(name, { roles = '', subjects = {} }, body) {
  if (!HAS_OPENSSL) {
    console.error(`SKIPPED: there is no openssl on this machine: ${name}`);
    test(name, { skip: 'there is no openssl' }, () => {});
    return;
  }
  const prepare = async (folder) => {
    const { certificate, key } = makeCertificate(folder);
    const service = await PushService.start({ certificate, key });
    const { text, keys } = keysOf(subjects);
    const file = join(folder, 'bellwire.toml');
    writeFileSync(file, `push_networks_allowed = ["loopback"]\n${roles}${text}`);
    const flags = ['--config', file];
    return { flags, environment: { SSL_CERT_FILE: certificate }, service, keys, close: () => service.end() };
  };
  provesWith(name, prepare, body);
}

/** A test with a server that speaks TLS. The body also gets the path of its certificate. */
export function provesOverTls(name, body) {
  const withCertificate = (server, atEnd, { certificate }) => body(server, atEnd, certificate);
  if (HAS_OPENSSL) return provesWith(name, makeCertificate, withCertificate);
  console.error(`SKIPPED: there is no openssl on this machine: ${name}`);
  test(name, { skip: 'there is no openssl' }, () => {});
}

/**
 * A test with a server that these rules are loaded into, and whose data is on a disk of its own. The
 * body also gets the disk: `fill` leaves no room on it, `empty` gives that back.
 */
export function provesOnSmallDisk(name, rules, body) {
  if (!mayMount()) {
    console.error(`SKIPPED: this process may not mount a disk: ${name}`);
    test(name, { skip: 'no disk can be mounted' }, () => {});
    return;
  }
  const prepare = (folder) => {
    const file = join(folder, 'rules.yml');
    writeFileSync(file, rules);
    const place = join(folder, 'journal');
    mkdirSync(place);
    mount(place);
    const ballast = join(place, 'ballast');
    const disk = { fill: () => fill(ballast), empty: () => rmSync(ballast, { force: true }) };
    return { flags: ['--rules', file], disk, close: () => execFileSync('umount', ['-l', place]) };
  };
  provesWith(name, prepare, (server, atEnd, { disk }) => body(server, atEnd, disk));
}

function mount(place) {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK}`, 'tmpfs', place], { stdio: 'pipe' });
}

function mayMount() {
  const place = mkdtempSync(join(tmpdir(), 'bellwire-disk-'));
  try {
    mount(place);
    execFileSync('umount', ['-l', place]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(place);
  }
}

/** Writes until there is no room. */
function fill(path) {
  const file = openSync(path, 'a');
  try {
    for (const size of [65_536, 4_096, 1]) {
      try {
        for (;;) writeSync(file, Buffer.alloc(size));
      } catch (error) {
        assert.equal(error.code, 'ENOSPC');
      }
    }
  } finally {
    closeSync(file);
  }
}

function provesWith(name, prepare, body) {
  test(name, { timeout: TEST_PATIENCE_MS }, async (t) => {
    const data = await mkdtemp(join(tmpdir(), 'bellwire-clients-'));
    const { flags, environment, close = () => {}, ...given } = await prepare(data);
    const closings = [() => rm(data, { recursive: true, force: true }), close];
    const make = (folder) => {
      const server = new Server(BINARY, 'serve', join(data, folder), flags, environment);
      servers.add(server);
      closings.push(() => server.end('SIGKILL'));
      return server;
    };
    const server = make('journal');
    const startAnother = async () => {
      const another = make('another');
      await another.start();
      return another;
    };
    let passed = false;
    t.after(async () => {
      if (!passed) console.error(`--- server\n${server.output}`);
      for (const close of closings.reverse()) await close();
    });
    await server.start();
    await server.whileRunning(body(server, (close) => closings.push(close), { ...given, startAnother }));
    passed = true;
  });
}

/** Publishes a counter, one acknowledged event after the other, as whoever has the key. */
export async function publish(server, topic, counts, key = null) {
  const shown = key ? { authorization: `Bearer ${key}` } : {};
  for (const count of counts) {
    const response = await fetch(`${server.url}/v1/topics/${topic}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...shown },
      body: JSON.stringify({ count }),
    });
    assert.equal(response.status, 201, await response.text());
  }
}

/** Waits until `look` finds something, and gives it; says what was awaited if that never comes. */
export async function eventually(what, look) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await setTimeout(LOOK_INTERVAL_MS);
  }
}

export function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
