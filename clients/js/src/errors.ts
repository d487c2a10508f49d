// What can go wrong, as types: `code` is for programs, `message` for people.

import type { Problem, SampleError } from './api.js';

/** The base of all errors that come from here; wrong arguments are `TypeError`. */
export class BellwireError extends Error {
  override name = 'BellwireError';

  constructor(readonly code: string, message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/**
 * The server, or something before it, refuses. `code` is one of `Problem['code']`, or
 * `unexpected_status` where the answer is no problem of Bellwire's.
 */
export class ProblemError extends BellwireError {
  override name = 'ProblemError';
  /** Of `condition_failed`: the version that the key has, where there is one. */
  readonly version: string | undefined;
  /** Of `samples_invalid`: what is wrong with which. */
  readonly errors: SampleError[] | undefined;
  /** Whether what was asked for may have been done all the same, by an earlier try, too; where it is known. */
  mayBeTaken: boolean | undefined;

  constructor(
    readonly status: number,
    problem: Partial<Problem> & { version?: string; may_be_taken?: boolean },
    /** When another try is worth it, in milliseconds; where the server says so. */
    readonly retryAfterMs: number | null,
  ) {
    const code = problem.code ?? 'unexpected_status';
    super(code, `${status} ${code}${problem.detail ? `: ${problem.detail}` : ''}`);
    this.version = problem.version;
    this.errors = problem.errors;
    this.mayBeTaken = problem.may_be_taken;
  }
}

/** Codes of those that may have done it where nobody says whether: what orders it, or passes it on, was away. */
const UNSURE = /^(journal_unavailable|desk_away|unexpected_status)$/;

/** Whether what was asked for may have been done although it is refused. */
export const mayBeTaken = ({ mayBeTaken, code }: ProblemError) => mayBeTaken ?? UNSURE.test(code);

/** `connection_failed`, `connection_lost` or `connection_silent`: it is tried again by itself. */
export class ConnectionError extends BellwireError {
  override name = 'ConnectionError';
}

/** `not_bellwire` or `frame_malformed`: what came is not what Bellwire sends. */
export class ProtocolError extends BellwireError {
  override name = 'ProtocolError';
}

/** `token_unavailable`: the function that gives tokens has failed; it is asked again. */
export class TokenError extends BellwireError {
  override name = 'TokenError';
}

/**
 * What was to be sent is handed back: `queue_full`, `unanswered` (in time), `aborted`, `closed`, or
 * `not_followed` where its echo was asked for.
 * The same `idempotencyKey` makes it safe to send it again.
 */
export class UnsentError extends BellwireError {
  override name = 'UnsentError';

  constructor(
    code: string,
    message: string,
    /** Of an event: its idempotency key. */
    readonly idempotencyKey: string | null,
    /** Whether the server may have taken it all the same. */
    readonly mayBeTaken: boolean,
    cause?: unknown,
  ) {
    super(code, message, cause);
  }
}
