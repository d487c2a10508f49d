// Reverse proxies as the documentation sets them up: the files of examples/proxies and of deploy with
// other addresses, and a time of their own for connections that idle.

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
const DEPLOY = new URL('../deploy/', import.meta.url);

/** Where the set-up has put libraries of programs that it has unpacked. */
const environment = {
  ...process.env,
  LD_LIBRARY_PATH: [process.env.TEST_LIBRARIES, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
};

/** What must not outlive this process, whatever ends it. */
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A file of the examples, with each text that stands in it replaced by another. */
export const example = (name, replacements) => replaced(name, EXAMPLES, replacements);

/** The same of a file of deploy. */
export const deployed = (name, replacements) => replaced(name, DEPLOY, replacements);

function replaced(name, folder, replacements) {
  let text = readFileSync(new URL(name, folder), 'utf8');
  for (const [before, after] of replacements) {
    assert.ok(text.includes(before), `${name} has no ${before}`);
    text = text.replaceAll(before, after);
  }
  return text;
}

/** Where a file is the whole configuration of nginx. */
const NGINX_HTTP = /^http \{/m;
/** One process, which writes nothing outside of its folder. */
const NGINX_MAIN = 'daemon off; master_process off; pid nginx.pid; error_log stderr;\n';
const NGINX_OWN = `
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
`;

/** The kinds of proxy: what each is started with, in a folder, and what makes a file its own. */
const KINDS = {
  nginx: {
    version: '-v',
    main: 'nginx.conf',
    wrap: (text) => (NGINX_HTTP.test(text) ? `${NGINX_MAIN}${text.replace(NGINX_HTTP, (begin) => `${begin}${NGINX_OWN}`)}`
      : `${NGINX_MAIN} events {}\nhttp {${NGINX_OWN}${text}}`),
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

/** Starts a proxy and waits until it takes connections; `atEnd` gets what ends it. Gives what tells all that it has said. */
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
  const said = () => Buffer.concat(output).toString();
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await takesConnections(port))) {
    assert.equal(child.exitCode, null, `${name} has ended:\n${said()}`);
    assert.ok(Date.now() < deadline, `${name} does not listen:\n${said()}`);
    await setTimeout(20);
  }
  return said;
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
