// To publish, and to wait until the event has come back: whoever then looks at what came has it.

import type { Published } from './api.js';
import type { Cancel, Clock } from './clock.js';
import { UnsentError } from './errors.js';
import { topicsOf } from './filters.js';
import { type SendOptions, TIMEOUT_MS } from './outbox.js';
import type { Subscription } from './subscription.js';
import { isControl, type Item } from './transport.js';

/** What is published, and who may see it come back. */
export interface Echoing {
  topic: string;
  key: string | undefined;
  idempotencyKey: string;
  options: SendOptions;
  subscriptions: Iterable<Subscription<unknown, unknown>>;
  clock: Clock;
  send(): Promise<Published>;
}

/** See `echo`. */
export type Echo = (echoing: Echoing) => Promise<Published>;

/**
 * For `publish`: resolves once a subscription of the same client that follows the topic has handed
 * out the event, behind all that came before it; or where that has passed it, because a newer value of
 * the key has taken its place, or a gap covers it. Rejects with an `UnsentError`: `not_followed`
 * where there is no such subscription, and nothing is sent then; `unanswered`, `aborted` or `closed`
 * where the event is published and has not come back.
 */
export const echo: Echo = async ({ topic, key, idempotencyKey, options, subscriptions, clock, send }) => {
  const { signal, timeoutMs = TIMEOUT_MS } = options;
  const fault = (code: string, mayBeTaken: boolean, why: string) => new UnsentError(code, `${topic}: ${why}`, idempotencyKey, mayBeTaken);
  const following = [...subscriptions].filter(({ status, filters }) => status !== 'closed' && topicsOf(filters).test(topic));
  if (following.length === 0) throw fault('not_followed', false, 'no subscription follows it: subscribe first');
  const watches = following.map((subscription) => new Watch(subscription, topic, key));
  let isLate = false;
  let late = () => {};
  const cancels: Cancel[] = [clock.after(timeoutMs, () => {
    isLate = true;
    late();
  })];
  try {
    const published = await send();
    await new Promise<void>((resolve, reject) => {
      const fail = (code: string, why: string) => reject(fault(code, true, `it is published, and ${why}`));
      const abort = () => fail('aborted', 'the wait for it was aborted');
      const look = () => {
        if (watches.some((watch) => watch.hasPassed(published))) resolve();
        else if (following.every(({ status }) => status === 'closed')) fail('closed', 'what follows it was closed');
        else if (signal?.aborted) abort();
        else if (isLate) fail('unanswered', 'has not come back in time');
      };
      for (const watch of watches) watch.look = look;
      signal?.addEventListener('abort', abort);
      late = look;
      cancels.push(() => signal?.removeEventListener('abort', abort));
      look();
    });
    return published;
  } finally {
    for (const cancel of cancels) cancel();
    for (const watch of watches) watch.stop();
  }
};

/** How far a subscription is, as far as one event is concerned. */
class Watch {
  look = () => {};
  /** The newest version of the key that was handed out. */
  #version: string | undefined;
  /** Up to where there was a gap; and the epochs that ended with one. */
  #gapTo: string | undefined;
  readonly #ended: string[] = [];
  /** What there is comes anew: the event with it, or not at all. */
  #isAnew = false;
  #cameAnew = false;
  /** The published position is known. */
  #isPublished = false;

  constructor(
    private readonly subscription: Subscription<unknown, unknown>,
    private readonly topic: string,
    private readonly key: string | undefined,
  ) {
    subscription.watchers.add(this.#hear);
    subscription.addEventListener('status', this.#change);
  }

  stop(): void {
    this.subscription.watchers.delete(this.#hear);
    this.subscription.removeEventListener('status', this.#change);
  }

  hasPassed({ cursor, version, end, reopened }: Published): boolean {
    this.#isPublished = true;
    if (version !== undefined) {
      // On the disk a version is a cursor, and says nothing of how far the values have come.
      const upTo = version.startsWith('s') ? this.subscription.cursor : null;
      return this.#cameAnew || reaches(this.#version, version) || reaches(upTo, version);
    }
    const at = cursor ?? end ?? reopened ?? '';
    return [this.subscription.cursor, this.#gapTo].some((upTo) => reaches(upTo, at)) || this.#ended.includes(lifeOf(at));
  }

  readonly #hear = (item: Item): void => {
    if (!isControl(item)) {
      if (item.topic === this.topic && item.key === this.key) this.#version = item.version ?? this.#version;
    } else if (item.control === 'gap') {
      this.#gapTo = item.to;
      if (item.reason === 'epoch') this.#ended.push(lifeOf(item.from));
    } else if (item.control === 'reset') {
      this.#isAnew = this.#isPublished;
    } else if (item.control === 'ready') {
      this.#cameAnew ||= this.#isAnew;
    }
    // The cursor is moved behind this.
    queueMicrotask(this.look);
  };

  readonly #change = ({ detail: { status } }: { detail: { status: string } }): void => {
    if (status === 'connecting') this.#isAnew = this.#isPublished;
    this.look();
  };
}

/** Whether a position, of which a cursor may have several, is this one or a later one of the same life. */
function reaches(position: string | null | undefined, at: string): boolean {
  return (position ?? '').split('.').some((part) => lifeOf(part) === lifeOf(at) && numberOf(part) >= numberOf(at));
}

const lifeOf = (position: string) => position.split('-', 1)[0]!;
const numberOf = (position: string) => Number.parseInt(position.slice(position.indexOf('-') + 1), 10);
