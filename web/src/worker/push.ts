// The service worker: shows push messages while no page is open, and opens the board at a click. It has
// nothing to do with what pages load: a worker in their way would break their streams.

import { keepOrder, keptOrder, keyOf, requestOf, type Terms } from '../notify/order.js';
import { optionsOf, type Shown, TAG, turnsOf } from '../notify/options.js';
import { languageOf, type Told, worded, wordedUnread } from '../notify/words.js';

/** As much of the worker's own interface as is used here: its types and those of pages exclude each other. */
interface Worker {
  registration: ServiceWorkerRegistration;
  clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: boolean }): Promise<readonly WindowClient[]>;
    openWindow(url: string): Promise<unknown>;
  };
  navigator: { setAppBadge?: (count: number) => Promise<void>; language: string };
  addEventListener(type: 'push', listener: (event: Extended & { data: { json(): unknown } | null }) => void): void;
  addEventListener(type: 'pushsubscriptionchange', listener: (event: Extended & { newSubscription?: PushSubscription | null }) => void): void;
  addEventListener(type: 'notificationclick', listener: (event: Extended & { notification: Notification }) => void): void;
}

interface Extended {
  waitUntil(outcome: Promise<unknown>): void;
}

interface WindowClient {
  url: string;
  focus(): Promise<unknown>;
  postMessage(message: unknown): void;
}

const worker = globalThis as unknown as Worker;

worker.addEventListener('push', (event) => {
  let message: unknown = null;
  try {
    message = event.data?.json() ?? null;
  } catch {
    // What is no JSON is shown as unread: a browser wants to see something for each message.
  }
  event.waitUntil(show(message));
});

async function show(message: unknown): Promise<void> {
  const told = read(message);
  if (!told) {
    const words = wordedUnread(languageOf(worker.navigator.language));
    const nothing = { news: [], more: 0, firing: {}, time: Date.now() };
    await worker.registration.showNotification(words.title, optionsOf(words, nothing, { isQuiet: false }));
    return;
  }
  const words = worded(told, languageOf((message as { language?: unknown }).language));
  await worker.registration.showNotification(words.title, optionsOf(words, told, { isQuiet: await isShown(told) }));
  if (!told.about) {
    const all = Object.values(told.firing).reduce((sum, count) => sum + count, 0);
    await worker.navigator.setAppBadge?.(all).catch(() => {});
  }
}

/** Whether a page that is open has told all of it already. */
async function isShown(told: Told): Promise<boolean> {
  // Of those that are only counted nobody knows.
  if (told.about || told.news.length === 0) return false;
  const shown = await worker.registration.getNotifications({ tag: TAG });
  const turns = new Set(shown.flatMap(({ data }) => (data as Partial<Shown> | null)?.turns ?? []));
  return turnsOf(told).every((turn) => turns.has(turn));
}

/** A message of a version that is known here. */
function read(message: unknown): Told | null {
  const { v, news, more, more_resolved: resolved, firing, time } = (message ?? {}) as Partial<Told> & { v?: unknown };
  const isTold = v === 1 && Array.isArray(news) && typeof more === 'number' && ['number', 'undefined'].includes(typeof resolved) && typeof firing === 'object' && typeof time === 'number';
  return isTold ? (message as Told) : null;
}

worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open((event.notification.data as Partial<Shown> | null)?.address ?? '#/'));
});

/** Goes to the board that is open, or opens one. */
async function open(address: string): Promise<void> {
  const { scope } = worker.registration;
  const pages = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const page = pages.find(({ url }) => url.split(/[?#]/)[0] === scope);
  if (!page) return void await worker.clients.openWindow(`${scope}${address}`);
  page.postMessage({ open: address });
  await page.focus();
}

worker.addEventListener('pushsubscriptionchange', (event) => {
  // Where it fails the next page that is opened asks.
  event.waitUntil(subscribeAgain(event.newSubscription ?? null).catch(() => {}));
});

/** The browser has given up the subscription that the server knows: it is told of another one. */
async function subscribeAgain(given: PushSubscription | null): Promise<void> {
  const { scope, pushManager } = worker.registration;
  const order = await keptOrder(scope);
  // Nobody wants to be told any more.
  if (!order) return;
  const terms = await (await fetch(new URL('v1/push', scope))).json() as Terms;
  if (!terms.enabled || !terms.public_key) return;
  const own = given ?? await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: keyOf(terms.public_key) });
  const answer = await fetch(new URL('v1/push/subscriptions', scope), requestOf(own, order));
  if (!answer.ok) return;
  const { id } = await answer.json() as { id: string };
  const end = (one: string) => fetch(new URL(`v1/push/subscriptions/${one}`, scope), { method: 'DELETE' });
  // Somebody at a page has turned it off meanwhile.
  if (!await keptOrder(scope)) {
    await own.unsubscribe();
    return void await end(id);
  }
  await keepOrder({ ...order, id }, scope);
  if (id !== order.id) await end(order.id);
}
