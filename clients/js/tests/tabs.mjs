// Tabs that tests open, freeze and crash, and a server whose events they follow; all in virtual time.

import { ConnectionError, Follower, ProblemError, tabs } from '../dist/index.js';
import { VirtualClock } from './fakes.mjs';

/** Locks, channels and tabs of one browser. */
export class FakeBrowser {
  #locks = new Map();
  #channels = new Set();

  constructor(clock) {
    this.clock = clock;
  }

  open(server, options = {}) {
    return new FakeTab(this, server, options);
  }

  /** Asks for a lock as `navigator.locks` does. */
  request(tab, name, options, run) {
    const lock = this.#locks.get(name) ?? { held: null, queue: [] };
    this.#locks.set(name, lock);
    return new Promise((resolve, reject) => {
      const request = { tab, resolve, reject, run, isShared: options.mode === 'shared' };
      if (options.signal?.aborted) return reject(new DOMException('', 'AbortError'));
      options.signal?.addEventListener('abort', () => {
        if (!lock.queue.includes(request)) return;
        lock.queue = lock.queue.filter((other) => other !== request);
        reject(new DOMException('', 'AbortError'));
      });
      if (options.steal) {
        const robbed = lock.held;
        lock.held = null;
        if (robbed) robbed.tab.hears(() => robbed.reject(new DOMException('', 'AbortError')));
        lock.queue.unshift(request);
      } else {
        lock.queue.push(request);
      }
      this.#grant(lock);
    });
  }

  #grant(lock) {
    while (lock.held === null || lock.held.isShared) {
      const request = lock.queue[0];
      if (!request || (lock.held && !request.isShared)) return;
      lock.queue.shift();
      lock.held = request;
      request.tab.hears(async () => {
        // It was taken away before it was heard of.
        if (lock.held !== request && !request.isShared) return;
        const result = await request.run();
        request.resolve(result);
        if (lock.held !== request) return;
        lock.held = null;
        this.#grant(lock);
      });
    }
  }

  channel(tab, name) {
    const channel = { tab, name, isClosed: false, onmessage: null };
    this.#channels.add(channel);
    channel.close = () => {
      channel.isClosed = true;
      this.#channels.delete(channel);
    };
    channel.postMessage = (message) => {
      if (channel.isClosed) throw new DOMException('', 'InvalidStateError');
      if (tab.isDead) return;
      for (const other of this.#channels) {
        if (other === channel || other.name !== name) continue;
        const data = structuredClone(message);
        other.tab.hears(() => { if (!other.isClosed) other.onmessage?.({ data }); });
      }
    };
    return channel;
  }

  /** What a tab had is free. */
  forget(tab) {
    for (const channel of this.#channels) if (channel.tab === tab) this.#channels.delete(channel);
    for (const lock of this.#locks.values()) {
      lock.queue = lock.queue.filter((request) => request.tab !== tab);
      if (lock.held?.tab === tab) lock.held = null;
      this.#grant(lock);
    }
  }

  get channels() {
    return this.#channels.size;
  }

  holder(prefix) {
    for (const [name, { held }] of this.#locks) if (name.startsWith(prefix) && held) return held.tab;
    return null;
  }
}

class FakeTab {
  isDead = false;
  isFrozen = false;
  /** What it hears once it is thawed. */
  #unheard = [];
  #isHearing = false;
  connections = new Set();

  constructor(browser, server, { token, random, hasLocks = true, shown = [] } = {}) {
    this.browser = browser;
    const { clock } = browser;
    const own = {
      now: () => clock.now(),
      after: (ms, run) => clock.after(ms, () => this.hears(run)),
    };
    const locks = { request: (name, options, run) => browser.request(this, name, options, run) };
    const channel = (name) => browser.channel(this, name);
    this.follower = new Follower('http://server.example', {
      clock: own,
      random,
      token,
      fetch: async (url, { body, headers }) => {
        const refusal = server.refuseToken(headers.authorization?.slice('Bearer '.length) ?? null);
        if (refusal) return new Response('', { status: refusal });
        // Each token that a function gives is the same somebody's.
        const subject = typeof token === 'string' ? token : 'anonymous';
        if (url.pathname === '/v1/session/token') shown.push(JSON.parse(body));
        else if (url.pathname !== '/v1/whoami') throw new TypeError('there is nothing else to ask');
        return new Response(JSON.stringify({ subject, rights: {} }), { status: server.whoami });
      },
      transport: tabs(server.transport(this), hasLocks ? { browser: { locks, channel } } : {}),
    });
  }

  /** A task of its own, once it can run, behind those before. */
  hears(task) {
    if (this.isDead) return;
    this.#unheard.push(task);
    this.#hear();
  }

  #hear() {
    if (this.#isHearing || this.isFrozen || this.isDead) return;
    this.#isHearing = true;
    setImmediate(() => {
      this.#isHearing = false;
      if (this.isFrozen || this.isDead) return;
      this.#unheard.shift()?.();
      if (this.#unheard.length > 0) this.#hear();
    });
  }

  get unheard() {
    return this.#unheard.length;
  }

  freeze() {
    this.isFrozen = true;
  }

  thaw() {
    this.isFrozen = false;
    if (this.#unheard.length > 0) this.#hear();
  }

  /** Closes it as browsers do: nobody in it is asked. */
  crash() {
    this.isDead = true;
    for (const connection of [...this.connections]) connection.drop();
    this.browser.forget(this);
  }
}

const PLACE = /^e(\d+)-(\d+)(?:\.s\1-(\d+))?$/;

/** Streams under any topic, state topics under `s/`, queries' under `query/`; cursors are as the server's. */
export class FakeServer {
  #events = [];
  #state = new Map();
  #version = 0;
  #epoch = 1;
  connections = new Set();
  openedMax = 0;
  opened = 0;
  urls = [];
  /** Answers with this error in place of a stream, where it gives one. */
  refuse = () => null;
  /** The status of what it says of who somebody is. */
  whoami = 200;
  /** The status with which it refuses a token, where it does. */
  refuseToken = () => null;

  constructor(clock, delay = () => 5) {
    this.clock = clock;
    this.delay = delay;
  }

  get cursor() {
    return `e${this.#epoch}-${this.#events.length}.s${this.#epoch}-${this.#version}`;
  }

  /** Begins anew with nothing; streams are cut. */
  restart() {
    this.#epoch += 1;
    this.#events = [];
    this.#state.clear();
    this.#version = 0;
    for (const connection of [...this.connections]) connection.cut(new ConnectionError('connection_lost', 'restart'));
  }

  publish(topic, data) {
    const item = { topic, time: 0, data };
    this.#events.push(item);
    item.cursor = this.cursor;
    for (const connection of this.connections) connection.live(item);
  }

  set(key, data, topic = 's/values') {
    this.#version += 1;
    const item = { topic, key, time: 0, cursor: this.cursor, ...(data === undefined ? { deleted: true } : { data }) };
    this.#state.set(key, { version: this.#version, item });
    for (const connection of this.connections) connection.live(item);
  }

  get values() {
    return new Map([...this.#state].filter(([, { item }]) => !item.deleted).map(([key, { item }]) => [key, item.data]));
  }

  events(filters) {
    return this.#events.filter(({ topic }) => isIn(filters, topic)).map(({ data }) => data);
  }

  transport(tab) {
    return { name: 'fake', open: (opening, sink) => new FakeConnection(this, tab, opening, sink) };
  }

  /** What comes first to somebody who comes with this cursor. */
  past(filters, after) {
    const [, epoch, place, known] = PLACE.exec(after ?? '') ?? [];
    const isOfNow = epoch === `${this.#epoch}`;
    const offset = isOfNow || place === undefined ? place : 0;
    const version = isOfNow ? known : undefined;
    const items = [];
    if (offset === 0) items.push({ control: 'gap', from: after, to: `e${this.#epoch}-0`, reason: 'epoch', filters });
    const state = [...this.#state.values()].filter(({ item }) => isIn(filters, item.topic));
    if (state.length > 0) {
      const isKnown = version !== undefined;
      if (!isKnown && offset !== undefined) items.push({ control: 'reset', cursor: after, filters });
      for (const { version: changed, item } of state.sort((a, b) => a.version - b.version)) {
        const { cursor, ...bare } = item;
        if (isKnown ? changed > +version : !item.deleted) items.push(bare);
      }
    }
    const from = after === 'earliest' ? 0 : offset === undefined ? this.#events.length : +offset;
    items.push(...this.#events.slice(from).filter(({ topic }) => isIn(filters, topic)));
    items.push({ control: 'ready', cursor: this.cursor, heartbeat_interval_ms: 25_000 });
    return items;
  }
}

/** What tests follow: topics, or all below one. */
export function isIn(filters, topic) {
  return filters.some((filter) => (filter.endsWith('/**') ? topic.startsWith(filter.slice(0, -2)) : filter === topic));
}

class FakeConnection {
  #isOpen = false;
  isClosed = false;
  isLeft = false;
  /** What is on its way, in order. */
  #last = Promise.resolve();

  constructor(server, tab, { url, token }, sink) {
    Object.assign(this, { server, tab, sink, url, token });
    this.filters = [...url.searchParams.getAll('topic'), ...url.searchParams.getAll('query').map((query) => `query/${query}`)];
    server.connections.add(this);
    tab.connections.add(this);
    server.opened += 1;
    server.urls.push(url);
    server.openedMax = Math.max(server.openedMax, server.connections.size);
    this.#later(() => {
      const status = server.refuseToken(token);
      const error = status ? new ProblemError(status, {}, null) : server.refuse(this);
      if (error) return this.cut(error);
      this.#isOpen = true;
      for (const item of server.past(this.filters, url.searchParams.get('after'))) this.#give(item);
    });
  }

  live(item) {
    if (!this.#isOpen || !isIn(this.filters, item.topic)) return;
    this.#later(() => this.#give(item));
  }

  say(item) {
    this.#later(() => this.#give(item));
  }

  /** The server or the network ends it, behind what is on its way. */
  cut(error) {
    this.#later(() => {
      this.drop();
      this.tab.hears(() => { if (!this.isLeft) this.sink.closed(error); });
    });
  }

  /** The client does. */
  close() {
    this.isLeft = true;
    this.drop();
  }

  drop() {
    this.isClosed = true;
    this.server.connections.delete(this);
    this.tab.connections.delete(this);
  }

  #later(run) {
    const { clock, delay } = this.server;
    const waited = new Promise((resolve) => void clock.after(delay(), resolve));
    const last = this.#last;
    this.#last = (async () => {
      await waited;
      await last;
      if (!this.isClosed) run();
    })();
  }

  #give(item) {
    // As from a socket: it comes in order, and no more once it is closed.
    this.tab.hears(() => {
      if (this.isLeft) return;
      this.sink.sign();
      this.sink.item(structuredClone(item));
    });
  }
}

/** A browser and a server. */
export function setUp(options = {}) {
  const clock = new VirtualClock();
  const browser = new FakeBrowser(clock);
  const server = new FakeServer(clock, options.delay);
  return { clock, browser, server };
}

/** Follows in a tab; gives what has come. */
export function follow(tab, filters, options) {
  const subscription = tab.follower.subscribe(filters, options);
  const got = { subscription, data: [], statuses: [], tab, filters: [filters].flat() };
  subscription.addEventListener('event', ({ detail }) => got.data.push(detail.data));
  subscription.addEventListener('status', ({ detail }) => got.statuses.push(detail.status));
  return got;
}

export async function run(clock, ms = 200, steps = 40) {
  for (let step = 0; step < steps; step += 1) {
    await clock.advance(ms / steps);
    for (let turn = 0; turn < 10; turn += 1) await clock.advance(0);
  }
}
