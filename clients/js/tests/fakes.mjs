// Time that tests move, and connections that they play.

/** Runs what is due in its order, and lets promises settle in between. */
export class VirtualClock {
  /** By which timers go, and the clock on the wall, which can be set. */
  #passed = 0;
  #wall;
  #timers = new Set();

  constructor(wall = 1_767_225_600_000) {
    this.#wall = wall;
  }

  now() {
    return this.#wall + this.#passed;
  }

  after(ms, run) {
    const timer = { due: this.#passed + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get waiting() {
    return this.#timers.size;
  }

  async advance(ms) {
    const end = this.#passed + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.due - b.due);
      if (!next || next.due > end) break;
      this.#timers.delete(next);
      this.#passed = next.due;
      next.run();
      await settle();
    }
    this.#passed = end;
    await settle();
  }

  /** The clock is set, or the machine slept, while which timers stand still. */
  jump(ms) {
    this.#wall += ms;
  }
}

/** Lets everything that promises wait for happen. */
export function settle() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Opens what tests play: each connection says with what it was opened. */
export class FakeTransport {
  opened = [];
  isChannel = false;

  constructor(name = 'fake') {
    this.name = name;
  }

  open(opening, sink) {
    const connection = new FakeConnection(opening, sink);
    this.opened.push(connection);
    return connection;
  }

  get newest() {
    return this.opened.at(-1);
  }
}

class FakeConnection {
  isClosed = false;

  constructor({ url, token }, sink) {
    this.after = url.searchParams.get('after');
    this.url = url;
    this.token = token;
    this.sink = sink;
  }

  close() {
    this.isClosed = true;
  }

  sign() {
    this.sink.sign();
  }

  give(...items) {
    for (const item of items) {
      this.sink.sign();
      this.sink.item(item);
    }
  }

  end(error) {
    this.sink.closed(error);
  }
}

export const event = (n, more = {}) => ({ topic: 'a', time: 0, cursor: `e1-${n}`, data: n, ...more });
export const value = (key, data, cursor) => ({ topic: 'a', key, time: 0, ...(cursor && { cursor }), data });
export const ready = (n, heartbeat_interval_ms = 25_000) => ({ control: 'ready', cursor: `e1-${n}`, heartbeat_interval_ms });
export const gap = (from, to) => ({ control: 'gap', from: `e1-${from}`, to: `e1-${to}`, reason: 'expired', filters: ['a'] });
