// The token that is shown: asked for when it is needed, and once for all who need a newer one.

import { TokenError } from './errors.js';

/** A token or API key, or a function that gives one; none where that gives `null`. */
export type TokenSource = string | (() => string | null | Promise<string | null>);

export class Token {
  /** The newest, or who waits for it. */
  #newest: Promise<string | null> | null = null;
  readonly canRefresh: boolean;

  constructor(private readonly source: TokenSource | undefined) {
    this.canRefresh = typeof source === 'function';
  }

  /** Throws `TokenError` where the function fails; the next call asks it anew. */
  get(): Promise<string | null> {
    if (!this.#newest) {
      const asked = (this.#newest = this.#ask());
      asked.catch(() => {
        if (this.#newest === asked) this.#newest = null;
      });
    }
    return this.#newest;
  }

  /** The token counts no more. Who says so of one that was replaced already gets the newer one. */
  async refresh(old: string | null): Promise<string | null> {
    const newest = this.#newest;
    if (newest && (await newest.catch(() => null)) === old && this.#newest === newest) this.#newest = null;
    return this.get();
  }

  async #ask(): Promise<string | null> {
    try {
      return typeof this.source === 'function' ? await this.source() : (this.source ?? null);
    } catch (cause) {
      throw new TokenError('token_unavailable', 'the function of the token has failed', cause);
    }
  }
}
