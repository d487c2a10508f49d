// One connection, and the eye that is kept on it: silence that is too long ends it.

import type { Cancel, Clock } from './clock.js';
import { type BellwireError, ConnectionError } from './errors.js';
import type { Connection, Item, Move, Sink } from './transport.js';

/** How long a connection may take until its first byte, in milliseconds. */
export const CONNECT_MS = 15_000;
/** The interval of heartbeats until the server has said its own. */
const HEARTBEAT_MS = 25_000;
/** How many intervals may pass in silence. */
export const HEARTBEATS_MISSED = 2.5;
/** A timer that comes later than this by so much has slept with its page or machine. */
const SLEPT_MS = 5_000;
/** How long after such a sleep what has come meanwhile may take to be read. */
export const GRACE_MS = 2_000;

/** Whose connection it is. */
export interface Owner {
  item(link: Link, item: Item): void;
  room(length?: number): Promise<void> | null;
  over(link: Link, error: BellwireError | null): void;
  moved(move: Move): void;
}

export class Link implements Sink {
  /** The token that it was opened with. */
  token: string | null = null;
  /** When it was told to be live. */
  readyAt: number | null = null;
  #connection: Connection | null = null;
  #isOver = false;
  #signAt: number;
  #patienceMs = CONNECT_MS;
  /** Nothing is read because of this side: that is no silence of the other. */
  #isHeld = false;
  #hasGrace = false;
  #cancel: Cancel = () => {};

  constructor(private readonly clock: Clock, private readonly owner: Owner) {
    this.#signAt = clock.now();
    this.#watch(this.#patienceMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It has been opened. */
  begin(connection: Connection): void {
    if (this.#isOver) connection.close();
    else this.#connection = connection;
  }

  /** The server has said how often it gives a sign. */
  ready(heartbeatMs: number): void {
    this.readyAt = this.clock.now();
    this.#patienceMs = heartbeatMs > 0 ? heartbeatMs * HEARTBEATS_MISSED : Infinity;
    this.#watch(this.#patienceMs);
  }

  /** Looks whether it has been silent for too long, after what may have been a sleep. */
  check(): void {
    if (this.clock.now() - this.#signAt >= this.#patienceMs) {
      this.#hasGrace = true;
      this.#watch(GRACE_MS);
    }
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancel();
    this.#connection?.close();
  }

  sign(): void {
    this.#signAt = this.clock.now();
    this.#hasGrace = false;
    if (this.#patienceMs === CONNECT_MS && this.readyAt === null) {
      this.#patienceMs = HEARTBEAT_MS * HEARTBEATS_MISSED;
    }
  }

  item(item: Item): void {
    if (!this.#isOver) this.owner.item(this, item);
  }

  room(length?: number): Promise<void> | null {
    const room = this.#isOver ? null : this.owner.room(length);
    if (!room) return null;
    this.#isHeld = true;
    return room.then(() => {
      this.#isHeld = false;
      this.sign();
    });
  }

  moved(move: Move): void {
    if (!this.#isOver) this.owner.moved(move);
  }

  closed(error: BellwireError | null): void {
    if (this.#isOver) return;
    this.close();
    this.owner.over(this, error);
  }

  #watch(ms: number): void {
    this.#cancel();
    if (ms === Infinity) return;
    const due = this.clock.now() + ms;
    this.#cancel = this.clock.after(ms, () => this.#look(this.clock.now() - due > SLEPT_MS));
  }

  #look(hasSlept: boolean): void {
    const now = this.clock.now();
    // The clock was set back.
    if (now < this.#signAt) this.#signAt = now;
    const age = now - this.#signAt;
    if (this.#isHeld) return this.#watch(this.#patienceMs);
    if (age < this.#patienceMs) return this.#watch(this.#patienceMs - age);
    if (hasSlept && !this.#hasGrace) return this.check();
    this.closed(new ConnectionError('connection_silent', `silent for ${Math.round(age / 1_000)} s`));
  }
}
