// A stream that goes on: opened again at its cursor whenever it is cut, until it is over for good.

import type { Bye, Renew } from './api.js';
import type { Backoff } from './backoff.js';
import type { Cancel, Clock } from './clock.js';
import { BellwireError, ConnectionError, ProblemError, ProtocolError } from './errors.js';
import { asError, remedy } from './http.js';
import { Link, type Owner } from './link.js';
import type { Token } from './token.js';
import { type Asking, isControl, type Item, type Move, type Transport } from './transport.js';
import type { Wake } from './wake.js';

/** How long a connection has to be live for the next fault to be a first one, in milliseconds. */
export const HEALTHY_MS = 10_000;

/**
 * `connecting`: on the way to `live`, with values and events of before coming. `live`: caught up.
 * `waiting`: cut off, to try again. `closed`: over.
 */
export type Status = 'connecting' | 'live' | 'waiting' | 'closed';

export interface StatusChange {
  status: Status;
  /** Why it waits or is closed; `null` where nothing is wrong. */
  error: BellwireError | null;
  /** While it waits: how long, in milliseconds. */
  retryInMs: number | null;
  /** Where it goes on: without one all begins anew. */
  cursor: string | null;
}

/** Who is told. */
export interface Receiver {
  item(item: Item): void;
  room(length?: number): Promise<void> | null;
  status(change: StatusChange): void;
  moved(move: Move): void;
}

/** What a session needs of its surroundings. */
export interface Setting {
  asking: Asking;
  clock: Clock;
  backoff(): Backoff;
  token: Token;
  transport: Transport;
  /** Gives the token under which the stream goes on, or `null`. */
  renew(renew: Renew, token: string | null): Promise<string | null>;
}

/** What is followed. */
export interface Followed {
  /** The stream's, with all parameters but the cursor. */
  url: URL;
  /** Where to begin: a cursor, `earliest` or `latest`. */
  after: string | null;
  /** The topics, where all of them are named: then it is over when these have ended. */
  topics: string[] | null;
}

export class Session implements Owner {
  /** Behind which everything is still to come. */
  #cursor: string | null = null;
  #link: Link | null = null;
  #cancelWait: Cancel | null = null;
  /** The server has asked to stay away until then. */
  #notBefore = 0;
  #isOver = false;
  #wasReady = false;
  /** A token that counts no more. */
  #stale: string | null | undefined;
  #hasRefreshed = false;
  readonly #backoff: Backoff;
  readonly #ended = new Set<string>();

  constructor(
    private readonly setting: Setting,
    private readonly followed: Followed,
    private readonly receiver: Receiver,
  ) {
    this.#backoff = setting.backoff();
  }

  open(): void {
    this.#cancelWait = null;
    const { token, transport, asking, clock } = this.setting;
    const link = (this.#link = new Link(clock, this));
    const asked = this.#stale === undefined ? token.get() : token.refresh(this.#stale);
    this.#stale = undefined;
    this.#say('connecting');
    asked.then((token) => {
      if (link.isOver) return;
      link.token = token;
      // What is opened beside it later, as for a move, shows what it was renewed with.
      const opening = { ...asking, clock, url: this.#url(), get token() { return link.token; } };
      link.begin(transport.open(opening, link));
    }).catch((fault) => link.closed(asError(fault)));
  }

  /** Ends it, for the reason given. It never comes back. */
  close(error: BellwireError | null = null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#drop();
    this.#say('closed', error);
  }

  wake(wake: Wake): void {
    if (this.#isOver) return;
    if (this.#cancelWait) {
      if (this.setting.clock.now() < this.#notBefore) return;
      this.#drop();
      this.open();
    } else if (this.#link && wake === 'online') {
      // What was opened over another network may be dead without a word.
      this.#drop();
      this.open();
    } else {
      this.#link?.check();
    }
  }

  item(link: Link, item: Item): void {
    if (isControl(item)) {
      switch (item.control) {
        case 'ready':
          link.ready(item.heartbeat_interval_ms);
          this.#wasReady = true;
          this.#hasRefreshed = false;
          break;
        case 'end':
          this.#ended.add(item.topic);
          break;
        case 'reopened':
          this.#ended.delete(item.topic);
          break;
        case 'renew':
          void this.setting.renew(item, link.token).then((newer) => { link.token = newer ?? link.token; });
          break;
      }
    }
    if ('cursor' in item && item.cursor) this.#cursor = item.cursor;
    this.receiver.item(item);
    if (!isControl(item) || link.isOver) return;
    // Not every transport closes then.
    if (link.readyAt !== null && this.#haveAllEnded()) return this.close();
    if (item.control === 'ready') this.#say('live');
    else if (item.control === 'bye') this.#bye(link, item);
  }

  room(length?: number): Promise<void> | null {
    return this.receiver.room(length);
  }

  moved(move: Move): void {
    this.receiver.moved(move);
  }

  over(link: Link, error: BellwireError | null): void {
    const { token } = this.setting;
    this.#leave(link);
    // There is room again for what was not read.
    if (error?.code === 'connection_held') return this.open();
    if (error === null || (error.code === 'connection_lost' && this.#haveAllEnded())) return this.close();
    if (error instanceof ProtocolError && error.code === 'not_bellwire' && !this.#wasReady) return this.close(error);
    const what = remedy(error);
    if (what === 'none') return this.close(error);
    if (what === 'later') return this.#later(error, error instanceof ProblemError ? error.retryAfterMs : null);
    if (this.#hasRefreshed || !token.canRefresh) return this.close(error);
    this.#hasRefreshed = true;
    this.#stale = link.token;
    this.open();
  }

  /** The server ends the stream. */
  #bye(link: Link, { reason, status, detail, retry_ms }: Bye): void {
    if (status !== undefined) {
      return link.closed(new ProblemError(status, { code: reason as never, detail: detail ?? '' }, retry_ms));
    }
    this.#leave(link);
    if (reason === 'displaced') {
      return this.close(new BellwireError(reason, 'another came with its ticket'));
    }
    if (reason.startsWith('credential') && this.setting.token.canRefresh) this.#stale = link.token;
    this.#later(new ConnectionError('connection_lost', `the server says bye: ${reason}`), retry_ms);
  }

  /** A connection is done with; it was a good one where it was live for a while. */
  #leave(link: Link): void {
    link.close();
    this.#link = null;
    if (link.readyAt !== null && this.setting.clock.now() - link.readyAt >= HEALTHY_MS) this.#backoff.reset();
  }

  #later(error: BellwireError, askedMs: number | null): void {
    const { clock } = this.setting;
    // By then a token may have ended that was new.
    this.#hasRefreshed = false;
    this.#notBefore = clock.now() + (askedMs ?? 0);
    const wait = Math.max(askedMs ?? 0, this.#backoff.next());
    this.#cancelWait = clock.after(wait, () => this.open());
    this.#say('waiting', error, wait);
  }

  #drop(): void {
    this.#cancelWait?.();
    this.#cancelWait = null;
    this.#link?.close();
    this.#link = null;
  }

  #haveAllEnded(): boolean {
    const { topics } = this.followed;
    return topics !== null && topics.every((topic) => this.#ended.has(topic));
  }

  #url(): URL {
    const url = new URL(this.followed.url);
    const after = this.#cursor ?? this.followed.after;
    if (after !== null) url.searchParams.set('after', after);
    return url;
  }

  #say(status: Status, error: BellwireError | null = null, retryInMs: number | null = null): void {
    this.receiver.status({ status, error, retryInMs, cursor: this.#cursor });
  }
}
