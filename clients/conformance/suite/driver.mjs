// A driver under way: what is told to it, and what it tells.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How long a driver may take to begin, and to end: it bounds how long a wrong one hangs. */
const PATIENCE_MS = 60_000;

/** What is told of one `id`. */
export class Told {
  /** All of it, in order. */
  tells = [];

  constructor(id) {
    this.id = id;
  }

  of(tell) {
    return this.tells.filter((told) => told.tell === tell);
  }

  get events() {
    return this.of('event').map(({ event }) => event);
  }

  /** The payloads of its events. */
  get data() {
    return this.events.map(({ data }) => data);
  }

  get controls() {
    return this.of('control').map(({ control }) => control.control);
  }

  /** The error codes of its waits. */
  get waits() {
    return this.of('status').filter(({ status }) => status === 'waiting').map(({ error }) => error?.code);
  }

  /** How often it became live. */
  get lives() {
    return this.of('status').filter(({ status }) => status === 'live').length;
  }

  get closed() {
    return this.of('closed')[0] ?? null;
  }
}

export class Driver {
  #told = new Map();
  #fault = null;
  #ids = 0;

  /** Starts the program and waits for its `hello`. */
  static async start([program, ...args], { patienceMs = PATIENCE_MS } = {}) {
    const driver = new Driver();
    driver.#patienceMs = patienceMs;
    driver.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    driver.child.stdin.on('error', () => {});
    driver.child.on('error', (error) => driver.#fail(`\`${program}\` cannot be started: ${error.message}`));
    driver.child.on('exit', (code, signal) => driver.#fail(`the driver has ended: ${signal ?? `status ${code}`}`));
    const begun = new Promise((resolve) => {
      driver.#onHello = resolve;
      createInterface({ input: driver.child.stdout }).on('line', (line) => driver.#hear(line));
    });
    await driver.#within(begun);
    if (driver.hello) return driver;
    driver.kill();
    throw new Error(driver.#fault ?? 'the driver has told no `hello`');
  }

  #onHello = () => {};
  #patienceMs = PATIENCE_MS;

  get capabilities() {
    return this.hello.capabilities;
  }

  /** Sends a command that something is told of. */
  command(command) {
    const id = `${command.do[0]}${(this.#ids += 1)}`;
    const told = new Told(id);
    this.#told.set(id, told);
    this.send({ ...command, id });
    return told;
  }

  send(command) {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** Throws where the driver is no driver any more. */
  check() {
    if (this.#fault) throw new Error(this.#fault);
  }

  /** Asks it to end; resolves with its status, or the signal that has ended it: `SIGKILL` where it does not. */
  async exit() {
    const { exitCode, signalCode } = this.child;
    if (exitCode !== null || signalCode !== null) return exitCode ?? signalCode;
    const exited = once(this.child, 'exit');
    this.send({ do: 'exit' });
    await this.#within(exited);
    this.kill();
    const [code, signal] = await exited;
    return code ?? signal;
  }

  kill() {
    this.child.kill('SIGKILL');
  }

  /** Waits for something, and no longer than there is patience. */
  async #within(something) {
    let timer;
    const patience = new Promise((resolve) => { timer = setTimeout(resolve, this.#patienceMs); });
    await Promise.race([something, patience]);
    clearTimeout(timer);
  }

  #fail(fault) {
    this.#fault ??= fault;
    this.#onHello();
  }

  #hear(line) {
    let told;
    try {
      told = JSON.parse(line);
    } catch {
      return this.#fail(`the driver has written what is no JSON: ${line.slice(0, 200)}`);
    }
    if (!this.hello) {
      if (told.tell !== 'hello' || !Array.isArray(told.capabilities)) {
        return this.#fail(`the first line is no \`hello\`: ${line.slice(0, 200)}`);
      }
      this.hello = told;
      return this.#onHello();
    }
    const of = this.#told.get(told.id);
    if (!of) return this.#fail(`the driver tells of an id that nobody has given: ${line.slice(0, 200)}`);
    if (of.closed) return this.#fail(`the driver tells of what is closed: ${line.slice(0, 200)}`);
    of.tells.push({ ...told, at: Date.now() });
  }
}
