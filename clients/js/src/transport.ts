// What a transport is to the rest: something that is opened at a cursor and gives what comes.

import type { Control, TopicEvent } from './api.js';
import type { Clock } from './clock.js';
import type { BellwireError } from './errors.js';

/** What comes in a stream, in its order. */
export type Item<Data = unknown> = TopicEvent<Data> | Control;

export function isControl(item: Item): item is Control {
  return 'control' in item;
}

/** What to ask of the server: a request of HTTP, and the command that does the same over a channel. */
export interface Outgoing {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array | undefined;
  /** Its members but for what is in the body, where there is such a command. */
  command?: { request: string; [member: string]: unknown };
}

/** A connection over which requests go, too. */
export interface Channel {
  /**
   * Resolves with the answer, or with `null` where the server refuses or there is no way to ask it
   * so: asked by HTTP it says more. Throws `ConnectionError` where it is lost before, and
   * `ProblemError` where it may be done although the server refuses.
   */
  ask(outgoing: Outgoing, signal: AbortSignal): Promise<unknown>;
}

/** How to ask, the same for all requests of a client. */
export interface Asking {
  fetch: typeof fetch;
  credentials: RequestCredentials | undefined;
  /** Those that are live; a transport that has some puts them here, and takes them away. */
  channels: Set<Channel>;
}

/** What to open. */
export interface Opening extends Asking {
  /** With all parameters, the cursor among them. */
  url: URL;
  /** The newest that is known: it may be another one later. */
  readonly token: string | null;
  clock: Clock;
}

/** The same at another address. */
export function openingAt(opening: Opening, url: URL): Opening {
  return { ...opening, url, get token() { return opening.token; } };
}

/**
 * Why one transport has taken the place of another: that one failed, or brought nothing; this one is
 * the better one; the application has asked for it; or it sends often, or does so no more.
 */
export type MoveReason = 'failed' | 'mute' | 'better' | 'asked' | 'sending' | 'quiet';

export interface Move {
  from: string;
  to: string;
  reason: MoveReason;
}

/** Who takes what comes. Once it is `closed`, or was closed from this side, nothing more comes. */
export interface Sink {
  /** Something came, be it a heartbeat. */
  sign(): void;
  item(item: Item): void;
  /**
   * Something to wait for before more is read, where too much waits to be taken; `length` is about how
   * many bytes were read.
   */
  room(length?: number): Promise<void> | null;
  /** The connection is over: for a reason, or because all topics have ended (`null`). */
  closed(error: BellwireError | null): void;
  /** What comes now comes over another transport; nothing of it is missing or there twice. */
  moved?(move: Move): void;
}

export interface Connection {
  close(): void;
}

export interface Transport {
  readonly name: string;
  /** Whether its connections are channels, too. */
  readonly isChannel?: boolean;
  open(opening: Opening, sink: Sink): Connection;
  /** Something is sent: for one that goes by how often that is. */
  sent?(clock: Clock): void;
}
