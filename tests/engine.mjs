// What nodes of a cluster share: a real server of NATS or Redis that can be killed, and started again
// at the same address.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './port.mjs';

const PATIENCE_MS = 60_000;
const LOOK_INTERVAL_MS = 20;

const PROGRAMS = { nats: process.env.NATS_SERVER_BIN, redis: process.env.REDIS_SERVER_BIN };

/** The first of these kinds whose program is on this machine, or none. */
export const engineOf = (kinds) => kinds.find((kind) => PROGRAMS[kind]);

/** What must not outlive this process, whatever ends it. */
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A server of an engine over a folder, one process at a time. */
export class Engine {
  #kind;
  #folder;
  #settings;
  #who;
  #port;
  #child = null;

  /** `settings` is what a configuration of NATS says, and `who` the user and password that it asks for. */
  constructor(kind, folder, { settings = '', who = '' } = {}) {
    this.#kind = kind;
    this.#folder = folder;
    this.#settings = settings;
    this.#who = who;
  }

  get url() {
    return this.urlAt(this.#port);
  }

  get port() {
    return this.#port;
  }

  /** Where it is reached by what passes on to it at this port. */
  urlAt(port) {
    const who = this.#kind === 'nats' && this.#who ? `${this.#who}@` : '';
    return `${this.#kind}://${who}127.0.0.1:${port}`;
  }

  /** Starts it with what it has kept, and waits until it answers. */
  async start() {
    this.#port ??= await freePort();
    const store = join(this.#folder, 'store');
    mkdirSync(store, { recursive: true });
    const child = spawn(PROGRAMS[this.#kind], this.#kind === 'nats' ? this.#nats(store) : this.#redis(store), {
      env: { ...process.env, LD_LIBRARY_PATH: process.env.TEST_LIBRARIES ?? '' },
      stdio: 'ignore',
    });
    running.add(child);
    this.#child = child;
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await this.#answers())) {
      assert.equal(child.exitCode, null, `${this.#kind} has ended`);
      assert.ok(Date.now() < deadline, `${this.#kind} does not answer`);
      await setTimeout(LOOK_INTERVAL_MS);
    }
  }

  /** Ends it at once, as a crash would. */
  async kill() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    running.delete(child);
  }

  /** Sends a signal that does not end it, such as SIGSTOP. */
  signal(name) {
    this.#child.kill(name);
  }

  #nats(store) {
    const file = join(this.#folder, 'nats.conf');
    const settings = this.#settings || `jetstream { store_dir: "${store}" }`;
    writeFileSync(file, `listen: "127.0.0.1:${this.#port}"\n${settings}`);
    return ['--config', file];
  }

  /** It keeps what it has acknowledged when it is killed. */
  #redis(store) {
    const address = ['--bind', '127.0.0.1', '--port', `${this.#port}`];
    return [...address, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always', '--dir', store];
  }

  /** Whether it speaks, and has loaded what it has kept. */
  async #answers() {
    const socket = connect(this.#port, '127.0.0.1');
    try {
      socket.write('PING\r\n');
      const [said] = await once(socket, 'data');
      return /^(INFO|\+PONG)/.test(said.toString());
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }
}
