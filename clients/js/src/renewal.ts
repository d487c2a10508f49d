// A stream goes on under a newer token: what the server asks for with `renew`.

import type { Renew } from './api.js';
import type { Backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { ProblemError } from './errors.js';
import { asError, ask, JSON_TYPE, remedy } from './http.js';
import type { Token } from './token.js';
import type { Asking } from './transport.js';

export interface RenewalSetting {
  asking: Asking;
  base: URL;
  clock: Clock;
  backoff(): Backoff;
  token: Token;
}

/**
 * Gets a newer token than the one that is given, and shows it for all streams of that. Resolves with
 * it, or with `null` where the streams end: they come back with a newer token, or say why not.
 */
export type Renewal = (renew: Renew, old: string | null) => Promise<string | null>;

export function renewalOf({ asking, base, clock, backoff, token }: RenewalSetting): Renewal {
  /** What was renewed last, and of which token: all streams of one name it alike, and it is done once. */
  let last = '';
  let newest: Promise<string | null>;

  const attempt = async (renews: string, old: string | null) => {
    const newer = await token.refresh(old);
    if (newer === null) return null;
    const request = { method: 'POST', headers: { ...JSON_TYPE }, body: JSON.stringify({ renews }) };
    await ask(asking, newer, new URL('v1/session/token', base), request);
    return newer;
  };

  const renewed = async ({ renews, expires_in_ms }: Renew, old: string | null) => {
    const until = clock.now() + expires_in_ms;
    const waits = backoff();
    while (token.canRefresh) {
      try {
        return await attempt(renews, old);
      } catch (fault) {
        const wait = waits.next();
        // What a server does not do (501) it does not do later.
        if ((fault as ProblemError).status === 501 || remedy(asError(fault)) !== 'later' || clock.now() + wait >= until) break;
        await new Promise<void>((resolve) => void clock.after(wait, resolve));
      }
    }
    return null;
  };

  return (renew, old) => {
    const asked = `${renew.renews} ${old}`;
    if (asked !== last) {
      last = asked;
      newest = renewed(renew, old);
    }
    return newest;
  };
}
