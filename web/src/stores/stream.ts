// The one stream that the frame and the board live on, whatever page is shown: alerts and their
// transitions. It goes through all faults by itself; how it is shows in `connection`, and each store
// takes what is its own.

import { Follower, ProblemError, sse, type Status, tabs, type TopicEvent } from './client.js';
import { signal } from '@preact/signals';
import { justTold } from './who.js';

/** Where the server is: the page's own folder, whatever path a proxy gives it. */
export const base = typeof document === 'undefined' ? new URL('http://localhost/') : new URL('.', document.baseURI);

/**
 * All pages of a browser share one connection, since over HTTP/1.1 it has six for a server. Pages
 * without TLS cannot speak to each other: each has its own.
 */
const transport = typeof navigator !== 'undefined' && 'locks' in navigator ? tabs(sse) : sse;

/** Asks the server, but for what it has just said. */
const asking: typeof fetch = async (to, init) => (`${to}`.endsWith('/v1/whoami') && justTold()) || fetch(to, init);

/** Follows the server, for whichever page wants to follow more than the board. */
export const follower = new Follower(base, { transport, fetch: asking });

/** What the frame and the board live on. */
export const FOLLOWED: readonly string[] = ['alerts/active', 'alerts/events/**'];

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
  /** The server ends the stream, and says why. */
  bye?(reason: string): void;
}

/** What a store follows on this stream besides, and how this page shows itself to others there. */
export interface Besides {
  topics: readonly string[];
  present?: unknown;
  presentId?: string;
}

export interface Connection {
  status: Status;
  /** Why it waits or is closed, in words. */
  reason: string;
  /** Whether all values have come at least once. */
  hasBegun: boolean;
  /** Since when it has been live, or not live, in milliseconds of `performance.now()`. */
  since: number;
  /** When anything was last heard of the server, heartbeats included. */
  heardAt: number | null;
  /** Ranges of events that this page will never see. */
  gaps: number;
  /** Why the server takes no events in, in its words; nothing where it does. */
  outage: string;
  /** The server refuses it for want of a login (401). */
  isUnknown: boolean;
  /** It refuses it for want of a right (403). */
  isForbidden: boolean;
}

export const connection = signal<Connection>({
  status: 'connecting', reason: '', hasBegun: false, since: 0, heardAt: null, gaps: 0, outage: '', isUnknown: false, isForbidden: false,
});

const receivers: Receiver[] = [];
let besides: () => Besides = () => ({ topics: [] });
let subscription: ReturnType<typeof follower.subscribe> | null = null;
/** The cursor of what has come. */
let reached: string | null = null;
let heardAt: number | null = null;

export function receive(receiver: Receiver): void {
  receivers.push(receiver);
}

/** Follows more on the same stream: it is asked each time that the stream is opened. */
export function followBesides(asked: () => Besides): void {
  besides = asked;
}

/** When the server was last heard of: it changes too often to be a signal. */
export const lastHeard = (): number | null => heardAt;

const change = (changed: Partial<Connection>) => { connection.value = { ...connection.value, ...changed }; };

const heard = () => { heardAt = performance.now(); };

/** What a cursor says of streams: values of state topics come anew behind it. */
const ofStreams = (cursor: string) => cursor.split('.', 1)[0]!;

/** Opens the stream, once more after a login: it goes on from where it was. */
export function openStream(): void {
  const cursor = subscription?.cursor ?? reached;
  reached = cursor;
  subscription?.close();
  const { topics, ...shown } = besides();
  const opened = follower.subscribe([...FOLLOWED, ...topics], {
    state: 'changes', ...shown, ...(cursor !== null && { after: ofStreams(cursor) }),
  });
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
    const { status: before, since } = connection.value;
    change({
      // Who tries again and again is away all the while.
      status, since: (before === 'live') === (status === 'live') ? since : performance.now(), heardAt, reason: error?.message ?? '',
      isUnknown: isRefused(error, 401), isForbidden: isRefused(error, 403),
    });
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
    // Behind it a server that takes none in says so.
    change({ hasBegun: true, heardAt, outage: '' });
  });
  opened.addEventListener('heartbeat', heard);
  opened.addEventListener('degraded', ({ detail: { detail } }) => change({ outage: detail }));
  opened.addEventListener('restored', () => change({ outage: '' }));
  opened.addEventListener('gap', ({ detail: { from, to, reason } }) => {
    change({ gaps: connection.value.gaps + 1 });
    for (const receiver of receivers) receiver.gap?.(from, to, reason);
  });
  opened.addEventListener('bye', ({ detail: { reason } }) => {
    for (const receiver of receivers) receiver.bye?.(reason);
  });
}

/** Ends the stream until somebody is logged in: what is on the page stays, and is not live. */
export function closeStream(): void {
  reached = subscription?.cursor ?? reached;
  const closed = subscription;
  subscription = null;
  closed?.close();
  change({ status: 'closed', since: performance.now(), reason: '', isUnknown: true, isForbidden: false });
}

/** Whether it is opened: it may be on its way, or wait to be tried again. */
export const isStreamOpen = (): boolean => subscription !== null && subscription.status !== 'closed';

const isRefused = (error: unknown, status: number) => error instanceof ProblemError && error.status === status;
