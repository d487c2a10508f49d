// What befalls nodes and their engine, by a seed: each is killed, stands still or drains for a while,
// and comes back; a node also loses all that it has, or is parted from the engine.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** How long a node may take to come back, where its engine is away meanwhile. */
const PATIENCE_MS = 120_000;
const RETRY_MS = 100;
/** What stands still for longer than proxies and engines wait is given up by them; most do not. */
const AWAY_MS = { kill: 2_000, pause: 6_000, drain: 1_000, lose: 15_000, part: 12_000 };
/** What a node says that had no other way than another's snapshot. */
const SNAPSHOT = 'The snapshot is in place.';

/** Faults of one kind of thing, one after the other, until it is told to stop. */
export class Trouble {
  /** How often each has come. */
  counts = {};
  #random;
  #intervalMs;
  #isOver = false;
  #wake = () => {};

  /** From one fault's end to the next it is quiet for up to `intervalMs`. */
  constructor(random, intervalMs) {
    this.#random = random;
    this.#intervalMs = intervalMs;
  }

  /** Plays faults of these kinds; all is well again when it resolves, after `stop`. */
  async run(name, kinds) {
    while (!this.#isOver) {
      await this.#quiet(this.#random() * this.#intervalMs);
      if (this.#isOver) return;
      const [kind, play] = kinds[Math.floor(this.#random() * kinds.length)];
      this.counts[`${name} ${kind}`] = (this.counts[`${name} ${kind}`] ?? 0) + 1;
      await play(this.#random, this.#random() * AWAY_MS[kind], this.counts);
    }
  }

  stop() {
    this.#isOver = true;
    this.#wake();
  }

  #quiet(ms) {
    const waits = new AbortController();
    this.#wake = () => waits.abort();
    return setTimeout(ms, undefined, { signal: waits.signal }).catch(() => {});
  }
}

/** Starts a node again and again: it gives up where its engine is away for ten seconds. */
async function startAgain(node) {
  for (const deadline = Date.now() + PATIENCE_MS; ; await setTimeout(RETRY_MS)) {
    try {
      return await node.start();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** Has the others forget a node that does not come back under this name: it holds their log no longer. */
async function forget(nodes, id) {
  for (const deadline = Date.now() + PATIENCE_MS; ; await setTimeout(RETRY_MS)) {
    for (const { url } of nodes) {
      const signal = AbortSignal.timeout(RETRY_MS * 20);
      const answer = await fetch(`${url}/v1/nodes/${id}`, { method: 'DELETE', signal }).catch(() => null);
      if (answer?.ok) return;
    }
    if (Date.now() > deadline) throw new Error(`no node forgets ${id}`);
  }
}

const snapshotsOf = (node) => node.output.split(SNAPSHOT).length - 1;

/** What may befall one of the nodes, each of which reaches the engine through a gate of its own. */
export function ofNodes(nodes, gates) {
  const one = (random) => nodes[Math.floor(random() * nodes.length)];
  const ends = (signal) => async (random, ms) => {
    const node = one(random);
    await node.end(signal);
    await setTimeout(ms);
    await startAgain(node);
  };
  const pause = async (random, ms) => {
    const node = one(random);
    node.signal('SIGSTOP');
    await setTimeout(ms);
    node.signal('SIGCONT');
  };
  // It gets everything from the others, from a snapshot of theirs where the log is trimmed by then.
  const lose = async (random, ms, counts) => {
    const node = one(random);
    const id = readFileSync(join(node.data, 'node'), 'utf8').trim();
    await node.end('SIGKILL');
    rmSync(node.data, { recursive: true });
    await forget(nodes.filter((other) => other !== node), id);
    await setTimeout(ms);
    const before = snapshotsOf(node);
    await startAgain(node);
    counts.snapshots = (counts.snapshots ?? 0) + Number(snapshotsOf(node) > before);
  };
  const part = async (random, ms) => {
    const gate = gates[Math.floor(random() * gates.length)];
    gate.shut();
    await setTimeout(ms);
    gate.open();
  };
  return [['kill', ends('SIGKILL')], ['pause', pause], ['drain', ends('SIGTERM')], ['lose', lose], ['part', part]];
}

/** What may befall the engine. */
export function ofEngine(engine) {
  const kill = async (_, ms) => {
    await engine.kill();
    await setTimeout(ms);
    await engine.start();
  };
  const pause = async (_, ms) => {
    engine.signal('SIGSTOP');
    await setTimeout(ms);
    engine.signal('SIGCONT');
  };
  return [['kill', kill], ['pause', pause]];
}
