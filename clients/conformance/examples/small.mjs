// A small client of Bellwire and its driver, in one file and without a library: it follows over
// Server-Sent Events, and is right. To look at where another is written; nobody should use it.

import { createInterface } from 'node:readline';

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
const HEALTHY_MS = 10_000;
const CONNECT_MS = 15_000;
const HEARTBEAT_MS = 25_000;
const HEARTBEATS_MISSED = 2.5;
const LINE_LENGTH_MAX = 16 * 1024 * 1024;
/** Statuses below 500 that pass. */
const PASSING = [408, 425, 429];

class Fault extends Error {
  constructor(code, { isForGood = false, ...more } = {}) {
    super(code);
    Object.assign(this, { code, isForGood, ...more });
  }
}

/** One subscription: `tell` gets all that there is to tell of it. */
class Follow {
  #cursor;
  #failures = 0;
  #wasReady = false;
  #isClosed = false;
  #control = new AbortController();
  #ended = new Set();

  constructor({ url, filters, after = null, token }, tell) {
    this.url = new URL('v1/events', url.endsWith('/') ? url : `${url}/`);
    filters.forEach((filter) => this.url.searchParams.append('topic', filter));
    this.filters = filters;
    this.#cursor = after;
    this.headers = { accept: 'text/event-stream', ...(token && { authorization: `Bearer ${token}` }) };
    this.tell = tell;
  }

  close(error = null) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#control.abort();
    this.tell({ tell: 'closed', error: error && errorOf(error) });
  }

  async run() {
    while (!this.#isClosed) {
      this.tell({ tell: 'status', status: 'connecting' });
      this.#control = new AbortController();
      this.readyAt = null;
      let fault = null;
      try {
        await this.#read(this.#control);
      } catch (error) {
        fault = error instanceof Fault ? error : new Fault(this.readyAt === null ? 'connection_failed' : 'connection_lost');
      }
      clearTimeout(this.watch);
      this.#control.abort();
      if (this.#isClosed) return;
      if (fault === null || this.#haveAllEnded()) return this.close();
      if (fault.isForGood) return this.close(fault);
      if (this.readyAt !== null && Date.now() - this.readyAt >= HEALTHY_MS) this.#failures = 0;
      const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures);
      this.#failures += 1;
      const waitMs = Math.max(fault.retryAfterMs ?? 0, Math.random() * bound);
      this.tell({ tell: 'status', status: 'waiting', error: errorOf(fault), retry_in_ms: waitMs });
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  /** Reads one stream; throws why it has ended, but where all topics have. */
  async #read(control) {
    this.#watchFor(CONNECT_MS, control);
    if (this.#cursor !== null) this.url.searchParams.set('after', this.#cursor);
    const silence = new Promise((_, reject) => {
      control.signal.addEventListener('abort', () => reject(control.signal.reason));
    });
    silence.catch(() => {});
    const response = await fetch(this.url, { headers: this.headers, signal: control.signal });
    if (response.status === 204) return;
    if (!response.ok) throw await refusal(response);
    if (!/^text\/event-stream/i.test(response.headers.get('content-type') ?? '')) {
      throw new Fault('not_bellwire', { isForGood: !this.#wasReady });
    }
    const decoder = new TextDecoder();
    let rest = '';
    let data = null;
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), silence]);
      if (done) throw new Fault('connection_lost');
      this.#watchFor((this.heartbeatMs ?? HEARTBEAT_MS) * HEARTBEATS_MISSED, control);
      rest += decoder.decode(value, { stream: true });
      // A CR at the end may have its LF still to come.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('data:')) data = `${data === null ? '' : `${data}\n`}${line.slice(5)}`;
        else if (line === '' && data !== null) {
          this.#take(data);
          data = null;
        }
        if (this.#isClosed) return;
      }
      if (rest === '\r' && data !== null) {
        this.#take(data);
        data = null;
      }
      if (rest.length + (data?.length ?? 0) > LINE_LENGTH_MAX) throw new Fault('frame_malformed');
    }
  }

  #take(data) {
    let item;
    try {
      item = JSON.parse(data);
    } catch {
      throw new Fault('frame_malformed');
    }
    if (!item?.topic && !item?.control) throw new Fault('not_bellwire', { isForGood: !this.#wasReady });
    if (item.control) this.#obey(item);
    else this.tell({ tell: 'event', event: item });
    // A gap has none: its `to` is no place to go on from.
    this.#cursor = item.cursor ?? this.#cursor;
    if (item.control === 'ready') this.tell({ tell: 'status', status: 'live' });
    if (item.control === 'bye') throw farewell(item);
  }

  #obey(item) {
    this.tell({ tell: 'control', control: item });
    if (item.control === 'ready') {
      this.#wasReady = true;
      this.readyAt = Date.now();
      this.heartbeatMs = item.heartbeat_interval_ms;
      this.#watchFor(this.heartbeatMs * HEARTBEATS_MISSED, this.#control);
    } else if (item.control === 'end') this.#ended.add(item.topic);
    else if (item.control === 'reopened') this.#ended.delete(item.topic);
  }

  #haveAllEnded() {
    return this.filters.every((filter) => this.#ended.has(filter));
  }

  #watchFor(ms, control) {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => control.abort(new Fault('connection_silent')), ms);
  }
}

async function refusal(response) {
  const { status, headers } = response;
  const isProblem = headers.get('content-type')?.startsWith('application/problem+json');
  const problem = isProblem ? await response.json().catch(() => null) : null;
  const asked = headers.get('retry-after') ?? '';
  const retryAfterMs = /^\d+$/.test(asked) ? Number(asked) * 1_000 : Math.max(0, Date.parse(asked) - Date.now() || 0);
  const isForGood = status < 500 && !PASSING.includes(status);
  return new Fault(problem?.code ?? 'unexpected_status', { status, retryAfterMs, isForGood });
}

function farewell({ reason, status, retry_ms: retryAfterMs }) {
  if (status !== undefined) return new Fault(reason, { status, retryAfterMs });
  return reason === 'displaced' ? new Fault(reason, { isForGood: true }) : new Fault('connection_lost', { retryAfterMs });
}

const errorOf = ({ code, status, retryAfterMs }) => ({ code, status, retry_after_ms: retryAfterMs });

const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
const follows = new Map();

tell({ tell: 'hello', name: 'small', capabilities: ['sse'] });
createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  const { id } = command;
  if (command.do === 'follow') {
    const follow = new Follow(command, (told) => tell({ id, ...told }));
    follows.set(id, follow);
    void follow.run();
  } else if (command.do === 'close') follows.get(id)?.close();
  else if (command.do === 'exit') process.exit(0);
}).on('close', () => process.exit(0));
