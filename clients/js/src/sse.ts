// Server-Sent Events over `fetch`: statuses, heartbeats and headers can be seen, which an
// `EventSource` hides.

import { asError, ask, stranger } from './http.js';
import { ConnectionError, ProtocolError } from './errors.js';
import { SseParser } from './parser.js';
import type { Connection, Item, Opening, Sink, Transport } from './transport.js';

export const MEDIA_TYPE = 'text/event-stream';

export const sse: Transport = {
  name: 'sse',
  open(opening, sink): Connection {
    const control = new AbortController();
    read(opening, sink, control.signal).then(
      () => sink.closed(null),
      (fault) => {
        // What is not read to its end would hold its connection.
        control.abort();
        sink.closed(asError(fault));
      },
    );
    return { close: () => control.abort() };
  },
};

/** Reads until all topics have ended; throws where the stream ends otherwise. */
async function read(opening: Opening, sink: Sink, signal: AbortSignal): Promise<void> {
  const url = new URL(opening.url);
  // It can read statuses, and needs none in the stream.
  url.searchParams.set('refusals', 'status');
  const response = await ask(opening, opening.token, url, { headers: { accept: MEDIA_TYPE }, signal });
  if (response.status === 204) return;
  if (!response.headers.get('content-type')?.toLowerCase().startsWith(MEDIA_TYPE) || !response.body) {
    throw new ProtocolError('not_bellwire', `${url.origin} gives no stream of events: is it a Bellwire?`);
  }
  const reader = response.body.getReader();
  // A `fetch` that an application gives may not look at the signal.
  const cancel = () => void reader.cancel().catch(() => {});
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel);
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parser = new SseParser({ event: ({ data }) => sink.item(itemOf(data)) });
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new ConnectionError('connection_lost', 'the stream has ended');
    sink.sign();
    try {
      parser.push(decoder.decode(value, { stream: true }));
    } catch (cause) {
      throw cause instanceof RangeError ? malformed(cause) : cause;
    }
    const room = sink.room(value.length);
    if (room) await room;
  }
}

/** What a frame holds; it is an event or a control event. */
export function itemOf(text: string): Item {
  let item: unknown;
  try {
    item = JSON.parse(text);
  } catch (cause) {
    throw malformed(cause);
  }
  return checked(item);
}

/** What came, if it is an event or a control event. */
export function checked(item: unknown): Item {
  if (typeof item === 'object' && item && ('topic' in item || 'control' in item)) return item as Item;
  throw stranger();
}

function malformed(cause: unknown): ProtocolError {
  return new ProtocolError('frame_malformed', 'what came is no event', cause);
}
