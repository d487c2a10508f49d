// The one stream that the frame and the board live on, whatever page is shown: alerts and their
// transitions. It goes through all faults by itself; how it is shows in `connection`, and each store
// takes what is its own.

import { Follower, ProblemError, sse, type Status, tabs, type TopicEvent } from '@bellwire/client';
import { signal } from '@preact/signals';

/** Where the server is: the page's own folder, whatever path a proxy gives it. */
export const base = typeof document === 'undefined' ? new URL('http://localhost/') : new URL('.', document.baseURI);

/**
 * All pages of a browser share one connection, since over HTTP/1.1 it has six for a server. Pages
 * without TLS cannot speak to each other: each has its own.
 */
const transport = typeof navigator !== 'undefined' && 'locks' in navigator ? tabs(sse) : sse;

/** Follows the server, for whichever page wants to follow more than the board. */
export const follower = new Follower(base, { transport });

const FOLLOWED = ['alerts/active', 'alerts/events/**'];

/** What takes events of some topics. */
export interface Receiver {
  /** Whether an event of this topic is its own. */
  takes(topic: string): boolean;
  event(event: TopicEvent): void;
  /** All values begin to come anew: what does not come before `ready` is gone. */
  begin?(): void;
  /** All that there is has come. */
  ready?(): void;
  gap?(from: string, to: string, reason: string): void;
}

export interface Connection {
  status: Status;
  /** Why it waits or is closed, in words. */
  reason: string;
  /** Whether all values have come at least once. */
  hasBegun: boolean;
  /** Since when it has been as it is, in milliseconds of `performance.now()`. */
  since: number;
  /** When anything was last heard of the server, heartbeats included. */
  heardAt: number | null;
  /** Ranges of events that this page will never see. */
  gaps: number;
  /** The server refuses it for want of a login (401). */
  isUnknown: boolean;
}

export const connection = signal<Connection>({
  status: 'connecting', reason: '', hasBegun: false, since: 0, heardAt: null, gaps: 0, isUnknown: false,
});

const receivers: Receiver[] = [];
let subscription: ReturnType<typeof follower.subscribe> | null = null;
let heardAt: number | null = null;

export function receive(receiver: Receiver): void {
  receivers.push(receiver);
}

/** When the server was last heard of: it changes too often to be a signal. */
export const lastHeard = (): number | null => heardAt;

const change = (changed: Partial<Connection>) => { connection.value = { ...connection.value, ...changed }; };

const heard = () => { heardAt = performance.now(); };

/** Opens the stream; once more after a login. */
export function openStream(): void {
  subscription?.close();
  const opened = follower.subscribe(FOLLOWED, { state: 'changes' });
  subscription = opened;
  let isBegun = false;
  const begin = () => {
    isBegun = true;
    for (const receiver of receivers) receiver.begin?.();
  };
  opened.addEventListener('status', ({ detail: { status, error, cursor } }) => {
    if (subscription !== opened) return;
    if (status === 'connecting' && cursor === null && !isBegun) begin();
    if (status === 'live') heard();
    change({ status, since: performance.now(), heardAt, reason: error?.message ?? '', isUnknown: isLoginWanted(error) });
  });
  opened.addEventListener('event', ({ detail }) => {
    heard();
    for (const receiver of receivers) if (receiver.takes(detail.topic)) receiver.event(detail);
  });
  opened.addEventListener('reset', begin);
  opened.addEventListener('ready', () => {
    heard();
    isBegun = false;
    for (const receiver of receivers) receiver.ready?.();
    change({ hasBegun: true, heardAt });
  });
  opened.addEventListener('heartbeat', heard);
  opened.addEventListener('gap', ({ detail: { from, to, reason } }) => {
    change({ gaps: connection.value.gaps + 1 });
    for (const receiver of receivers) receiver.gap?.(from, to, reason);
  });
}

const isLoginWanted = (error: unknown) => error instanceof ProblemError && error.status === 401;
