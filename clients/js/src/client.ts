// The way in: what a follower does, and sending.

import type { Acknowledgement, Alert, Published, Sample, SamplesTaken } from './api.js';
import type { Echo } from './echo.js';
import { Follower, type FollowerOptions } from './follower.js';
import { JSON_TYPE } from './http.js';
import { Outbox, OUTBOX_MAX, type Sending, type SendOptions } from './outbox.js';

export interface ClientOptions extends FollowerOptions {
  /** How many requests may wait to be sent; 1,000 by default. */
  outboxMax?: number;
}

export interface PublishOptions extends SendOptions {
  /** The event's key; a state topic needs one. */
  key?: string;
  type?: string;
  /** Events with the same key are published once; a new one is made by default. */
  idempotencyKey?: string;
  /** Of binary data. */
  contentType?: string;
  /** State topics: only if the key has this version. */
  ifVersion?: string;
  /** State topics: only if there is no such key. */
  ifAbsent?: boolean;
  /** State topics: after which time the key goes by itself, such as `30s`. */
  ttl?: string;
  /** Streams: the topic ends with this event; without data (`undefined`) it ends by itself. */
  end?: boolean;
  /** With the function of this name it resolves once the event has come back, in its order. */
  echo?: Echo;
}

export interface DeleteOptions extends SendOptions {
  /** Only if the key has this version. */
  ifVersion?: string;
}

/** Follows what one server has, and sends to it. */
export class Client extends Follower {
  readonly #outbox: Outbox;

  constructor(url: string | URL, options: ClientOptions = {}) {
    super(url, options);
    const { surroundings } = this;
    const max = options.outboxMax ?? OUTBOX_MAX;
    this.#outbox = new Outbox({ ...surroundings, backoff: surroundings.backoff(), max });
  }

  /**
   * Publishes an event: JSON, or binary data as `Uint8Array`. Resolves once it is durable, with its
   * cursor, or on a state topic its version.
   */
  publish(topic: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    const { key, type, ifVersion, ifAbsent, ttl, end, contentType, idempotencyKey = newKey(), echo } = options;
    const isBinary = data instanceof Uint8Array;
    const body = isBinary ? data : JSON.stringify(data) as string | undefined;
    if (body === undefined && data !== undefined) throw new TypeError('what is published is JSON, or a Uint8Array');
    const headers: Record<string, string> = { 'idempotency-key': idempotencyKey };
    if (body !== undefined) headers['content-type'] = isBinary ? contentType ?? 'application/octet-stream' : 'application/json';
    const members = { key, type, if_version: ifVersion, if_absent: ifAbsent || undefined, ttl, end: end || undefined };
    for (const [name, value] of Object.entries(members)) {
      // Headers are bytes, and `fetch` takes each character for one.
      if (value !== undefined) headers[`bellwire-${name.replace('_', '-')}`] = utf8(`${value}`);
    }
    const command = { request: 'publish', topic, idempotency_key: idempotencyKey, ...members };
    // A condition that held once does not hold for what it has written.
    const isOnce = !!(ifVersion || ifAbsent);
    const sending = { method: 'POST', path: topicPath(topic), headers, body, command, isOnce, idempotencyKey };
    const send = () => this.#outbox.send<Published>(sending, options);
    if (!echo) return send();
    const { subscriptions, surroundings: { clock } } = this;
    return echo({ topic, key, idempotencyKey, options, subscriptions, clock, send });
  }

  /** Deletes a key of a state topic. */
  async delete(topic: string, key: string, options: DeleteOptions = {}): Promise<void> {
    const { ifVersion } = options;
    const members = ifVersion === undefined ? { key } : { key, if_version: ifVersion };
    const path = `${topicPath(topic)}?${new URLSearchParams(members)}`;
    const command = { request: 'delete', topic, ...members };
    await this.#outbox.send({ method: 'DELETE', path, command, isOnce: !!ifVersion, doneBy: 'key_not_found' }, options);
  }

  /**
   * Sends samples. Resolves once the rules have seen them; what the server refuses of them is in the
   * answer. Those with a `timestamp` count once however often they are sent.
   */
  samples(samples: readonly Sample[], options: SendOptions = {}): Promise<SamplesTaken> {
    const isOnce = samples.some(({ timestamp }) => timestamp === undefined);
    const command = { request: 'samples' };
    return this.#outbox.send({ method: 'POST', path: 'v1/samples', ...json(samples), command, isOnce }, options);
  }

  /** Says who has taken an alert up. */
  acknowledge(fingerprint: string, acknowledgement: Acknowledgement, options: SendOptions = {}): Promise<Alert> {
    return this.#outbox.send({ method: 'POST', path: ackPath(fingerprint), ...json(acknowledgement) }, options);
  }

  /** Takes an acknowledgement back. */
  async unacknowledge(fingerprint: string, options: SendOptions = {}): Promise<void> {
    await this.#outbox.send({ method: 'DELETE', path: ackPath(fingerprint) }, options);
  }

  /** How many requests wait to be sent. */
  get unsent(): number {
    return this.#outbox.size;
  }

  /** Closes all subscriptions, and hands back what is not sent yet. */
  override close(): void {
    super.close();
    this.#outbox.close();
  }

  protected override reached(): void {
    this.#outbox.retry();
  }
}

function topicPath(topic: string): string {
  // An address takes these for steps, however they are encoded.
  if (/(^|\/)\.\.?(\/|$)/.test(topic)) throw new TypeError(`\`${topic}\`: what is written to has no segment \`.\` or \`..\``);
  return `v1/topics/${encodeURIComponent(topic).replaceAll('%2F', '/')}`;
}

function ackPath(fingerprint: string): string {
  return `v1/alerts/${encodeURIComponent(fingerprint)}/ack`;
}

function json(body: unknown): Required<Pick<Sending, 'headers' | 'body'>> {
  return { headers: JSON_TYPE, body: JSON.stringify(body) };
}

/** Text as the characters of its bytes. */
function utf8(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** Nobody else's; pages without TLS have no `randomUUID`. */
function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}
