// What is sent, in order and one at a time, over a channel where there is one: it waits for the
// network, within bounds, and what could not be sent is handed back.

import type { Backoff } from './backoff.js';
import type { Clock } from './clock.js';
import { BellwireError, mayBeTaken, ProblemError, UnsentError } from './errors.js';
import { answerOf, asError, ask, remedy } from './http.js';
import type { Token } from './token.js';
import type { Asking, Outgoing, Transport } from './transport.js';
import { watchWakes } from './wake.js';

/** Of what is published, of samples, and of alerts: one of them is in each answer that is not empty. */
const ANSWERS = /"(cursor|version|end|accepted|fingerprint)":/;
/** How many requests may wait. */
export const OUTBOX_MAX = 1_000;
/** How many characters of bodies, or bytes of binary ones, may wait. */
export const OUTBOX_LENGTH_MAX = 16_777_216;
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

/** What is sent, and what becomes of it. */
export interface Sending extends Outgoing {
  /** It does not do the same when it comes twice: it is not sent again once it may be there. */
  isOnce?: boolean;
  /** The code of the refusal by which it is done, where it was sent before. */
  doneBy?: string;
  idempotencyKey?: string;
}

interface Letter extends Sending {
  resolve(answer: unknown): void;
  reject(error: BellwireError): void;
  /** Ends what is under way for it. */
  stop?(): void;
  /** It was tried over a channel. */
  hadChannel?: boolean;
  hasRefreshed?: boolean;
  mayBeTaken?: boolean;
  /** Why its last try has failed. */
  fault?: BellwireError;
  /** It waits no more. */
  forget?(): void;
}

export interface OutboxSetting {
  asking: Asking;
  base: URL;
  clock: Clock;
  backoff: Backoff;
  token: Token;
  transport: Transport;
  max: number;
}

export class Outbox {
  readonly #waiting: Letter[] = [];
  #length = 0;
  #isSending = false;
  /** Ends the wait for the next try, where it may be cut short. */
  #tryNow = () => {};

  constructor(private readonly setting: OutboxSetting) {}

  /** How many requests wait, the one that is under way included. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves with what the server answers, or rejects: with its refusal, or as `UnsentError`. */
  send<Answer>(sending: Sending, { signal, timeoutMs = TIMEOUT_MS }: SendOptions): Promise<Answer> {
    const { clock, transport, max } = this.setting;
    return new Promise((resolve, reject) => {
      const { length } = sending.body ?? '';
      const letter: Letter = { ...sending, resolve: resolve as Letter['resolve'], reject };
      if (signal?.aborted) return this.#handBack(letter, 'aborted');
      if (this.#waiting.length >= max || this.#length + length > OUTBOX_LENGTH_MAX) {
        return this.#handBack(letter, 'queue_full');
      }
      const abort = () => this.#handBack(letter, 'aborted');
      const cancel = clock.after(timeoutMs, () => this.#handBack(letter, 'unanswered'));
      signal?.addEventListener('abort', abort);
      letter.forget = () => {
        cancel();
        signal?.removeEventListener('abort', abort);
        this.#length -= length;
      };
      this.#waiting.push(letter);
      this.#length += length;
      transport.sent?.(clock);
      if (!this.#isSending) void this.#sendAll();
    });
  }

  /** The server is there again: what waits for its next try is tried now. */
  retry(): void {
    this.#tryNow();
  }

  /** All that waits is handed back. */
  close(): void {
    for (const letter of [...this.#waiting]) this.#handBack(letter, 'closed');
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let letter; (letter = this.#waiting[0]); ) {
      try {
        const answer = await this.#try(letter);
        this.setting.backoff.reset();
        this.#settle(letter);
        letter.resolve(answer);
      } catch (fault) {
        await this.#failed(letter, asError(fault));
      }
    }
    this.#isSending = false;
  }

  async #try(letter: Letter): Promise<unknown> {
    const { asking: { channels }, token, clock } = this.setting;
    const shown = await token.get();
    if (this.#waiting[0] !== letter) return null;
    const hadBeen = letter.mayBeTaken ?? false;
    letter.mayBeTaken = true;
    let [channel] = letter.hadChannel ? [] : channels;
    const control = new AbortController();
    letter.stop = () => control.abort();
    const cancel = clock.after(TRY_MS, () => {
      // It may be dead without a word.
      channels.delete(channel!);
      control.abort();
    });
    try {
      letter.hadChannel = true;
      const answer = await channel?.ask(letter, control.signal);
      channel = undefined;
      return answer ?? (await this.#post(letter, shown, control.signal));
    } catch (fault) {
      const error = asError(fault);
      if (hadBeen && error.code === letter.doneBy) return null;
      if (error instanceof ProblemError) letter.mayBeTaken = hadBeen || mayBeTaken(error);
      if (remedy(error) !== 'token' || !token.canRefresh || letter.hasRefreshed) throw error;
      letter.hasRefreshed = true;
    } finally {
      cancel();
    }
    await token.refresh(shown);
    return this.#try(letter);
  }

  async #post({ method, path, headers, body }: Letter, token: string | null, signal: AbortSignal): Promise<unknown> {
    const { asking, base } = this.setting;
    const request = { method, headers: { ...headers }, body: body as BodyInit, signal };
    const response = await ask(asking, token, new URL(path, base), request);
    return answerOf(response, await response.text(), ANSWERS);
  }

  async #failed(letter: Letter, error: BellwireError): Promise<void> {
    // It was handed back meanwhile.
    if (this.#waiting[0] !== letter) return;
    letter.fault = error;
    if (remedy(error) !== 'later') {
      this.#settle(letter);
      // What it is refused for now an earlier try may have done all the same.
      (error as ProblemError).mayBeTaken = letter.mayBeTaken;
      return letter.reject(error);
    }
    if (letter.mayBeTaken && letter.isOnce) return this.#handBack(letter, 'unanswered');
    await this.#pause(letter, error instanceof ProblemError ? error.retryAfterMs : null);
  }

  /** Waits until the next try; what the server asks for is not cut short by one that is back. */
  #pause(letter: Letter, askedMs: number | null): Promise<void> {
    const { clock, backoff } = this.setting;
    return new Promise((resolve) => {
      const goOn = (letter.stop = () => {
        cancel();
        stopWatching();
        resolve();
      });
      const cancel = clock.after(Math.max(askedMs ?? 0, backoff.next()), goOn);
      const stopWatching = askedMs === null ? watchWakes((this.#tryNow = goOn)) : () => {};
    });
  }

  #settle(letter: Letter): void {
    const at = this.#waiting.indexOf(letter);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    letter.forget?.();
  }

  #handBack(letter: Letter, code: string): void {
    const { idempotencyKey = null, mayBeTaken = false, method, path, fault } = letter;
    this.#settle(letter);
    letter.reject(new UnsentError(code, `${method} ${path}: ${code}`, idempotencyKey, mayBeTaken, fault));
    letter.stop?.();
  }
}
