// The real binary as a child process: started, killed, and started again on the same port.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { freePort } from './port.mjs';

/** How much of the server's output is kept to explain a failure. */
const OUTPUT_LINES_MAX = 200;

/** Free of this machine's configuration of Bellwire, and of what tests are told. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('BELLWIRE_')),
);

/** One process at a time of `bellwire`, over one data directory. */
export class Server {
  #binary;
  #command;
  #environment;
  #child = null;
  #died = new Promise(() => {});
  #output = [];
  url = null;

  /**
   * `command` is what to run, such as `serve`; it gets the data directory and the address.
   * `environment` has variables beside those of this process.
   */
  constructor(binary, command, data, flags = [], environment = {}) {
    this.#binary = binary;
    this.#environment = { ...ENVIRONMENT, ...environment };
    this.data = data;
    this.#command = [command, '--data', data, ...flags];
  }

  /** What all processes so far have printed, newest last. */
  get output() {
    return this.#output.join('\n');
  }

  /** Starts the binary and waits until it listens. A second start takes the port of the first. */
  async start() {
    // One that the system gives out could be somebody else's by the second start.
    const listen = this.url ? new URL(this.url).host : `127.0.0.1:${await freePort()}`;
    const child = spawn(this.#binary, [...this.#command, '--listen', listen], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#died = new Promise((_, reject) => {
      child.on('exit', (code, signal) => {
        const isUnexpected = this.#child === child;
        if (isUnexpected) reject(new Error(`the server ended by itself: ${code ?? signal}`));
      });
    });
    // Nobody may be waiting just then.
    this.#died.catch(() => {});
    this.url = await new Promise((resolve, reject) => {
      child.on('error', reject);
      this.#died.catch(reject);
      this.#read(child.stderr, 'stderr');
      this.#read(child.stdout, 'stdout', (line) => {
        const url = line.match(/listening on (https?:\S+)/)?.[1];
        if (url) resolve(url);
      });
    });
  }

  /** Waits for the outcome, but no longer once the server has ended by itself. */
  whileRunning(outcome) {
    return Promise.race([outcome, this.#died]);
  }

  /** Ends the process with the signal and waits until it is gone. */
  async end(signal) {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Sends a signal that does not end it, such as SIGSTOP. */
  signal(name) {
    this.#child.kill(name);
  }

  /** For when this process itself ends and cannot wait. */
  kill() {
    this.#child?.kill('SIGKILL');
  }

  #read(stream, name, onLine = () => {}) {
    createInterface({ input: stream }).on('line', (line) => {
      this.#output.push(`${name}: ${line}`);
      if (this.#output.length > OUTPUT_LINES_MAX) this.#output.shift();
      onLine(line);
    });
  }
}
