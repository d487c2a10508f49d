// Reverse proxies as the documentation sets them up: the files of examples/proxies with other
// addresses, and a time of their own for connections that idle.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

const PATIENCE_MS = 60_000;
const EXAMPLES = new URL('../examples/proxies/', import.meta.url);

/** Where the set-up has put libraries of programs that it has unpacked. */
const environment = {
  ...process.env,
  LD_LIBRARY_PATH: [process.env.TEST_LIBRARIES, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
};

/** What must not outlive this process, whatever ends it. */
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A file of the examples, with each text that stands in it replaced by another. */
export function example(name, replacements) {
  let text = readFileSync(new URL(name, EXAMPLES), 'utf8');
  for (const [before, after] of replacements) {
    assert.ok(text.includes(before), `${name} has no ${before}`);
    text = text.replaceAll(before, after);
  }
  return text;
}

/** The kinds of proxy: what each is started with, in a folder, and what makes a file its own. */
const KINDS = {
  nginx: {
    version: '-v',
    main: 'nginx.conf',
    // One process, which writes nothing outside of its folder.
    wrap: (text) => `
      daemon off; master_process off; pid nginx.pid; error_log stderr;
      events {}
      http {
        access_log off;
        client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
        uwsgi_temp_path uwsgi; scgi_temp_path scgi;
        ${text}
      }`,
    flags: (folder, file) => ['-e', 'stderr', '-p', folder, '-c', file],
  },
  haproxy: {
    version: '-v',
    main: 'haproxy.cfg',
    wrap: (text) => text,
    flags: (_, file) => ['-db', '-f', file],
  },
  caddy: {
    version: 'version',
    main: 'Caddyfile',
    wrap: (text) => `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${text}`,
    flags: (_, file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
};

const program = (name) => process.env[`${name.toUpperCase()}_BIN`] ?? name;

/** Whether there is such a proxy on this machine. */
export const hasProxy = (name) =>
  !spawnSync(program(name), [KINDS[name].version], { env: environment }).error;

/** Starts a proxy and waits until it takes connections; `atEnd` gets what ends it. */
export async function startProxy(name, text, port, atEnd) {
  const { main, wrap, flags } = KINDS[name];
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-proxy-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, main);
  writeFileSync(file, wrap(text));
  const child = spawn(program(name), flags(folder, file), {
    env: { ...environment, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => output.push(data));
  const ended = once(child, 'exit');
  atEnd(async () => {
    child.kill('SIGKILL');
    await ended;
    running.delete(child);
  });
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await takesConnections(port))) {
    const said = Buffer.concat(output).toString();
    assert.equal(child.exitCode, null, `${name} has ended:\n${said}`);
    assert.ok(Date.now() < deadline, `${name} does not listen:\n${said}`);
    await setTimeout(20);
  }
}

async function takesConnections(port) {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
