// A network that tests can cut: a TCP proxy in front of the server.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Starts one; `url` is what clients are told, `atEnd` gets what closes it. */
export async function startWire(server, atEnd) {
  const { hostname, port } = new URL(server.url);
  const pairs = new Set();
  const wire = {
    /** How many connections there were. */
    connections: 0,
    /** Nothing of the server reaches clients, and nobody is told. */
    isMute: false,
    /** What connects meanwhile is ended like what is cut. */
    isDown: false,
    /** Nothing of the server reaches those whose first request this says so of, by its head. */
    isHeldBack: () => false,
    /**
     * Ends all connections, without a word, but for those on which nothing was asked yet: where such a
     * one ends, the `fetch` of Node 20 may wait without end, and each test until that is noticed.
     */
    cut() {
      for (const { near, far } of pairs) {
        if (near.bytesRead === 0) continue;
        near.destroy();
        far.destroy();
      }
    },
  };
  const listener = createServer((near) => {
    if (wire.isDown) return void near.on('error', () => {}).once('data', () => near.destroy());
    wire.connections += 1;
    const far = connect(Number(port), hostname);
    const pair = { near, far, isHeldBack: false };
    pairs.add(pair);
    near.on('data', (bytes) => {
      pair.isHeldBack = wire.isHeldBack(bytes.toString('latin1').toLowerCase());
      far.write(bytes);
    });
    far.on('data', (bytes) => { if (!wire.isMute && !pair.isHeldBack) near.write(bytes); });
    for (const [end, other] of [[near, far], [far, near]]) {
      end.on('error', () => {});
      end.on('close', () => {
        if (end === near) pairs.delete(pair);
        // As in `cut`: while the server is away, too, a connection ends once something was asked.
        if (other === near && near.bytesRead === 0) near.once('data', () => near.destroy());
        else other.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  atEnd(() => {
    for (const { near } of pairs) near.destroy();
    listener.close();
  });
  wire.url = `http://127.0.0.1:${listener.address().port}`;
  return wire;
}

/** Numbers from 0 to 1 that a seed decides. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What random tests begin with: another each time, unless the variable says otherwise. */
export const SEED = Number(process.env.BELLWIRE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
