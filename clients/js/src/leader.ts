// The tab that leads: it holds one connection for the streams of all tabs, and gives each its own.

import type { Cancel, Clock } from './clock.js';
import type { BellwireError } from './errors.js';
import { topicsOf } from './filters.js';
import { remedy } from './http.js';
import { Link, type Owner } from './link.js';
import { type Browser, type Broadcasts, isAfter, isOfOne, older, type Said, TAKEN_LENGTH, type Told, UNTAKEN_LENGTH_MAX } from './shared.js';
import { type Item, type Move, type Opening, openingAt, type Transport } from './transport.js';

/** How many filters a connection has at most, the server says. */
const FILTERS_MAX = 64;
/** How long streams that begin at about the same time are waited for, in milliseconds. */
export const GATHER_MS = 30;
/** How long the connection keeps what nobody follows any more. */
export const LINGER_MS = 10_000;
/** How long behind `ready` a connection may take to say that the server takes no events in, in milliseconds. */
const CALM_MS = 1_000;
/** How often streams are told at least that the connection lives, while something comes. */
const SIGN_MS = 5_000;
/** After how long a stream that does not show itself is gone: timers of hidden tabs go once a minute. */
export const GONE_MS = 180_000;
/** What came last and is kept for streams that have just caught up: how many, and characters of it. */
const RECENT_MAX = 256;
const RECENT_LENGTH_MAX = 1_048_576;

/** What the tab that leads has from its own streams. */
export interface Home {
  browser: Browser;
  inner: Transport;
  /** The name of what is shared. */
  name: string;
  /** How the newest of them was opened. */
  opening(): Opening;
  /** Says to each of them what is for this tab alone. */
  each(item: Item): void;
}

interface Member {
  channel: Broadcasts;
  asked: string[];
  topics: RegExp;
  at: string;
  /** Nothing comes to it before there is a connection that gives all behind `at`. */
  fate: 'pending' | 'opening' | 'attached';
  waiting: string[];
  untaken: number;
  heardAt: number;
}

/** The connection, which tells when something comes. */
class Shared extends Link {
  constructor(private readonly leader: Leader, readonly asked: Set<string>) {
    super(leader.clock, leader);
  }

  override sign(): void {
    super.sign();
    if (!this.isOver) this.leader.sign();
  }
}

export class Leader implements Owner {
  readonly clock: Clock;
  /** To hear those who know of nobody who leads, and those who know this one. */
  readonly #heard: Broadcasts[];
  readonly #members = new Map<string, Member>();
  #link: Shared | null = null;
  /** Something of it has come. */
  #isThrough = false;
  /** Up to where it was given, and behind which `#recent` has all of it. */
  #at = '';
  #from: string | null = null;
  #recent: { cursor: string | null; topic: string; text: string }[] = [];
  #recentLength = 0;
  /** What was told last of an outage; nothing while the connection may still say that there is one. */
  #outage: string[] = [];
  #cancelCalm: Cancel | null = null;
  #saidAt = 0;
  #isFlushing = false;
  #cancelTune: Cancel | null = null;

  /** `id` is another one for each time that somebody leads. */
  constructor(private readonly home: Home, private readonly id: string) {
    this.clock = home.opening().clock;
    this.#heard = [home.name, `${home.name} ${id}`].map((name) => {
      const channel = home.browser.channel(name);
      channel.onmessage = ({ data }) => this.#hear(data);
      return channel;
    });
    this.#heard[0]!.postMessage({ say: 'lead', by: id } satisfies Said);
  }

  close(): void {
    for (const channel of this.#heard) channel.close();
    this.#cancelTune?.();
    this.#cancelCalm?.();
    this.#link?.close();
    for (const { channel } of this.#members.values()) channel.close();
    this.#members.clear();
  }

  sign(): void {
    if (!this.#isThrough) {
      this.#isThrough = true;
      for (const [id, member] of this.#members) {
        if (member.fate === 'opening') this.#attached(id, member, []);
        else if (member.fate === 'pending') this.#tuneIn(GATHER_MS);
      }
    }
    if (this.clock.now() - this.#saidAt < SIGN_MS) return;
    this.#saidAt = this.clock.now();
    this.#tellAll({});
  }

  item(link: Link, item: Item): void {
    const cursor = ('cursor' in item && item.cursor) || null;
    if (cursor && isAfter(cursor, this.#at)) this.#at = cursor;
    if ('topic' in item) return this.#give(item, item.topic, cursor);
    switch (item.control) {
      case 'ready':
        // Before it values come that say nothing of their place.
        this.#recent = [];
        this.#recentLength = 0;
        this.#from = item.cursor;
        // Right behind it the connection says whether there is one.
        this.#outage = [];
        this.#cancelCalm?.();
        this.#cancelCalm = this.clock.after(CALM_MS, () => this.#outage[0] ?? link.item({ control: 'restored' }));
        return link.ready(item.heartbeat_interval_ms);
      case 'renew':
        return this.home.each(item);
      case 'reset':
        return this.#dropAll('again');
      case 'narrowed':
        // At its beginning: each was told already what is left of its own.
        if (link.readyAt !== null) this.#dropAll('again');
        return;
      default: {
        const items = [JSON.stringify(item)];
        if (/^(ready|degraded|restored)$/.test(item.control)) this.#outage = items;
        this.#flush();
        this.#tellAll({ items });
      }
    }
  }

  room(): null {
    return null;
  }

  moved(move: Move): void {
    this.#flush();
    this.#tellAll({ move });
  }

  over(_: Link, error: BellwireError | null): void {
    this.#link = null;
    const isRefused = error !== null && remedy(error) === 'none';
    if (isRefused && !this.#isThrough && this.#refuse()) return this.#tuneIn(GATHER_MS);
    this.#dropAll(error ? 'lost' : 'ended', error?.message);
  }

  /** Together it is too much: of those that it was opened for some go without. */
  #refuse(): boolean {
    const last = [...this.#members].filter(([, { fate }]) => fate === 'opening');
    if (last.length === 1 && this.#members.size === 1) return false;
    for (const [, member] of last) member.fate = 'pending';
    for (const [id] of last.slice(last.length > 1 ? (last.length + 1) >> 1 : 0)) this.#drop(id, 'refused');
    return last.length > 0;
  }

  #hear(said: Said): void {
    const now = this.clock.now();
    if (said.say === 'attach') this.#attach(said, now);
    else if (said.say === 'detach') this.#drop(said.id);
    else if (said.say === 'taken') {
      const member = this.#members.get(said.id);
      if (member) {
        member.untaken -= said.length;
        member.heardAt = now;
        if (said.length < TAKEN_LENGTH) this.#tell(said.id, member, {});
      } else {
        this.#post(this.home.browser.channel(`${this.home.name} ${said.id}`), 'again');
      }
    }
    for (const [id, { heardAt }] of this.#members) if (now - heardAt > GONE_MS) this.#drop(id, 'again');
  }

  #attach({ id, asked, topics, at }: Said & { say: 'attach' }, heardAt: number): void {
    this.#members.get(id)?.channel.close();
    const channel = this.home.browser.channel(`${this.home.name} ${id}`);
    const member: Member = { channel, asked, topics: topicsOf(topics), at, fate: 'pending', waiting: [], untaken: 0, heardAt };
    this.#members.set(id, member);
    const isHad = this.#link && this.#from !== null && asked.every((one) => this.#link!.asked.has(one)) && !isAfter(this.#from, at);
    if (!isHad) {
      this.#tell(id, member, {});
      return this.#tuneIn(GATHER_MS);
    }
    this.#flush();
    const items = this.#recent.filter(({ topic, cursor }) => member.topics.test(topic) && (!cursor || isAfter(cursor, at)));
    // Who comes later was not there when it was told.
    this.#attached(id, member, [...items.map(({ text }) => text), ...this.#outage]);
  }

  #attached(id: string, member: Member, items: string[]): void {
    member.fate = 'attached';
    this.#tell(id, member, { items, fate: 'attached' });
  }

  #tuneIn(ms: number): void {
    if (ms > GATHER_MS && this.#cancelTune) return;
    this.#cancelTune?.();
    this.#cancelTune = this.clock.after(ms, () => {
      this.#cancelTune = null;
      // One that is on its way is waited for.
      if (!this.#link || this.#isThrough) this.#tune();
    });
  }

  /**
   * Opens the connection anew for what is followed now, where that is something else. The one before
   * is closed first: what came of it meanwhile would be newer than the values that this begins with.
   */
  #tune(): void {
    const asked = this.#join();
    const members = [...this.#members.values()];
    const pending = members.filter(({ fate }) => fate === 'pending');
    if (members.length > 0 && this.#link && pending.length === 0 && asked.size === this.#link.asked.size) return;
    const places = [...pending.map(({ at }) => at), ...(members.length > pending.length ? [this.#at] : [])];
    this.#link?.close();
    this.#link = null;
    if (members.length === 0) return;
    // Between cursors of two journals there is no order: each is told of its own gap.
    if (places.some((place) => !isOfOne(place, places[0]!))) return this.#dropAll('again');
    this.#at = places.reduce(older);
    this.#from = null;
    this.#isThrough = false;
    const opening = this.home.opening();
    const url = new URL(opening.url);
    for (const name of ['topic', 'query', 'history']) url.searchParams.delete(name);
    for (const one of asked) url.searchParams.append(...(JSON.parse(one) as [string, string]));
    url.searchParams.set('state', 'changes');
    url.searchParams.set('after', this.#at);
    for (const member of pending) member.fate = 'opening';
    const link = (this.#link = new Shared(this, asked));
    link.begin(this.home.inner.open(openingAt(opening, url), link));
  }

  /** What is asked for together; those for whom there is no more room go without. */
  #join(): Set<string> {
    const asked = new Set<string>();
    const isPending = ([, { fate }]: [string, Member]) => +(fate === 'pending');
    for (const [id, member] of [...this.#members].sort((a, b) => isPending(a) - isPending(b))) {
      const together = new Set([...asked, ...member.asked]);
      if (asked.size > 0 && together.size > FILTERS_MAX) this.#drop(id, 'refused');
      else for (const one of member.asked) asked.add(one);
    }
    return asked;
  }

  #give(item: Item, topic: string, cursor: string | null): void {
    const text = JSON.stringify(item);
    this.#recent.push({ cursor, topic, text });
    this.#recentLength += text.length;
    while (this.#recent.length > RECENT_MAX || this.#recentLength > RECENT_LENGTH_MAX) {
      const gone = this.#recent.shift()!;
      this.#recentLength -= gone.text.length;
      if (this.#from !== null) this.#from = gone.cursor ?? this.#from;
    }
    for (const member of this.#members.values()) {
      if (member.fate === 'attached' && member.topics.test(topic)) member.waiting.push(text);
    }
    // What comes at once is told at once.
    if (!this.#isFlushing) queueMicrotask(() => this.#flush());
    this.#isFlushing = true;
  }

  #flush(): void {
    this.#isFlushing = false;
    for (const [id, member] of this.#members) if (member.waiting.length > 0) this.#tell(id, member, {});
  }

  #tellAll(told: Partial<Told>): void {
    for (const [id, member] of this.#members) if (member.fate === 'attached') this.#tell(id, member, told);
  }

  #tell(id: string, member: Member, told: Partial<Told>): void {
    const items = [...member.waiting, ...(told.items ?? [])];
    member.waiting = [];
    for (const text of items) member.untaken += text.length;
    // A tab that does not take what comes, be it frozen, goes on by itself when it does again.
    if (member.untaken > UNTAKEN_LENGTH_MAX) return this.#drop(id, 'again');
    member.channel.postMessage({ by: this.id, ...told, items } satisfies Told);
  }

  #dropAll(fate: Told['fate'], why?: string): void {
    this.#flush();
    for (const id of [...this.#members.keys()]) this.#drop(id, fate, why);
  }

  #drop(id: string, fate?: Told['fate'], why?: string): void {
    const member = this.#members.get(id);
    if (!member) return;
    this.#members.delete(id);
    this.#post(member.channel, fate, why);
    this.#tuneIn(LINGER_MS);
  }

  /** Says the last that a stream hears. */
  #post(channel: Broadcasts, fate: Told['fate'], why?: string): void {
    if (fate) channel.postMessage({ by: this.id, items: [], fate, why } satisfies Told);
    channel.close();
  }
}
