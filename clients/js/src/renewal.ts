// A stream goes on under a newer token: what the server asks for with `renew`.

import type { Renew } from './api.js';
import type { Backoff } from './backoff.js';
import type { Clock } from './clock.js';
import { asError, ask, refusal, remedy } from './http.js';
import type { Token } from './token.js';
import type { Asking } from './transport.js';

export interface RenewalSetting {
  asking: Asking;
  base: URL;
  clock: Clock;
  backoff(): Backoff;
  token: Token;
}

export class Renewal {
  /** What was renewed last, and of which token: all streams of one name it alike, and it is done once. */
  #last = '';
  #newest: Promise<string | null> = Promise.resolve(null);

  constructor(private readonly setting: RenewalSetting) {}

  /**
   * Gets a newer token than the one that is given, and shows it for all streams of that. Resolves with
   * it, or with `null` where the streams end: they come back with a newer token, or say why not.
   */
  renew(renew: Renew, old: string | null): Promise<string | null> {
    const asked = `${renew.renews} ${old}`;
    if (asked !== this.#last) {
      this.#last = asked;
      this.#newest = this.#try(renew, old);
    }
    return this.#newest;
  }

  async #try({ renews, expires_in_ms }: Renew, old: string | null): Promise<string | null> {
    const { clock, backoff, token } = this.setting;
    const until = clock.now() + expires_in_ms;
    const waits = backoff();
    while (token.canRefresh) {
      try {
        return await this.#attempt(renews, old);
      } catch (fault) {
        const wait = waits.next();
        if (remedy(asError(fault)) !== 'later' || clock.now() + wait >= until) break;
        await new Promise<void>((resolve) => void clock.after(wait, resolve));
      }
    }
    return null;
  }

  async #attempt(renews: string, old: string | null): Promise<string | null> {
    const { asking, base, token } = this.setting;
    const newer = await token.refresh(old);
    if (newer === null) return null;
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: JSON.stringify({ renews }) };
    const response = await ask(asking, newer, new URL('v1/session/token', base), request);
    if (!response.ok) throw await refusal(response);
    return newer;
  }
}
