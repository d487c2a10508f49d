// What this browser asks the server to be told of, where its service worker finds it, too: while no page
// is open the browser may give it another subscription, and whoever was told of the old one would hear
// nothing any more.

export interface Order {
  matchers: string[];
  language: string;
  /** By what the server knows the subscription. */
  id: string;
}

const CACHE = 'bellwire-push';
/** Nothing is ever loaded from there. */
const NAME = 'push-order';

/** What is no cache here is none: then a page that is opened asks. */
async function storage(): Promise<Cache | null> {
  return typeof caches === 'undefined' ? null : caches.open(CACHE).catch(() => null);
}

export async function keepOrder(order: Order, base: string): Promise<void> {
  await (await storage())?.put(new URL(NAME, base), new Response(JSON.stringify(order))).catch(() => {});
}

export async function forgetOrder(base: string): Promise<void> {
  await (await storage())?.delete(new URL(NAME, base)).catch(() => {});
}

export async function keptOrder(base: string): Promise<Order | null> {
  const kept = await (await storage())?.match(new URL(NAME, base));
  const order = await kept?.json().catch(() => null) as Partial<Order> | null | undefined;
  return order && Array.isArray(order.matchers) && typeof order.language === 'string' && typeof order.id === 'string' ? order as Order : null;
}

export interface Terms {
  enabled: boolean;
  public_key?: string;
}

/** The key that browsers subscribe with, as they want it. */
export const keyOf = (text: string) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));

/** Asks the server for it. */
export function requestOf(own: PushSubscription, { matchers, language }: Omit<Order, 'id'>): RequestInit {
  const { endpoint, keys } = own.toJSON();
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ subscription: { endpoint, keys }, matchers, language }),
  };
}
