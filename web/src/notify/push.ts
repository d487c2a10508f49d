// This browser's push subscription, for alerts while no page is open. The server is asked for what is
// chosen here, and asked again now and then: a subscription that no page renews ends.

import { signal } from '@preact/signals';
import { base } from '../stores/stream.js';
import { inTime } from '../stores/who.js';
import { language } from '../text/text.js';
import { kindsBy } from './choices.js';
import { matchersOf } from './kinds.js';
import { forgetOrder, keepOrder, keptOrder, keyOf, requestOf, type Terms } from './order.js';
import { hasPush, look } from './permission.js';

/** The server has it off, cannot be asked, or does not take it; or the browser's push service does not. */
export type Fault = { what: 'off' | 'server' | 'browser'; reason: string };

export interface Subscribed {
  id: string;
  service: string;
  /** Why messages do not get through, where they do not. */
  failing: string | null;
}

export const fault = signal<Fault | null>(null);
export const subscribed = signal<Subscribed | null>(null);
/** Whether something is being changed. */
export const isBusy = signal(false);

/** Something else was chosen while the last choice was on its way. */
let isAgain = false;

class Refused extends Error {}

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const answer = await fetch(new URL(path, base), { ...init, signal: inTime() }).catch(({ message }: Error) => { throw new Refused(message); });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => null) as { detail?: string } | null;
  throw new Refused(problem?.detail ?? `${answer.status} ${answer.statusText}`);
}

function isFor({ options }: PushSubscription, key: Uint8Array): boolean {
  const theirs = new Uint8Array(options.applicationServerKey ?? new ArrayBuffer(0));
  return theirs.length === key.length && theirs.every((byte, index) => byte === key[index]);
}

/** The worker that shows messages; it has nothing to do with what pages load. */
const register = () => navigator.serviceWorker.register(new URL('push-worker.js', base), { scope: base.pathname });

const registration = () => navigator.serviceWorker.getRegistration(base.href);

/** Brings the browser and the server to what is chosen. */
export async function settlePush(): Promise<void> {
  if (!hasPush()) return;
  isAgain = true;
  if (isBusy.peek()) return;
  isBusy.value = true;
  while (isAgain) {
    isAgain = false;
    await settleOnce();
  }
  isBusy.value = false;
}

/** What goes wrong stands in `fault`. */
async function settleOnce(): Promise<void> {
  try {
    fault.value = null;
    if (kindsBy('push').length > 0 && look() === 'granted') await subscribe();
    else await unsubscribe();
  } catch (error) {
    const what = error instanceof Refused ? 'server' : 'browser';
    fault.value = { what, reason: error instanceof Error ? error.message : String(error) };
  }
}

async function subscribe(): Promise<void> {
  const terms = await (await call('v1/push')).json() as Terms;
  if (!terms.enabled || !terms.public_key) {
    fault.value = { what: 'off', reason: '' };
    return;
  }
  const key = keyOf(terms.public_key);
  const worker = await register();
  await navigator.serviceWorker.ready;
  let own = await worker.pushManager.getSubscription();
  // Of a server that has begun anew no message would come any more.
  if (own && !isFor(own, key)) {
    await own.unsubscribe();
    own = null;
  }
  own ??= await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const order = { matchers: matchersOf(kindsBy('push')), language: language.value };
  const answer = await call('v1/push/subscriptions', requestOf(own, order));
  const { id, service, failing } = await answer.json() as { id: string; service: string; failing?: { reason: string } };
  await keepOrder({ ...order, id }, base.href);
  subscribed.value = { id, service, failing: failing?.reason ?? null };
}

async function unsubscribe(): Promise<void> {
  // The worker may have subscribed anew since this page did.
  const known = (await keptOrder(base.href))?.id ?? subscribed.value?.id;
  subscribed.value = null;
  await forgetOrder(base.href);
  const worker = await registration();
  const own = await worker?.pushManager?.getSubscription();
  if (!own) return;
  // What the server still sends is refused from now on, and ends it there.
  await own.unsubscribe();
  if (known) await call(`v1/push/subscriptions/${known}`, { method: 'DELETE' });
}

/** Says again that it is wanted: a subscription that nobody renews ends, and so does one whose owner logs out. */
export async function renewPush(): Promise<void> {
  if (hasPush() && kindsBy('push').length > 0) await settlePush();
}

/** Has the server send a message that says that it works. */
export async function testPush(): Promise<void> {
  if (!subscribed.value) await settlePush();
  const { id } = subscribed.value ?? {};
  if (!id) return;
  try {
    await call(`v1/push/subscriptions/${id}/test`, { method: 'POST' });
  } catch (error) {
    fault.value = { what: 'server', reason: error instanceof Error ? error.message : String(error) };
  }
}
