// The built package in Deno and Bun: followed over each transport, published, and met again after a
// kill of the server.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, proves } from '../../../tests/clients/bellwire.mjs';
import { Client } from '../dist/index.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NAMES = ['sse', 'websocket', 'poll'];

/** Where the package of a system has the program: no script of its own is run that would put it elsewhere. */
const RUNTIMES = {
  Deno: { scope: '@deno', program: 'deno', flags: ['run', '--no-lock', '--node-modules-dir=manual', '--allow-net', '--allow-read', '--allow-env'] },
  Bun: { scope: '@oven', program: 'bin/bun', flags: ['--no-install'] },
};

function find({ scope, program }) {
  const folder = `${ROOT}node_modules/${scope}`;
  const packages = existsSync(folder) ? readdirSync(folder) : [];
  return packages.map((name) => `${folder}/${name}/${program}`).find(existsSync);
}

/** The program in a folder of its own, which has the package as others have it that have installed it. */
function install(name, atEnd) {
  const folder = `${ROOT}dist/${name}`;
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(`${folder}/node_modules/@bellwire`, { recursive: true });
  symlinkSync(ROOT, `${folder}/node_modules/@bellwire/client`);
  copyFileSync(`${ROOT}tests/runtime.mjs`, `${folder}/runtime.mjs`);
  return folder;
}

for (const [name, runtime] of Object.entries(RUNTIMES)) {
  const what = `${name} follows and publishes over each transport, and comes back after a kill`;
  const path = find(runtime);
  if (!path) {
    console.error(`SKIPPED: there is no ${name} for this system: ${what}`);
    test(what, { skip: `there is no ${name}` }, () => {});
    continue;
  }
  proves(what, async (server, atEnd) => {
    const folder = install(name.toLowerCase(), atEnd);
    const child = spawn(path, [...runtime.flags, `${folder}/runtime.mjs`, server.url], {
      cwd: folder, env: { ...process.env, HOME: folder, DENO_DIR: `${folder}/cache`, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    atEnd(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { said += text; });
    const says = (data) => eventually(`${data}, but it says: ${said}`, () => {
      assert.equal(child.exitCode, null, said);
      return NAMES.every((name) => said.includes(`${name} ${data}\n`));
    });
    await says('first');
    await server.end('SIGKILL');
    await server.start();
    const client = new Client(server.url);
    atEnd(() => client.close());
    for (const name of NAMES) await client.publish(`lab/${name}`, 'last');
    const [code] = await ended;
    assert.equal(code, 0, said);
    const lines = said.trim().split('\n');
    assert.equal(lines.shift(), 'required function', said);
    assert.deepEqual(lines.sort(), NAMES.flatMap((name) => [`${name} first`, `${name} last`]).sort());
  });
}
