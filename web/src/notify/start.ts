// Tells whoever has chosen so of what is new: by a notification and by a sound, once, however many tabs
// are open.

import type { Alert } from '@bellwire/client';
import { effect, untracked } from '@preact/signals';
import { allEntries, type Change, type Entry, onAlerts, waitingCount } from '../stores/alerts.js';
import { base, connection } from '../stores/stream.js';
import { standing, subject } from '../stores/who.js';
import { language } from '../text/text.js';
import { choices, followChoices, kindsBy } from './choices.js';
import { type Kind, kindOf } from './kinds.js';
import { permission, watchPermission } from './permission.js';
import { renewPush } from './push.js';
import { maySound, sound, unlockByGesture, worst } from './sounds.js';
import { show } from './show.js';
import { type Batch, Watch } from './watch.js';

/** Whether this tab is the one that does something; without locks each has to be. */
function first(name: string, onTurn: () => void): void {
  if (!('locks' in navigator)) return onTurn();
  // Held for as long as the tab lives, so the browser does not put it to sleep either.
  navigator.locks.request(`bellwire-${name}-${base.pathname}`, () => {
    onTurn();
    return new Promise<void>(() => {});
  }).catch(() => {});
}

/** A page that stays open renews what it is told when it is closed. */
const RENEW_EVERY_MS = 86_400_000;

let isShowing = false;
let isSounding = false;

/** `early`: what has happened since the page was live, until this came. */
export function startNotifying(early: readonly Change[] = []): void {
  followChoices();
  watchPermission();
  unlockByGesture(() => kindsBy('sound').length > 0);
  const watch = new Watch(tell);
  // What is there, and what is on its way as this begins, is nothing new.
  const settle = () => {
    if (connection.value.hasBegun && waitingCount() === 0) watch.ready();
  };
  // As it was then, and only then as it is.
  const before = new Map<Entry, Alert | null>();
  for (const change of early) if (!before.has(change.entry)) before.set(change.entry, change.before);
  for (const entry of allEntries()) if (!before.has(entry)) watch.take(entry.fingerprint, entry.alert.peek());
  for (const [{ fingerprint }, alert] of before) watch.take(fingerprint, alert);
  if (early.length > 0) watch.ready();
  const take = (entry: Entry) => watch.take(entry.fingerprint, entry.isGone.peek() ? null : entry.alert.peek());
  for (const entry of before.keys()) take(entry);
  onAlerts((changes) => {
    for (const { entry } of changes) take(entry);
    untracked(settle);
  });
  effect(settle);
  first('notifies', () => { isShowing = true; });
  // Only a tab in which somebody has pressed something may sound.
  let hasAsked = false;
  effect(() => {
    if (!maySound.value || hasAsked) return;
    hasAsked = true;
    first('sounds', () => { isSounding = true; });
  });
  navigator.serviceWorker?.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    const open = (data as { open?: unknown } | null)?.open;
    if (typeof open === 'string' && open.startsWith('#/')) location.hash = open;
  });
  // As the page is loaded, and when somebody has logged in.
  effect(() => {
    void subject.value;
    if (standing.value === 'known') untracked(() => void renewPush());
  });
  setInterval(() => void renewPush(), RENEW_EVERY_MS);
}

function tell({ news, more, moreResolved, firing }: Batch): void {
  const chosen = (kind: Kind, way: 'notification' | 'sound') => choices.value[kind][way];
  if (isSounding) {
    const kinds = new Set(news.filter(({ state }) => state === 'firing').map(({ severity }) => kindOf(severity)));
    const loudest = worst(new Set([...kinds].filter((kind) => chosen(kind, 'sound'))));
    if (loudest) sound(loudest);
  }
  if (!isShowing || permission.value !== 'granted') return;
  const own = news.filter(({ severity }) => chosen(kindOf(severity), 'notification'));
  if (own.length === 0) return;
  const counts: Record<string, number> = {};
  for (const { severity } of firing.values()) {
    if (chosen(kindOf(severity), 'notification')) counts[severity] = (counts[severity] ?? 0) + 1;
  }
  const rest = own.length === news.length ? { more, more_resolved: moreResolved } : { more: 0 };
  void show({ news: own, ...rest, firing: counts, time: Date.now() }, language.value);
}
