// What somebody follows: events to iterate over, and to listen to.

import type {
  Bye, Degraded, End, Gap, Heartbeat, Narrowed, Ready, Renew, Reopened, Reset, Restored, TopicEvent,
} from './api.js';
import type { Cancel, Clock } from './clock.js';
import { Emitter } from './emitter.js';
import type { BellwireError } from './errors.js';
import { type Followed, type Receiver, Session, type Setting, type Status, type StatusChange } from './session.js';
import { isControl, type Item, type Move } from './transport.js';
import type { Wake } from './wake.js';

/** How many events and control events wait to be taken before no more are read. */
export const WAITING_MAX = 1_024;

/** And about how many bytes of them. */
export const WAITING_BYTES_MAX = 16_777_216;

/** How often a cursor is kept at most, in milliseconds. */
export const KEEP_MS = 1_000;

/** Keeps a cursor where the application has room for it. What it throws is passed over. */
export interface CursorStore {
  /** The one that was kept last, or nothing. */
  get(): string | null | undefined | Promise<string | null | undefined>;
  set(cursor: string): unknown;
}

/** What can be listened to. Control events come when they arrive, however far an iteration is. */
export interface SubscriptionEvents<Data = unknown> {
  event: TopicEvent<Data>;
  status: StatusChange;
  move: Move;
  ready: Ready;
  gap: Gap;
  reset: Reset;
  narrowed: Narrowed;
  end: End;
  reopened: Reopened;
  renew: Renew;
  degraded: Degraded;
  restored: Restored;
  bye: Bye;
  heartbeat: Heartbeat;
}

interface Waiter<Yielded> {
  resolve(result: IteratorResult<Yielded, undefined>): void;
  reject(error: unknown): void;
}

/**
 * Events of topics, in order, across cuts and restarts. To iterate gives each once; whoever leaves
 * the iteration closes the subscription. What nobody takes yet waits, and is not read beyond a bound.
 */
export class Subscription<Data = unknown, Yielded = TopicEvent<Data>>
  extends Emitter<SubscriptionEvents<Data>>
  implements AsyncIterable<Yielded>, AsyncDisposable {
  /** The cursor behind what was handed out: to go on from it misses nothing. */
  cursor: string | null = null;
  status: Status = 'connecting';
  /** Why it is closed; `null` where it is not, or nothing was wrong. */
  error: BellwireError | null = null;

  /** The topics and wildcards that it follows, as far as it may. */
  filters: readonly string[];
  /** For `echo`: they hear each item when it is handed out. */
  readonly watchers = new Set<(item: Item) => void>();

  /** Those that it has asked for. */
  readonly #asked: readonly string[];
  readonly #session: Session;
  readonly #givesControls: boolean;
  #waiting: Item[] = [];
  /** How many bytes have come since nothing waited. */
  #bytes = 0;
  #waiters: Waiter<Yielded>[] = [];
  #isIterated = false;
  #isListenedTo = false;
  #makeRoom: (() => void) | null = null;
  #room: Promise<void> | null = null;
  #onClose: () => void = () => {};
  readonly #clock: Clock;
  readonly #store: CursorStore | undefined;
  #cancelKeeping: Cancel | null = null;

  /** Made by `Client`: the session begins with the next microtask, so that listeners hear it all. */
  constructor(setting: Setting, followed: Followed, { controls, signal, store, onClose }: SubscriptionSetting) {
    super();
    this.#asked = this.filters = followed.url.searchParams.getAll('topic');
    this.#givesControls = controls;
    this.#clock = setting.clock;
    this.#store = store;
    const receiver: Receiver = {
      item: (item) => this.#take(item),
      room: (length) => this.#awaitRoom(length),
      status: (change) => this.#change(change),
      moved: (move) => this.emit('move', move),
    };
    this.#session = new Session(setting, followed, receiver);
    const abort = () => this.close();
    signal?.addEventListener('abort', abort);
    this.#onClose = () => {
      signal?.removeEventListener('abort', abort);
      onClose();
    };
    const begin = (kept?: string | null) => {
      if (signal?.aborted) this.close();
      followed.after = kept ?? followed.after;
      if (this.status !== 'closed') this.#session.open();
    };
    // What is asked in a function may throw at once or later.
    if (store) void (async () => store.get())().then(begin, () => begin());
    else queueMicrotask(begin);
  }

  /** Ends it for good. What waits can still be iterated over. */
  close(): void {
    this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Resolves once it is live, at once where it is; rejects where it closes before. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.status === 'live') resolve();
        else if (this.status === 'closed') reject(this.error ?? new DOMException('it is closed', 'AbortError'));
        else return this.addEventListener('status', look, { once: true });
      };
      look();
    });
  }

  protected override listened(type: string): void {
    if (type !== 'event') return;
    this.#isListenedTo = true;
    if (!this.#isIterated) this.#handOut();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Yielded, undefined> {
    if (this.#isIterated) throw new TypeError('it is iterated already');
    this.#isIterated = true;
    const iterator: AsyncIterableIterator<Yielded, undefined> = {
      next: () => {
        // What waits is given at once, in a burst without a waiter for each.
        const value = this.#waiters.length === 0 ? this.#nextYielded() : undefined;
        if (value !== undefined) return Promise.resolve({ done: false, value });
        return new Promise((resolve, reject) => {
          this.#waiters.push({ resolve, reject });
          this.#serve();
        });
      },
      return: () => {
        this.close();
        this.#waiting = [];
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** For `Client`: the page or the network may have slept. */
  wake(wake: Wake): void {
    this.#session.wake(wake);
  }

  #take(item: Item): void {
    if (isControl(item)) {
      if (item.control === 'narrowed') this.filters = item.topics;
      this.emit(item.control, item as never);
    } else this.emit('event', item as TopicEvent<Data>);
    if (this.#isListenedTo && !this.#isIterated) return this.#pass(item);
    this.#waiting.push(item);
    this.#serve();
  }

  /** To a listener, what has waited for one. */
  #handOut(): void {
    for (let item; (item = this.#shift()); ) {
      if (!isControl(item)) this.emit('event', item as TopicEvent<Data>);
    }
  }

  #serve(): void {
    while (this.#waiters.length > 0) {
      const value = this.#nextYielded();
      if (value !== undefined) {
        this.#waiters.shift()?.resolve({ done: false, value });
      } else if (this.status === 'closed') {
        const { resolve, reject } = this.#waiters.shift()!;
        if (this.error) reject(this.error);
        else resolve({ done: true, value: undefined });
      } else {
        return;
      }
    }
  }

  /** The next that an iteration gives, where it waits. */
  #nextYielded(): Yielded | undefined {
    for (let item; (item = this.#shift()); ) {
      if (this.#givesControls || !isControl(item)) return item as Yielded;
    }
    return undefined;
  }

  #shift(): Item | undefined {
    const item = this.#waiting.shift();
    if (!item) return undefined;
    if (this.#waiting.length === 0) this.#bytes = 0;
    if (this.#room && this.#waiting.length <= (this.#bytes < WAITING_BYTES_MAX ? WAITING_MAX / 2 : 0)) {
      this.#makeRoom?.();
      this.#room = null;
    }
    this.#pass(item);
    return item;
  }

  /** It is handed out: to go on behind it misses nothing. */
  #pass(item: Item): void {
    if (this.watchers.size > 0) for (const hear of this.watchers) hear(item);
    if (!('cursor' in item) || !item.cursor) return;
    this.cursor = item.cursor;
    if (this.#store) this.#cancelKeeping ??= this.#clock.after(KEEP_MS, () => this.#keep());
  }

  /** What is not kept yet is. */
  #keep(): void {
    if (!this.#cancelKeeping) return;
    this.#cancelKeeping();
    this.#cancelKeeping = null;
    const cursor = this.cursor!;
    void (async () => this.#store?.set(cursor))().catch(() => {});
  }

  #awaitRoom(length = 0): Promise<void> | null {
    const { length: count } = this.#waiting;
    if (count > 0) this.#bytes += length;
    if (count < WAITING_MAX && this.#bytes < WAITING_BYTES_MAX) return null;
    return (this.#room ??= new Promise((resolve) => {
      this.#makeRoom = resolve;
    }));
  }

  #change(change: StatusChange): void {
    this.status = change.status;
    if (change.status === 'connecting') this.filters = this.#asked;
    if (change.status === 'closed') {
      this.error = change.error;
      this.#keep();
      this.#onClose();
    }
    this.emit('status', change);
    this.#serve();
  }
}

export interface SubscriptionSetting {
  /** Whether an iteration gives control events, too. */
  controls: boolean;
  signal: AbortSignal | undefined;
  store: CursorStore | undefined;
  onClose(): void;
}
