// The stream goes with whoever is at the page: it is opened once it is known who that is, ends when the
// server wants a login, and is tried again where it was refused.

import { effect, untracked } from '@preact/signals';
import { askWho, type Ended, inTime, type Standing, standing } from './who.js';
import { lookForVersion } from './version.js';
import { closeStream, connection, isStreamOpen, openStream, receive } from './stream.js';

/** After so long a stream that was refused is asked for again: roles change, and proxies are mended. */
export const RETRY_REFUSED_MS = 15_000;
/** A stream may want a login that everything else does not: it is not asked in a circle. */
const RETRY_UNKNOWN_MS = 2_000;

const ENDED: Record<string, Ended> = { credential_expired: 'expired', credential_revoked: 'revoked' };

let retrying: ReturnType<typeof setTimeout> | null = null;

/** Opens the stream again at once, where it was refused. */
export function retryStream(): void {
  cancelRetry();
  void askWho().then(() => {
    if (standing.value !== 'unknown' && !isStreamOpen()) openStream();
  });
}

function cancelRetry(): void {
  if (retrying !== null) clearTimeout(retrying);
  retrying = null;
}

function follow(now: Standing): void {
  if (now === 'asking') return;
  if (now !== 'unknown') return isStreamOpen() ? undefined : openStream();
  cancelRetry();
  closeStream();
}

/** The network has gone, the browser says. It may be wrong, or of another network: who is asked tells. */
async function lookWhetherGone(): Promise<void> {
  const isGone = await fetch('v1/whoami', { cache: 'no-store', signal: inTime() }).then(() => false, () => true);
  // A stream that is cut without a word would be taken for a quiet one.
  if (isGone && isStreamOpen()) openStream();
}

export function tieStreamToWho(): void {
  receive({
    takes: () => false,
    event: () => {},
    bye: (reason) => {
      const why = ENDED[reason];
      if (why) void askWho(why);
    },
  });
  addEventListener('offline', () => void lookWhetherGone());
  effect(() => {
    const now = standing.value;
    untracked(() => follow(now));
  });
  let before = connection.value.status;
  let wasLive = false;
  connection.subscribe(({ status, isUnknown }) => {
    const isNew = status !== before;
    before = status;
    if (!isNew) return;
    // A stream that comes back may be another's: a session can end while nobody hears of it.
    if (status === 'live' && wasLive) {
      void askWho();
      // It may be another server than before, with another version of the pages.
      void lookForVersion();
    }
    wasLive ||= status === 'live';
    if (status !== 'closed' || standing.value === 'unknown') return;
    if (isUnknown) void askWho();
    cancelRetry();
    retrying = setTimeout(retryStream, isUnknown ? RETRY_UNKNOWN_MS : RETRY_REFUSED_MS);
  });
}
