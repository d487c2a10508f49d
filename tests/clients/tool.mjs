// Programs of others that tests run: where they are, and what they print.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { proves } from './bellwire.mjs';

/** A program, by the variable that names it or of the `PATH`. */
export class Tool {
  #path;
  #environment;

  /** `environment` is what it needs of it beside this process's own. */
  constructor(name, variable, environment = {}) {
    this.name = name;
    this.#path = process.env[variable] ?? name;
    this.#environment = environment;
  }

  /** That of a process that begins now. */
  get #env() {
    return { ...process.env, ...this.#environment };
  }

  get path() {
    return this.#path;
  }

  get isThere() {
    return !spawnSync(this.#path, ['--version']).error;
  }

  /** A test with a server that `how` starts, said to be skipped where the program is not there. */
  proves(name, body, how = proves) {
    if (this.isThere) return how(name, body);
    console.error(`SKIPPED: there is no ${this.name} on this machine: ${name}`);
    test(name, { skip: `there is no ${this.name}` }, () => {});
  }

  /** Runs it to its end; gives what it has printed. */
  async run(flags, input = '') {
    const running = promisify(execFile)(this.#path, flags, { env: this.#env });
    // It may end without having read any.
    running.child.stdin.on('error', () => {});
    running.child.stdin.end(input);
    return (await running).stdout;
  }

  /** Runs it; gives what it says as it fails. */
  async fails(flags) {
    const error = await this.run(flags).then(
      (output) => assert.fail(`it did not fail: ${output}`),
      (error) => error,
    );
    return error.stderr;
  }

  /** Starts it, to end with the test. */
  start(flags, atEnd) {
    const child = spawn(this.#path, flags, { stdio: ['ignore', 'pipe', 'pipe'], env: this.#env });
    const output = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => output.push(data));
    const ended = once(child, 'exit');
    atEnd(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    return { child, output: () => Buffer.concat(output).toString() };
  }
}
