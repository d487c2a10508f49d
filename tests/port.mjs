// Ports for those who are told theirs before they listen.

import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that systems give out by themselves, so that nobody gets one by chance. */
const PORT_MIN = 20_000;
const PORTS_PER_PROCESS = 10;
const BLOCKS = 1_000;
const PORTS = BLOCKS * PORTS_PER_PROCESS;
/** How far the next block is that is taken where one's own is used up: neighbours have the next. */
const STRIDE = 331;

/** Test files run side by side, each in a process of its own: so they do not ask for the same. */
const own = process.pid * PORTS_PER_PROCESS;
/** Those that were given out: who got one may not listen yet. */
const given = new Set();

/** A port at which nobody listens, and that no other test has got. */
export async function freePort() {
  for (let tries = 0; tries < PORTS; tries += 1) {
    // One's own in turn, and then those of others.
    const further = Math.floor(tries / PORTS_PER_PROCESS) * PORTS_PER_PROCESS * STRIDE;
    const port = PORT_MIN + ((own + further + (tries % PORTS_PER_PROCESS)) % PORTS);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`all ports from ${PORT_MIN} on are taken`);
}

async function isFree(port) {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
