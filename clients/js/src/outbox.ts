// What is sent, in order and one at a time: it waits for the network, within bounds, and what could
// not be sent is handed back.

import type { Backoff } from './backoff.js';
import type { Clock } from './clock.js';
import { BellwireError, ProblemError, UnsentError } from './errors.js';
import { asError, ask, refusal, remedy } from './http.js';
import type { Token } from './token.js';
import type { Asking } from './transport.js';
import { watchWakes } from './wake.js';

/** How many requests may wait. */
export const OUTBOX_MAX = 1_000;
/** How many characters of bodies, or bytes of binary ones, may wait. */
export const OUTBOX_LENGTH_MAX = 16 * 1024 * 1024;
/** How long one try may take, in milliseconds: a connection may be dead without a word. */
export const TRY_MS = 15_000;
/** How long something is tried, in milliseconds, where nobody says otherwise. */
export const TIMEOUT_MS = 60_000;

export interface SendOptions {
  /** Ends the tries. */
  signal?: AbortSignal;
  /** After how many milliseconds it is handed back; 60 s by default. */
  timeoutMs?: number;
}

/** What to ask of the server. */
export interface Outgoing {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array | null;
  /** Whether it does the same when it comes twice. If not, it is not sent again once it may be there. */
  isRepeatable: boolean;
  idempotencyKey: string | null;
}

interface Letter extends Outgoing {
  resolve(answer: unknown): void;
  reject(error: BellwireError): void;
  /** Ends a request that is under way, for good. */
  control: AbortController;
  hasRefreshed: boolean;
  mayBeTaken: boolean;
  forget(): void;
}

export interface OutboxSetting {
  asking: Asking;
  base: URL;
  clock: Clock;
  backoff: Backoff;
  token: Token;
  max: number;
}

export class Outbox {
  readonly #waiting: Letter[] = [];
  #length = 0;
  #isSending = false;

  constructor(private readonly setting: OutboxSetting) {}

  /** How many requests wait, the one that is under way included. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves with what the server answers, or rejects: with its refusal, or as `UnsentError`. */
  send(outgoing: Outgoing, { signal, timeoutMs = TIMEOUT_MS }: SendOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const length = outgoing.body?.length ?? 0;
      const letter: Letter = {
        ...outgoing, resolve, reject, control: new AbortController(), hasRefreshed: false, mayBeTaken: false,
        forget: () => {},
      };
      if (signal?.aborted) return this.#handBack(letter, 'aborted');
      if (this.#waiting.length >= this.setting.max || this.#length + length > OUTBOX_LENGTH_MAX) {
        return this.#handBack(letter, 'queue_full');
      }
      const abort = () => this.#handBack(letter, 'aborted');
      const cancel = this.setting.clock.after(timeoutMs, () => this.#handBack(letter, 'unanswered'));
      signal?.addEventListener('abort', abort);
      letter.forget = () => {
        cancel();
        signal?.removeEventListener('abort', abort);
        this.#length -= length;
      };
      this.#waiting.push(letter);
      this.#length += length;
      if (!this.#isSending) void this.#sendAll();
    });
  }

  /** All that waits is handed back. */
  close(): void {
    for (const letter of [...this.#waiting]) this.#handBack(letter, 'closed');
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let letter; (letter = this.#waiting[0]); ) {
      try {
        const answer = await this.#ask(letter);
        this.setting.backoff.reset();
        this.#settle(letter);
        letter.resolve(answer);
      } catch (fault) {
        await this.#failed(letter, asError(fault));
      }
    }
    this.#isSending = false;
  }

  async #ask(letter: Letter): Promise<unknown> {
    const { asking, base, token, clock } = this.setting;
    const shown = await token.get();
    const { method, headers, body } = letter;
    const { signal } = letter.control;
    if (signal.aborted) throw new BellwireError('aborted', '');
    const hadBeen = letter.mayBeTaken;
    letter.mayBeTaken = true;
    const once = new AbortController();
    const abort = () => once.abort();
    const cancel = clock.after(TRY_MS, abort);
    signal.addEventListener('abort', abort);
    let error;
    try {
      const request = { method, headers: { ...headers }, body: body as BodyInit | null, signal: once.signal };
      const response = await ask(asking, shown, new URL(letter.path, base), request);
      if (response.ok) {
        const text = await response.text();
        return text ? JSON.parse(text) : null;
      }
      error = await refusal(response);
    } finally {
      cancel();
      signal.removeEventListener('abort', abort);
    }
    // What the server refuses it has not taken; what another server says for it may be wrong.
    if (error.code !== 'unexpected_status') letter.mayBeTaken = hadBeen;
    if (remedy(error) === 'token' && token.canRefresh && !letter.hasRefreshed) {
      letter.hasRefreshed = true;
      await token.refresh(shown);
      return this.#ask(letter);
    }
    throw error;
  }

  async #failed(letter: Letter, error: BellwireError): Promise<void> {
    // It was handed back meanwhile.
    if (this.#waiting[0] !== letter) return;
    if (remedy(error) !== 'later') {
      this.#settle(letter);
      return letter.reject(error);
    }
    if (letter.mayBeTaken && !letter.isRepeatable) return this.#handBack(letter, 'unanswered', error);
    const askedMs = error instanceof ProblemError ? error.retryAfterMs : null;
    await this.#pause(askedMs, letter.control.signal);
  }

  /** Waits until the next try; what the server asks for is not cut short by a network that is back. */
  #pause(askedMs: number | null, signal: AbortSignal): Promise<void> {
    const { clock, backoff } = this.setting;
    return new Promise((resolve) => {
      const goOn = () => {
        cancel();
        stopWatching();
        signal.removeEventListener('abort', goOn);
        resolve();
      };
      const cancel = clock.after(Math.max(askedMs ?? 0, backoff.next()), goOn);
      const stopWatching = askedMs === null ? watchWakes(goOn) : () => {};
      signal.addEventListener('abort', goOn);
    });
  }

  #settle(letter: Letter): void {
    const at = this.#waiting.indexOf(letter);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    letter.forget();
  }

  #handBack(letter: Letter, code: string, cause?: BellwireError): void {
    const why = HANDED_BACK[code];
    const { idempotencyKey, mayBeTaken } = letter;
    this.#settle(letter);
    letter.reject(new UnsentError(code, `${letter.method} ${letter.path}: ${why}`, idempotencyKey, mayBeTaken, cause));
    letter.control.abort();
  }
}

const HANDED_BACK: Record<string, string> = {
  queue_full: 'too much waits to be sent: wait until some of it has been',
  unanswered: 'there was no answer in time',
  aborted: 'it was aborted',
  closed: 'the client was closed',
};
