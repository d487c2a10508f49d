// What befalls nodes and their engine, by a seed: each is killed, stands still or drains for a while,
// and comes back.

import { setTimeout } from 'node:timers/promises';

/** How long a node may take to come back, where its engine is away meanwhile. */
const PATIENCE_MS = 120_000;
const RETRY_MS = 100;
/** What stands still for longer than proxies and engines wait is given up by them; most do not. */
const AWAY_MS = { kill: 2_000, pause: 6_000, drain: 1_000 };

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
      await play(this.#random, this.#random() * AWAY_MS[kind]);
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

/** What may befall one of the nodes. */
export function ofNodes(nodes) {
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
  return [['kill', ends('SIGKILL')], ['pause', pause], ['drain', ends('SIGTERM')]];
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
