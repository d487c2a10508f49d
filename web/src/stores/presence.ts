// Who looks at this board, of those who show themselves: the followers of `presence/alerts/active`, which
// comes on the board's own stream where the server tells of it. What others show of themselves is theirs
// to choose, and is taken for text.

import { computed, signal } from '@preact/signals';
import { recall, remember } from '../ui/storage.js';
import { serverNow } from './clock.js';
import { connection, followBesides, openStream, receive } from './stream.js';
import { offersPresence, subject } from './who.js';

const OF = 'alerts/active';
const TOPIC = `presence/${OF}`;
export const COUNT = '~count';

export const NAME_LENGTH_MAX = 60;

/** What this browser keeps: by what it is known when it comes back, by what its pages know themselves, whether
 * it hides, and the name of whoever sits at it, which acknowledging asks for, too. */
const ID = 'present-id';
const MARK = 'present-mark';
const HIDES = 'present-not';
export const NAME = 'author';

/** All pages of a browser show the same mark, so that they share a connection; nobody is known by it for long. */
const MARK_LASTS_MS = 12 * 3_600_000;

/** Somebody, as the server tells. */
export interface Told {
  since: number;
  subject?: string;
  shown?: { name?: unknown; mark?: unknown } | null;
}

/** Somebody, as they are shown. */
export interface Person {
  key: string;
  name: string | null;
  /** The number of whoever the server knows by no name; they are another one each time. */
  number: string | null;
  since: number;
  isMe: boolean;
}

const told = signal<ReadonlyMap<string, Told>>(new Map());
const count = signal<{ followers: number; named: boolean } | null>(null);

/** Whether the server tells who is here. */
export const isFollowed = signal(false);
export const hides = signal(recall(HIDES) !== null);
/** The name that whoever sits here gives themselves, where the server knows none. */
export const ownName = signal(recall(NAME) ?? '');
/** The mark that this page's stream was opened with, or another page's of this browser since. */
const mark = signal('');

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

export function person([key, { subject: known, since, shown }]: [string, Told]): Person {
  const isMe = subject.value !== null ? known === subject.value : isText(shown?.mark) && shown.mark === mark.value;
  if (isText(known)) return { key, name: known, number: null, since, isMe };
  const number = key.replace(/^~/, '');
  return { key, name: isText(shown?.name) ? shown.name.slice(0, NAME_LENGTH_MAX) : null, number, since, isMe };
}

/** Those who are here and have a name or a number, whoever sits here first, then by how long they are here. */
export const people = computed<readonly Person[]>(() =>
  [...told.value].map(person).sort((a, b) => Number(b.isMe) - Number(a.isMe) || a.since - b.since || (a.key < b.key ? -1 : 1)));

export const followers = computed(() => count.value?.followers ?? told.value.size);
/** So many are here that they are not named. */
export const areUnnamed = computed(() => count.value?.named === false);
export const isAlone = computed(() => people.value.length === followers.value && people.value.every(({ isMe }) => isMe));
/** Nobody knows who is here while the page is cut off. */
export const isKnown = computed(() => connection.value.status === 'live');

const random = (bytes: number) =>
  [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Nobody guesses it, and nobody else is told. */
function ownId(): string {
  const id = recall(ID) || random(16);
  remember(ID, id);
  return id;
}

/** By this a browser knows itself among the others: without a name they are told no key. */
function ownMark(): string {
  const [kept, made] = (recall(MARK) ?? '').split(' ');
  const isGood = kept && Math.abs(Date.now() - Number(made)) < MARK_LASTS_MS;
  mark.value = isGood ? kept : random(6);
  if (!isGood) remember(MARK, `${mark.value} ${Date.now()}`);
  return mark.value;
}

/** How this browser shows itself to others, where it does. */
export function presenting(): { present?: unknown; presentId?: string } {
  if (hides.value) return {};
  const name = subject.value === null ? ownName.value : '';
  return { present: name ? { name, mark: ownMark() } : { mark: ownMark() }, presentId: ownId() };
}

/** What the board's stream asks for besides. */
function besides() {
  isFollowed.value = offersPresence(OF);
  if (!isFollowed.value) {
    told.value = new Map();
    count.value = null;
    return { topics: [] };
  }
  return { topics: [TOPIC], ...presenting() };
}

export function followPresence(): void {
  let unseen: Set<string> | null = null;
  followBesides(besides);
  receive({
    takes: (topic) => topic === TOPIC,
    event: ({ key, data, deleted }) => {
      if (key === undefined) return;
      unseen?.delete(key);
      if (key === COUNT) {
        count.value = deleted ? null : data as { followers: number; named: boolean };
        return;
      }
      const next = new Map(told.value);
      if (deleted) next.delete(key);
      else next.set(key, data as Told);
      told.value = next;
    },
    begin: () => { unseen = new Set([...told.value.keys(), COUNT]); },
    ready: () => {
      if (unseen?.has(COUNT)) count.value = null;
      if (unseen?.size) told.value = new Map([...told.value].filter(([key]) => !unseen!.has(key)));
      unseen = null;
    },
  });
  // Another page of this browser may have taken another mark.
  addEventListener('storage', ({ key }) => {
    if (key === `bellwire-${MARK}`) mark.value = (recall(MARK) ?? '').split(' ')[0]!;
  });
}

export function showAs(name: string): void {
  ownName.value = name.trim().slice(0, NAME_LENGTH_MAX);
  remember(NAME, ownName.value || null);
  openStream();
}

export function setHides(hidden: boolean): void {
  hides.value = hidden;
  remember(HIDES, hidden ? 'true' : null);
  openStream();
}

/** How long somebody is here, in milliseconds. */
export const hereFor = ({ since }: Person): number => serverNow() - since;
