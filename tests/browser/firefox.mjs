// Firefox as it is installed, over WebDriver BiDi: the driver of the other tests only drives builds of
// its own. What a page is asked for has the names that it has there.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { PATIENCE_MS } from './setting.mjs';

const FIREFOX = process.env.FIREFOX_ESR_BIN ?? 'firefox-esr';

/** Where the set-up has put libraries of programs that it has unpacked. */
const environment = {
  ...process.env,
  LD_LIBRARY_PATH: [process.env.TEST_LIBRARIES, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
};

/** Its windows are private, as those of the other browser here are; it asks nobody but the page's server. */
const PREFERENCES = {
  'browser.privatebrowsing.autostart': true,
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.safebrowsing.update.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.server': 'data:,',
};

/** How often a page is asked whether it is so. */
const LOOK_INTERVAL_MS = 20;

export const HAS_FIREFOX = !spawnSync(FIREFOX, ['--version'], { env: environment }).error;

/** Starts it, with a profile of its own. */
export async function launchFirefox() {
  const profile = await mkdtemp(join(tmpdir(), 'bellwire-firefox-'));
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
  await writeFile(join(profile, 'user.js'), lines.join('\n'));
  const flags = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
  const child = spawn(FIREFOX, flags, { env: { ...environment, HOME: profile }, stdio: ['ignore', 'ignore', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'exit');
  const close = async () => {
    kill();
    await ended;
    process.off('exit', kill);
    await rm(profile, { recursive: true, force: true });
  };
  const address = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`Firefox has ended: ${code}`)));
    createInterface({ input: child.stderr }).on('line', (line) => {
      const found = line.match(/WebDriver BiDi listening on (\S+)/)?.[1];
      if (found) resolve(found);
    });
  });
  const session = await Session.open(`${address}/session`);
  const { capabilities } = await session.ask('session.new', { capabilities: {} });
  await session.ask('session.subscribe', { events: ['log.entryAdded'] });
  return { version: () => capabilities.browserVersion, newPage: () => Page.open(session), close };
}

/** Questions and their answers, and what comes unasked. */
class Session {
  #socket;
  #asked = new Map();
  #count = 0;
  #listeners = new Set();

  static async open(address) {
    const socket = new WebSocket(address, { maxPayload: 0 });
    await once(socket, 'open');
    return new Session(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on('message', (text) => this.#take(JSON.parse(text)));
    socket.on('close', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('Firefox is gone'));
    });
  }

  ask(method, params) {
    const id = (this.#count += 1);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  listen(listener) {
    this.#listeners.add(listener);
  }

  #take({ type, id, result, error, message, method, params }) {
    if (type === 'event') {
      for (const listener of this.#listeners) listener(method, params);
      return;
    }
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (type === 'success') asked.resolve(result);
    else asked?.reject(new Error(`${error}: ${message}`));
  }
}

class Page {
  #session;
  #context;
  #patienceMs = PATIENCE_MS;

  static async open(session) {
    const { context } = await session.ask('browsingContext.create', { type: 'tab' });
    return new Page(session, context);
  }

  constructor(session, context) {
    this.#session = session;
    this.#context = context;
  }

  setDefaultTimeout(ms) {
    this.#patienceMs = ms;
  }

  on(type, listener) {
    if (type !== 'pageerror') throw new TypeError(`nothing tells of \`${type}\``);
    this.#session.listen((method, { source, level, text, stackTrace }) => {
      if (method !== 'log.entryAdded' || source.context !== this.#context) return;
      // What it says of the network comes from no line of a script.
      if (level === 'error' && stackTrace) listener(new Error(text));
    });
  }

  async goto(url) {
    await this.#session.ask('browsingContext.navigate', { context: this.#context, url, wait: 'complete' });
  }

  /** What the function gives on the page; it gets `argument`. Both go there and back as JSON. */
  async evaluate(run, argument = null) {
    const { result, exceptionDetails } = await this.#session.ask('script.callFunction', {
      functionDeclaration: `async (json) => JSON.stringify(await (${run})(JSON.parse(json)))`,
      arguments: [{ type: 'string', value: JSON.stringify(argument) }],
      awaitPromise: true,
      target: { context: this.#context },
    });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return result.type === 'undefined' ? undefined : JSON.parse(result.value);
  }

  /** Waits until the function gives something true. */
  async waitForFunction(run, argument) {
    const deadline = Date.now() + this.#patienceMs;
    while (!(await this.evaluate(run, argument))) {
      if (Date.now() > deadline) throw new Error(`waited in vain for ${run}`);
      await setTimeout(LOOK_INTERVAL_MS);
    }
  }
}
