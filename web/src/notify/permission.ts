// Whether this browser lets the page notify, and why not where it does not.

import { signal } from '@preact/signals';

/** `insecure`: the page came without TLS from another machine, and browsers offer none of it then. */
export type Permission = 'granted' | 'denied' | 'default' | 'insecure' | 'unsupported';

export function look(): Permission {
  if (!isSecureContext) return 'insecure';
  return typeof Notification === 'undefined' ? 'unsupported' : Notification.permission;
}

export const permission = signal<Permission>('unsupported');

/** Keeps it current: people change it in the browser's own settings. */
export function watchPermission(): void {
  const update = () => { permission.value = look(); };
  update();
  navigator.permissions?.query({ name: 'notifications' }).then((status) => { status.onchange = update; }, () => {});
  document.addEventListener('visibilitychange', update);
}

/** Asks, where nobody has answered yet. */
export async function ask(): Promise<Permission> {
  if (look() === 'default') await Notification.requestPermission().catch(() => {});
  permission.value = look();
  return permission.value;
}

export const hasPush = (): boolean => look() !== 'insecure' && 'serviceWorker' in navigator && 'PushManager' in globalThis;
