// A stream of one tab. It catches up over a connection of its own, as short as that takes, and goes on
// with what the tab that leads tells. Both bring all in order behind its cursor, so what it has had by
// then is dropped, and nothing is missing.

import { alone, listen } from './alone.js';
import type { Candidate } from './candidate.js';
import type { Cancel, Clock } from './clock.js';
import { BellwireError, ConnectionError } from './errors.js';
import { asError, ask, remedy } from './http.js';
import { type Browser, type Broadcasts, isAfter, isPlace, newId, type Said, TAKEN_LENGTH, type Told, withoutState } from './shared.js';
import { type Connection, type Item, type Opening, openingAt, type Sink, type Transport } from './transport.js';

/** How often it is asked whether somebody leads, in milliseconds; who does not answer is replaced. */
export const ASK_MS = 5_000;
/** How many streams of a browser catch up at a time. */
export const CATCHING_UP_MAX = 2;
/** How long others wait for their turn to; then one of those gives way, and goes on when it is its turn. */
export const TURN_MS = 30_000;

export class Stream implements Connection {
  readonly #id = newId();
  readonly #asked: string[];
  readonly #topics: Set<string>;
  /** Where to begin, and then behind what was given. */
  #after: string | null;
  #candidate: Candidate | null = null;
  #name = '';
  #channels: Broadcasts[] = [];
  /** Who leads, as far as that is known. */
  #leader = '';
  #state: 'asleep' | 'catching up' | 'ready' | 'attached' | 'apart' | 'over' = 'asleep';
  /** There is no room for it on the shared connection: once it has caught up it stays apart. */
  #isRefused = false;
  #connection: Connection | null = null;
  /** Of what it was told last: the server takes no events in. */
  #isDegraded = false;
  /** Ends what it asks or waits for before it has one. */
  #endTurn: Cancel = () => {};
  #cancelAsk: Cancel = () => {};
  #wasAnswered = true;
  /** What was told and waits for room. */
  #untaken: Told[] = [];
  #isTaking = false;
  /** So many characters were taken and not told of. */
  #taken = 0;
  readonly #deaf: Cancel[];

  constructor(
    private readonly browser: Browser,
    private readonly inner: Transport,
    readonly opening: Opening,
    readonly sink: Sink,
    private readonly candidateOf: (name: string) => Candidate,
  ) {
    const { searchParams } = opening.url;
    this.#after = searchParams.get('after');
    this.#asked = [...searchParams].filter(([name]) => name === 'topic' || name === 'query').map((one) => JSON.stringify(one));
    this.#topics = new Set(searchParams.getAll('topic'));
    // Pages that are frozen or kept to come back to hold nothing that others wait for.
    this.#deaf = [listen(['freeze', 'pagehide'], () => this.#rest('asleep')), listen(['resume', 'pageshow'], () => void this.#begin())];
    void this.#begin();
  }

  close(): void {
    this.#rest('over');
    for (const stop of this.#deaf) stop();
  }

  async #begin(): Promise<void> {
    if (this.#state !== 'asleep') return;
    this.#state = 'catching up';
    const control = new AbortController();
    this.#endTurn = () => control.abort();
    const name = await nameOf(this.browser, this.opening, control.signal).catch(asError);
    if (control.signal.aborted) return;
    if (name instanceof BellwireError) return this.#end(name);
    if (name === null) {
      for (const stop of this.#deaf) stop();
      this.#connection = alone(this.inner, this.opening, this.sink);
      return;
    }
    this.#name = name;
    this.#channels = [this.browser.channel(name), this.browser.channel(`${name} ${this.#id}`)];
    this.#channels[0]!.onmessage = ({ data }) => this.#led(data);
    this.#channels[1]!.onmessage = ({ data }) => this.#hear(data);
    this.#candidate = this.candidateOf(name);
    this.#candidate.join(this);
    this.#catchUp();
    this.#askIn(ASK_MS);
  }

  /** Lets go of all that it holds. */
  #rest(state: 'asleep' | 'over'): void {
    if (this.#state === 'over') return;
    this.#state = state;
    this.#cancelAsk();
    this.#leaveOwn();
    if (this.#candidate) this.#say({ say: 'detach', id: this.#id });
    for (const channel of this.#channels) channel.close();
    this.#candidate?.part(this);
    this.#candidate = null;
  }

  #end(error: BellwireError | null): void {
    this.close();
    this.sink.closed(error);
  }

  /** Waits for its turn, and opens a connection of its own. */
  #catchUp(): void {
    this.#leaveOwn();
    this.#state = 'catching up';
    const { origin, pathname } = this.opening.url;
    this.#endTurn = turn(this.browser, this.opening.clock, `bellwire ${origin}${pathname}`, () => this.#openOwn(), () => this.#catchUp());
  }

  #openOwn(): void {
    const url = new URL(this.opening.url);
    // Behind cursors that tell of state topics, too, others' changes can follow.
    const keepsState = url.searchParams.get('state') === 'changes';
    url.searchParams.set('state', 'changes');
    const after = this.#after;
    // What the topics of queries are called is told with their values alone.
    const isNamed = this.#topics.size >= new Set(this.#asked).size;
    if (after !== null) url.searchParams.set('after', (keepsState && isNamed) || !isPlace(after) ? after : withoutState(after));
    let isOver = false;
    const connection = this.inner.open(openingAt(this.opening, url), {
      sign: () => { if (!isOver) this.sink.sign(); },
      item: (item) => {
        if (isOver || (!keepsState && 'control' in item && item.control === 'reset')) return;
        if ('topic' in item && item.topic.startsWith('query/')) this.#topics.add(item.topic);
        this.#give(item);
        if (!('control' in item) || item.control !== 'ready' || this.#state !== 'catching up' || !isPlace(this.#after)) return;
        if (!this.#isRefused) return this.#attach();
        this.#state = 'apart';
        this.#endTurn();
      },
      room: (length) => (isOver ? null : this.sink.room(length)),
      closed: (error) => { if (!isOver) this.#end(error); },
      moved: (move) => { if (!isOver) this.sink.moved?.(move); },
    });
    this.#connection = { close: () => { isOver = true; connection.close(); } };
    // It may have been closed while it was opened.
    if (this.#state === 'over' || this.#state === 'asleep') this.#leaveOwn();
  }

  #leaveOwn(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#endTurn();
  }

  #give(item: Item): void {
    if ('cursor' in item && item.cursor) this.#after = item.cursor;
    if ('control' in item && /^(ready|degraded|restored)$/.test(item.control)) {
      const isDegraded = item.control === 'degraded';
      // Each connection that somebody leads with says it anew.
      if (isDegraded === this.#isDegraded && item.control !== 'ready') return;
      this.#isDegraded = isDegraded;
    }
    this.sink.item(item);
  }

  #say(said: Said): void {
    // Who posts on a channel hears it, too: only who leads should hear all of them.
    const channel = this.browser.channel(this.#leader ? `${this.#name} ${this.#leader}` : this.#name);
    channel.postMessage(said);
    channel.close();
  }

  /** Nothing comes until it is: values that the leader begins with are older than what came meanwhile. */
  #attach(): void {
    this.#state = 'ready';
    this.#leaveOwn();
    this.#taken = 0;
    this.#say({ say: 'attach', id: this.#id, asked: this.#asked, topics: [...this.#topics], at: this.#after! });
  }

  /** Another tab leads now. */
  #led(said: Said): void {
    if (said.say !== 'lead') return;
    this.#leader = said.by;
    this.#wasAnswered = true;
    this.#isRefused = false;
    // The past of series is told at the beginning alone: with what came meanwhile it is told anew.
    if (this.#state === 'attached' && this.opening.url.searchParams.has('history')) this.#catchUp();
    else if (this.#state !== 'catching up') this.#attach();
  }

  #hear(told: Told): void {
    this.#leader ||= told.by;
    if (told.by !== this.#leader) return;
    this.#wasAnswered = true;
    this.#untaken.push(told);
    if (!this.#isTaking) void this.#takeAll();
  }

  async #takeAll(): Promise<void> {
    this.#isTaking = true;
    for (let told; (told = this.#untaken.shift()); ) {
      if (this.#state === 'over' || this.#state === 'asleep') continue;
      const length = this.#take(told);
      await this.sink.room(length);
      this.#taken += length;
      if (this.#taken >= TAKEN_LENGTH) this.#sayTaken();
    }
    this.#isTaking = false;
  }

  #sayTaken(): void {
    this.#say({ say: 'taken', id: this.#id, length: this.#taken });
    this.#taken = 0;
  }

  /** Takes what is told; gives how many characters of events it was. */
  #take({ items, move, fate, why }: Told): number {
    this.sink.sign();
    if (this.#state === 'ready') {
      if (fate === 'attached') {
        this.#state = 'attached';
      } else if (fate === 'lost') {
        this.#lose(why);
      } else if (fate) {
        this.#isRefused = fate === 'refused';
        this.#catchUp();
      }
    }
    if (this.#state !== 'attached') return 0;
    if (move) this.sink.moved?.(move);
    let length = 0;
    for (const text of items) {
      length += text.length;
      this.#pass(JSON.parse(text) as Item);
    }
    if (fate === 'again' && this.#isAttached()) this.#catchUp();
    else if (fate === 'ended') this.#end(null);
    else if (fate === 'lost') this.#lose(why);
    return length;
  }

  #lose(why: string | undefined): void {
    this.#end(new ConnectionError('connection_lost', `the tab that leads says: ${why}`));
  }

  /** What is told may close it. */
  #isAttached(): boolean {
    return this.#state === 'attached';
  }

  /** Gives what it has not had. */
  #pass(item: Item): void {
    if (!this.#isAttached() || ('cursor' in item && item.cursor && !isAfter(item.cursor, this.#after))) return;
    const isGap = 'control' in item && item.control === 'gap';
    this.#give(isGap ? { ...item, filters: this.opening.url.searchParams.getAll('topic') } : item);
  }

  /** Looks again and again whether somebody leads. */
  #askIn(ms: number): void {
    this.#cancelAsk();
    this.#cancelAsk = this.opening.clock.after(ms, () => {
      this.#askIn(ASK_MS);
      // To wait for one's turn is no silence of the server's.
      if (this.#state === 'catching up' && !this.#connection) this.sink.sign();
      if (this.#state !== 'ready' && this.#state !== 'attached') return;
      const wasAnswered = this.#wasAnswered;
      this.#wasAnswered = !wasAnswered;
      if (!wasAnswered) this.#candidate?.lead(true);
      else if (this.#state === 'ready') this.#attach();
      else this.#sayTaken();
    });
  }
}

/**
 * What is shared, and by whom: streams of the same somebody, with the same rights, on the same server,
 * that differ in nothing but what they follow. `null` where nothing can be shared; throws where the
 * server cannot say who it is now.
 */
async function nameOf(browser: Browser, opening: Opening, signal: AbortSignal): Promise<string | null> {
  const { url, token } = opening;
  try {
    // Where storage is not allowed, this is not.
    await browser.locks.request('bellwire', { mode: 'shared' }, () => {});
    const response = await ask(opening, token, new URL('whoami', url), { headers: { accept: 'application/json' }, signal });
    const { subject, means, session, rights } = await response.json();
    const others = [...url.searchParams].filter(([name]) => !['topic', 'query', 'after', 'state', 'history'].includes(name));
    return `bellwire ${url.origin}${url.pathname} ${JSON.stringify([subject, means, session, rights, others])}`;
  } catch (fault) {
    if (fault instanceof BellwireError && remedy(fault) !== 'none') throw fault;
    return null;
  }
}

/** Waits for one of the turns that there are; one that others have waited for too long is taken away. */
function turn(browser: Browser, clock: Clock, name: string, granted: () => void, lost: () => void): Cancel {
  const control = new AbortController();
  let release: (() => void) | null = null;
  let isOver = false;
  const ask = (options: LockOptions, place: number) => {
    let isHeld = false;
    const hold = () => new Promise<void>((resolve) => {
      if (release || isOver) return resolve();
      release = resolve;
      isHeld = true;
      cancelSteal();
      control.abort();
      granted();
    });
    browser.locks.request(`${name} ${place}`, options, hold).catch(() => { if (isHeld && !isOver) lost(); });
  };
  for (let place = 0; place < CATCHING_UP_MAX; place += 1) ask({ signal: control.signal }, place);
  const cancelSteal = clock.after(TURN_MS, () => ask({ steal: true }, 0));
  return () => {
    isOver = true;
    cancelSteal();
    control.abort();
    release?.();
  };
}
