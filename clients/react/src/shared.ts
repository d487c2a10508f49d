// One thing of the server that components follow together: it is opened when the first of them asks
// for it, and closed a while after the last has gone.

import type { BellwireError, Client, Status, StatusChange } from '@bellwire/client';

/**
 * How long what nobody follows any more stays open, in milliseconds: who comes back within that finds
 * it as it was. Effects that run twice (StrictMode) and pages that follow each other open nothing anew.
 */
export const LINGER_MS = 1_000;

/** How much time is between two looks of components at least, in milliseconds, however much comes. */
export const LOOK_MS = 16;

/** How it is with what is followed. */
export interface Health {
  /** That of the client, or `idle` where nothing is followed. */
  readonly status: Status | 'idle';
  /** Why it waits or is closed; `null` where nothing is wrong. */
  readonly error: BellwireError | null;
  /** While it waits: how long it does, in milliseconds. */
  readonly retryInMs: number | null;
}

export const IDLE: Health = Object.freeze({ status: 'idle', error: null, retryInMs: null });
export const CONNECTING: Health = Object.freeze({ ...IDLE, status: 'connecting' });

/** A subscription or a state, as far as all of them are alike. */
interface Source {
  addEventListener(type: 'status', listener: (event: CustomEvent<StatusChange>) => void): void;
  close(): void;
}

/** Something that was opened, and what components are shown of it beside its health. */
export interface Feed<Part> {
  readonly source: Source;
  /** The same parts until something has changed. */
  part(): Part;
}

/** Opens it; `changed` says that there is another part. */
export type Open<Part, Of extends Feed<Part>> = (client: Client, changed: () => void) => Of;

export class Shared<Part extends object, Of extends Feed<Part> = Feed<Part>> {
  /** What components are shown: the same object until they are to look again. */
  view: Part & Health;
  readonly feed: Of;
  health: Health = CONNECTING;
  readonly #looks = new Set<() => void>();
  #closing: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  #lookedAt = -Infinity;

  /** `settled` hears of another health, `gone` that it is closed and no longer to be shared. */
  constructor(
    client: Client,
    open: Open<Part, Of>,
    initial: Part & Health,
    private readonly settled: () => void,
    private readonly gone: () => void,
  ) {
    this.view = initial;
    this.feed = open(client, () => this.#change());
    this.feed.source.addEventListener('status', ({ detail: { status, error, retryInMs } }) => {
      this.health = { status, error, retryInMs };
      this.#change();
      this.settled();
      if (status === 'closed' && this.#looks.size === 0) this.gone();
    });
  }

  /** Somebody follows it, and is told when to look again, until the function that it gives is called. */
  hold(look: () => void): () => void {
    clearTimeout(this.#closing);
    // A function of its own: the same one may come twice.
    const own = () => look();
    this.#looks.add(own);
    return () => {
      this.#looks.delete(own);
      if (this.#looks.size > 0) return;
      // What was refused is asked for anew by whoever comes next.
      if (this.health.status === 'closed') this.gone();
      else this.#closing = setTimeout(() => this.#close(), LINGER_MS);
    };
  }

  #close(): void {
    this.gone();
    this.feed.source.close();
  }

  /** A burst is one look, and a flood no more of them than a screen can show. */
  #change(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const wait = this.#lookedAt + LOOK_MS - performance.now();
    if (wait > 0) setTimeout(() => this.#look(), wait);
    else queueMicrotask(() => this.#look());
  }

  #look(): void {
    this.#isDue = false;
    this.#lookedAt = performance.now();
    this.view = { ...this.feed.part(), ...this.health };
    for (const look of [...this.#looks]) look();
  }
}
