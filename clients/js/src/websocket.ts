// The WebSocket as a transport: for where streams of HTTP do not come through.

import { asError } from './http.js';
import { ConnectionError } from './errors.js';
import { itemOf } from './sse.js';
import type { Connection, Opening, Sink, Transport } from './transport.js';

/** What is asked then: it changes nothing, and whatever is replied is a sign. */
const PROBE = '{"request":"unsubscribe","id":"probe","topics":[]}';

export interface WebSocketOptions {
  /** In place of the global one, which Node 20 does not have: such as that of the package `ws`. */
  WebSocket?: typeof WebSocket;
}

/** Browsers set no headers there: a token goes along as a subprotocol. */
export function webSocket(options: WebSocketOptions = {}): Transport {
  return {
    name: 'websocket',
    open(opening, sink): Connection {
      let socket: WebSocket | null = null;
      try {
        const Socket = options.WebSocket ?? globalThis.WebSocket;
        socket = follow(new Socket(addressOf(opening.url), protocolsOf(opening)), opening, sink);
      } catch (cause) {
        const error = new ConnectionError('connection_failed', 'there is no WebSocket here', cause);
        queueMicrotask(() => sink.closed(error));
      }
      return { close: () => socket?.close() };
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

function follow(socket: WebSocket, { clock }: Opening, sink: Sink): WebSocket {
  let cancel = () => {};
  // Its heartbeats are pings, which no page sees: after as much silence it is asked.
  let silenceMs = Infinity;
  const listen = () => {
    cancel();
    if (silenceMs === Infinity) return;
    cancel = clock.after(silenceMs, () => {
      socket.send(PROBE);
      listen();
    });
  };
  socket.onmessage = ({ data }) => {
    sink.sign();
    listen();
    try {
      // A reply is a sign, and no more.
      if (data.startsWith('{"reply":')) return;
      const item = itemOf(data);
      if ('control' in item && item.control === 'ready' && item.heartbeat_interval_ms > 0) {
        silenceMs = item.heartbeat_interval_ms;
        listen();
      }
      sink.item(item);
    } catch (fault) {
      socket.close();
      sink.closed(asError(fault));
    }
  };
  socket.onclose = ({ code, reason }) => {
    cancel();
    sink.closed(new ConnectionError('connection_lost', `the WebSocket has ended: ${code} ${reason}`));
  };
  socket.onerror = () => {};
  return socket;
}
