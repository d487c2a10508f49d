// What is sent over a WebSocket: commands and their replies.

import { type BellwireError, ConnectionError, mayBeTaken, ProblemError } from './errors.js';
import type { Channel, Outgoing } from './transport.js';

/**
 * How many characters a command may have: the server takes messages of 1.4 MB, and a character has up
 * to three bytes. What is longer goes by HTTP.
 */
export const COMMAND_LENGTH_MAX = 400_000;

/** What begins each reply. */
const REPLY = '{"reply":';

interface Waiter {
  resolve(answer: unknown): void;
  reject(error: BellwireError): void;
}

/** The commands that are under way on one socket. */
export class Commands implements Channel {
  readonly #waiters = new Map<number, Waiter>();
  #id = 0;
  #isLeft = false;

  constructor(private readonly socket: WebSocket) {}

  ask(outgoing: Outgoing, signal: AbortSignal): Promise<unknown> {
    const id = (this.#id += 1);
    const text = textOf(outgoing, id);
    if (text === null) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const abort = () => waiter.reject(lost());
      const done = () => {
        signal.removeEventListener('abort', abort);
        this.#waiters.delete(id);
        this.#closeIfLeft();
      };
      const waiter: Waiter = {
        resolve: (answer) => { done(); resolve(answer); },
        reject: (error) => { done(); reject(error); },
      };
      this.#waiters.set(id, waiter);
      signal.addEventListener('abort', abort);
      this.socket.send(text);
    });
  }

  /** Takes a message where it is a reply; whether it is. */
  take(message: unknown): boolean {
    if (typeof message !== 'string' || !message.startsWith(REPLY)) return false;
    const { reply, error, ...answer } = JSON.parse(message);
    const waiter = this.#waiters.get(reply);
    const problem = error && new ProblemError(error.status ?? 503, error, error.retry_ms ?? null);
    if (problem && mayBeTaken(problem)) waiter?.reject(problem);
    else waiter?.resolve(problem ? null : answer);
    return true;
  }

  /** The socket is not needed any more: it is closed once what is under way is answered. */
  leave(): void {
    this.#isLeft = true;
    this.#closeIfLeft();
  }

  /** The socket is gone. */
  lose(): void {
    for (const waiter of [...this.#waiters.values()]) waiter.reject(lost());
  }

  #closeIfLeft(): void {
    if (this.#isLeft && this.#waiters.size === 0) this.socket.close();
  }
}

const lost = () => new ConnectionError('connection_lost', 'the WebSocket has ended without a reply');

/** A command as it is sent; `null` where there is none, or it is too long. */
function textOf({ command, headers, body }: Outgoing, id: number): string | null {
  if (!command || (body ?? '').length > COMMAND_LENGTH_MAX) return null;
  const isBinary = body instanceof Uint8Array;
  const head = JSON.stringify({ ...command, id, ...(isBinary && { encoding: 'base64', content_type: headers?.['content-type'] }) });
  if (body === undefined) return head;
  const name = command.request === 'samples' ? 'samples' : 'data';
  // Its JSON is put in as it is.
  return `${head.slice(0, -1)},"${name}":${isBinary ? `"${base64(body)}"` : body}}`;
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
