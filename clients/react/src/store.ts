// All that the components below a provider follow, by what they ask for.

import type { Client } from '@bellwire/client';
import { type Feed, type Health, IDLE, type Open, Shared } from './shared.js';

/** What is told of several, the first that holds of any of them. */
const ORDER = ['waiting', 'connecting', 'live', 'closed'] as const;

export class Store {
  /** How it is with all of it together: the same object until that is another. */
  health: Health = IDLE;
  readonly #shared = new Map<string, Shared<object>>();
  readonly #watchers = new Set<() => void>();

  constructor(readonly client: Client) {}

  /** What is followed under the key, and nothing where nobody does. */
  find<Part extends object>(key: string): Shared<Part> | undefined {
    return this.#shared.get(key) as Shared<Part> | undefined;
  }

  /** What is followed under the key, opened where nobody does yet. */
  shared<Part extends object, Of extends Feed<Part>>(key: string, open: Open<Part, Of>, initial: Part & Health): Shared<Part, Of> {
    const found = this.#shared.get(key);
    if (found) return found as unknown as Shared<Part, Of>;
    const gone = () => {
      if (this.#shared.get(key) === (made as unknown)) this.#shared.delete(key);
      this.#settle();
    };
    const made = new Shared(this.client, open, initial, () => this.#settle(), gone);
    this.#shared.set(key, made as unknown as Shared<object>);
    this.#settle();
    return made;
  }

  /** Somebody wants to know of another `health`. */
  watch(look: () => void): () => void {
    this.#watchers.add(look);
    return () => this.#watchers.delete(look);
  }

  #settle(): void {
    const all = [...this.#shared.values()].map(({ health }) => health);
    const status = ORDER.find((status) => all.some((health) => health.status === status)) ?? 'idle';
    const error = (all.find((health) => health.error && health.status === status) ?? all.find(({ error }) => error))?.error ?? null;
    const waits = all.flatMap(({ retryInMs }) => (retryInMs === null ? [] : [retryInMs]));
    const retryInMs = waits.length > 0 ? Math.min(...waits) : null;
    const before = this.health;
    if (before.status === status && before.error === error && before.retryInMs === retryInMs) return;
    this.health = { status, error, retryInMs };
    for (const look of [...this.#watchers]) look();
  }
}

const stores = new WeakMap<Client, Store>();

/** That of a client: all who are given the same client share what they follow. */
export function storeOf(client: Client): Store {
  let store = stores.get(client);
  if (!store) stores.set(client, (store = new Store(client)));
  return store;
}
