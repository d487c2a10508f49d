// The WebSocket as a transport: for where streams of HTTP do not come through, and for who sends often.

import { Commands } from './channel.js';
import { ConnectionError } from './errors.js';
import { asError } from './http.js';
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

function follow(socket: WebSocket, { clock, channels }: Opening, sink: Sink): Connection {
  const commands = new Commands(socket);
  let cancel = () => {};
  // Its heartbeats are pings, which no page sees: after as much silence it is asked.
  let silenceMs = Infinity;
  let isLeft = false;
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
    if (!isLeft) sink.sign();
    listen();
    try {
      // A reply is a sign, and no more.
      if (commands.take(data) || isLeft) return;
      const item = itemOf(data);
      if ('control' in item && item.control === 'ready') {
        channels.add(commands);
        silenceMs = item.heartbeat_interval_ms || Infinity;
        listen();
      }
      sink.item(item);
    } catch (fault) {
      leave();
      sink.closed(asError(fault));
    }
  };
  // Where a page's policy forbids it, Chromium tells of an error, and of no end.
  socket.onclose = socket.onerror = ({ code = 1006, reason = '' }: Partial<CloseEvent>) => {
    leave();
    commands.lose();
    sink.closed(new ConnectionError('connection_lost', `the WebSocket has ended: ${code} ${reason}`));
  };
  return { close: leave };
}
