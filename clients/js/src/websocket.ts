// The WebSocket as a transport: for where streams of HTTP do not come through, and for who sends often.

import { Commands } from './channel.js';
import { ConnectionError, ProblemError } from './errors.js';
import { ask, asError } from './http.js';
import { itemOf, MEDIA_TYPE } from './sse.js';
import type { Connection, Opening, Sink, Transport } from './transport.js';

/** What is asked then: it changes nothing, and whatever is replied is a sign. */
const PROBE = '{"request":"unsubscribe","id":"probe","topics":[]}';

/**
 * How much has to come over a socket before it is closed because nobody takes it: events, of 16 KiB
 * each at most. What was sent meanwhile has to be sent again.
 */
const CAME_MIN = 1_024;
const EVENT_LENGTH = 16_384;

export interface WebSocketOptions {
  /** In place of the global one, which Node 20 does not have: such as that of the package `ws`. */
  WebSocket?: typeof WebSocket;
}

/** Browsers set no headers there: a token goes along as a subprotocol. */
export function webSocket(options: WebSocketOptions = {}): Transport {
  return {
    name: 'websocket',
    isChannel: true,
    open(opening, sink): Connection {
      try {
        const Socket = options.WebSocket ?? globalThis.WebSocket;
        return follow(new Socket(addressOf(opening.url), protocolsOf(opening)), opening, sink);
      } catch (cause) {
        const error = new ConnectionError('connection_failed', 'there is no WebSocket here', cause);
        queueMicrotask(() => sink.closed(error));
        return { close: () => {} };
      }
    },
  };
}

function addressOf(url: URL): URL {
  const address = new URL(url);
  address.protocol = url.protocol.replace('http', 'ws');
  return address;
}

function protocolsOf({ token }: Opening): string[] {
  return ['bellwire.v1.json', ...(token === null ? [] : [`bellwire.bearer.${token}`])];
}

function follow(socket: WebSocket, opening: Opening, sink: Sink): Connection {
  const { clock, channels } = opening;
  const commands = new Commands(socket);
  const control = new AbortController();
  let cancel = () => {};
  // Its heartbeats are pings, which no page sees: after as much silence it is asked.
  let silenceMs = Infinity;
  let isLeft = false;
  let hasSign = false;
  let isReady = false;
  /** How much has come behind which it would go on. */
  let came = 0;
  const listen = () => {
    cancel();
    if (silenceMs === Infinity || isLeft) return;
    cancel = clock.after(silenceMs, () => {
      socket.send(PROBE);
      listen();
    });
  };
  const leave = () => {
    isLeft = true;
    cancel();
    channels.delete(commands);
    commands.leave();
  };
  socket.onmessage = ({ data }) => {
    hasSign = true;
    if (!isLeft) sink.sign();
    listen();
    try {
      // A reply is a sign, and no more.
      if (commands.take(data) || isLeft) return;
      const item = itemOf(data);
      if ('control' in item && item.control === 'ready') {
        channels.add(commands);
        isReady = true;
        silenceMs = item.heartbeat_interval_ms || Infinity;
        listen();
      }
      sink.item(item);
      // Values before it is ready would come again, each time.
      if (isReady || 'cursor' in item) came += 1 + data.length / EVENT_LENGTH;
      const room = came < CAME_MIN || isLeft ? null : sink.room(data.length);
      if (!room) return;
      // No page can say that it is to send no more.
      leave();
      void room.then(() => sink.closed(new ConnectionError('connection_held', 'what came was not taken')));
    } catch (fault) {
      leave();
      sink.closed(asError(fault));
    }
  };
  // Where a page's policy forbids it, Chromium tells of an error, and of no end.
  socket.onclose = socket.onerror = ({ code = 1006, reason = '' }: Partial<CloseEvent>) => {
    const wasLeft = isLeft;
    leave();
    commands.lose();
    if (wasLeft) return;
    const lost = () => sink.closed(new ConnectionError('connection_lost', `the WebSocket has ended: ${code} ${reason}`));
    // Without a token that could have ended it may as well be the way that is closed.
    if (hasSign || opening.token === null) return lost();
    refused(opening, control.signal).then(lost, (fault) => sink.closed(asError(fault)));
  };
  const close = () => {
    leave();
    control.abort();
  };
  return { close };
}

/** Throws what HTTP says against it: of a socket that does not open no page is told why. */
async function refused(opening: Opening, signal: AbortSignal): Promise<void> {
  const url = new URL(opening.url);
  url.searchParams.set('refusals', 'status');
  const request = (method: string) => ask(opening, opening.token, url, { method, headers: { accept: MEDIA_TYPE }, signal });
  try {
    await request('HEAD');
  } catch (fault) {
    if (!(fault instanceof ProblemError)) throw fault;
    // Its body says more.
    await (await request('GET')).body?.cancel();
  }
}
