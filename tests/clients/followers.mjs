// Who follows numbers through a proxy that is not always there, each in a way of its own: all come
// back with the cursor of what they saw last, and keep what they were given or write it down.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import { Agent, fetch as fetchWith } from 'undici';
import { WebSocket } from 'ws';
import { eventually } from './bellwire.mjs';

/** How soon those come back who choose it themselves. */
const RETRY_MS = 100;

export class Follower {
  /** The numbers, as they came, and gaps, where nobody else writes them down. */
  numbers = [];
  gaps = [];
  /** How often it was connected, and heartbeats of all connections. */
  opens = 0;
  heartbeats = 0;
  /** Answers other than what it has asked for. */
  refusals = [];
  /** What it comes back with. */
  cursor = null;
  /** The newest event, or where the newest gap ends. */
  place = null;
  ended = false;
  #write;

  /** `write` takes what it is given: events and gaps. */
  constructor(name, write = null) {
    this.name = name;
    this.#write = write ?? ((item) => (item.control ? this.gaps.push(item) : this.numbers.push(item.data.number)));
  }

  /** An event, or what is said about the stream. */
  take(item, cursor = item.cursor) {
    if (cursor) this.cursor = cursor;
    if (item.control && item.control !== 'gap') return;
    this.place = item.to ?? item.cursor;
    this.#write(item);
  }

  /** Waits until it has this number, and looks at all before: each came once, and in order. */
  async has(last) {
    await eventually(`${this.name} to have ${last}`, () => this.numbers.at(-1) >= last || this.gaps.length > 0);
    assert.deepEqual(this.gaps, [], this.name);
    assert.deepEqual(this.numbers, Array.from({ length: last }, (_, index) => index + 1), this.name);
  }

  /** Connects again and again. `connect` resolves when that has ended. */
  async run(connect) {
    while (!this.ended) {
      await connect().catch((error) => this.refusals.push(`${error}`));
      await setTimeout(RETRY_MS);
    }
  }
}

/** A bare EventSource: it comes back by itself, and ends for good at any status but 200. */
export function eventSource({ url, topic, trust: ca, write }, atEnd) {
  const follower = new Follower('EventSource', write);
  const dispatcher = new Agent({ connect: { ca }, bodyTimeout: 0, headersTimeout: 0 });
  const source = new EventSource(`${url}/v1/events?topic=${topic}&after=earliest`, {
    fetch: (input, init) => fetchWith(input, { ...init, dispatcher }),
  });
  atEnd(async () => {
    source.close();
    await dispatcher.destroy();
  });
  source.addEventListener('open', () => (follower.opens += 1));
  source.addEventListener('message', ({ data }) => follower.take(JSON.parse(data)));
  source.addEventListener('gap', ({ data }) => follower.take(JSON.parse(data)));
  source.addEventListener('error', ({ code }) => code && follower.refusals.push(`${code}`));
  return follower;
}

/** Server-Sent Events over HTTP/2, as a program reads them. */
export function http2Stream({ url, topic, certificate, write }, atEnd) {
  const follower = new Follower('a stream over HTTP/2', write);
  let curl = null;
  atEnd(() => {
    follower.ended = true;
    curl?.kill('SIGKILL');
  });
  const connect = async () => {
    const resume = follower.cursor ? ['-H', `Last-Event-ID: ${follower.cursor}`] : [];
    const flags = ['-sSN', '--fail', '--http2', '-w', 'status: %{http_code} %{http_version}\\n', '--cacert', certificate, ...resume];
    curl = spawn('curl', [...flags, `${url}/v1/events?topic=${topic}&after=earliest`], { stdio: ['ignore', 'pipe', 'ignore'] });
    let fields = {};
    for await (const line of createInterface({ input: curl.stdout })) {
      const [, name, value] = line.match(/^(\w*): ?(.*)$/) ?? [];
      if (name === '') follower.heartbeats += 1;
      else if (name === 'status' && value !== '200 2') throw new Error(value);
      else if (name) fields[name] = value;
      // Only what is whole counts.
      if (line !== '') continue;
      const item = JSON.parse(fields.data ?? 'null');
      follower.opens += item?.control === 'ready' ? 1 : 0;
      if (item) follower.take(item, fields.id);
      fields = {};
    }
  };
  follower.run(connect);
  return follower;
}

export function webSocket({ url, topic, trust: ca, write }, atEnd) {
  const follower = new Follower('a WebSocket', write);
  let socket = null;
  atEnd(() => {
    follower.ended = true;
    socket?.terminate();
  });
  const connect = () => new Promise((resolve, reject) => {
    const after = follower.cursor ?? 'earliest';
    const address = `${url.replace('https', 'wss')}/v1/events?topic=${topic}&after=${after}`;
    socket = new WebSocket(address, 'bellwire.v1.json', { ca, origin: url });
    socket.on('open', () => (follower.opens += 1));
    socket.on('message', (data) => follower.take(JSON.parse(data)));
    socket.on('ping', () => (follower.heartbeats += 1));
    socket.on('error', reject);
    socket.on('close', resolve);
  });
  follower.run(connect);
  return follower;
}

export function longPoll({ url, topic, trust: ca, write }, atEnd) {
  const follower = new Follower('a long poll', write);
  const dispatcher = new Agent({ connect: { ca } });
  atEnd(async () => {
    follower.ended = true;
    await dispatcher.destroy();
  });
  const connect = async () => {
    const after = follower.cursor ?? 'earliest';
    const address = `${url}/v1/events?topic=${topic}&wait=2s&after=${after}`;
    const answer = await fetchWith(address, { dispatcher, headers: { accept: 'application/json' } });
    assert.equal(answer.status, 200, await answer.clone().text());
    follower.opens += 1;
    const { events, cursor, gap } = await answer.json();
    if (gap) follower.take({ control: 'gap', ...gap });
    events.forEach((event) => follower.take(event));
    follower.cursor = cursor;
  };
  follower.run(connect);
  return follower;
}

/** Publishes numbers through the proxy, each with a key, until it is taken: the key has it count once. */
export class Publisher {
  /** Answers but `201`, and what kept one from coming. */
  refusals = [];
  published = 0;
  #url;
  #dispatcher;

  constructor({ url, topic, trust: ca }, atEnd) {
    this.#url = `${url}/v1/topics/${topic}`;
    this.#dispatcher = new Agent({ connect: { ca } });
    atEnd(() => this.#dispatcher.destroy());
  }

  async publish(count) {
    for (const last = this.published + count; this.published < last; this.published += 1) {
      const number = this.published + 1;
      await eventually(`number ${number} to be taken`, () => this.#isTaken(number));
    }
    return this.published;
  }

  async #isTaken(number) {
    const said = await this.#offer(number).then(({ status }) => status, ({ message, cause }) => `${message}: ${cause}`);
    if (said !== 201) this.refusals.push(said);
    return said === 201;
  }

  #offer(number) {
    return fetchWith(this.#url, {
      method: 'POST',
      dispatcher: this.#dispatcher,
      headers: { 'content-type': 'application/json', 'idempotency-key': `number-${number}` },
      body: JSON.stringify({ number }),
    });
  }
}
