// A connection that a page has for as long as it is looked at, and what pages say of themselves.

import type { Cancel } from './clock.js';
import { ConnectionError } from './errors.js';
import type { Connection, Opening, Sink, Transport } from './transport.js';

/** Opens it once the page is looked at, and gives it up while it is not. */
export function alone(inner: Transport, opening: Opening, sink: Sink): Connection {
  let connection: Connection | null = null;
  const look = () => {
    if (!globalThis.document?.hidden) {
      connection ??= inner.open(opening, sink);
    } else if (connection) {
      close();
      sink.closed(new ConnectionError('connection_lost', 'a page that is not looked at gives its connection up'));
    }
  };
  const stop = listen(['visibilitychange'], look);
  const close = () => {
    stop();
    connection?.close();
  };
  look();
  return { close };
}

/** Listens to the page. */
export function listen(types: readonly string[], heard: () => void): Cancel {
  const targets: EventTarget[] = [globalThis, globalThis.document].filter((target) => target?.addEventListener);
  for (const target of targets) for (const type of types) target.addEventListener(type, heard);
  return () => {
    for (const target of targets) for (const type of types) target.removeEventListener(type, heard);
  };
}
