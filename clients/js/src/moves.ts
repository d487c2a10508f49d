// Several transports as one: from one that does not come through to the next, and back when the
// better one does; and to one that carries what is sent, too, while that is often. A move loses and
// doubles nothing: the next is opened at the cursor of what was given, what the one before still
// brings is held meanwhile, and dropped once the next one brings it.

import { Choice } from './choice.js';
import type { Cancel, Clock } from './clock.js';
import { type BellwireError, ConnectionError } from './errors.js';
import { Rate } from './rate.js';
import { type Connection, isControl, type Item, type MoveReason, type Opening, openingAt, type Sink, type Transport } from './transport.js';

/** How long an open connection may bring nothing before it counts as mute, in milliseconds. */
export const MUTE_MS = 4_000;
/** How long a transport that did not come through is left alone at first, in milliseconds. */
export const LEFT_ALONE_MS = 30_000;

/** How much of the leader is held at most; then it is not read until the move has come to an end. */
export const HELD_MAX = 1_024;

export interface MovesOptions {
  /** How long a transport that did not come through is left alone at first, in milliseconds. */
  leftAloneMs?: number;
  /** How long one may bring nothing although it is open, in milliseconds. */
  muteMs?: number;
}

/** A transport that is made of others, the best one first. */
export interface MovingTransport extends Transport {
  /** Moves all that is open to the transport of this name, as soon as that comes through. */
  move(name: string): void;
}

/** The streams that are open, and how often something is sent beside them. */
class Moving implements MovingTransport {
  readonly name = 'moving';
  readonly #choice: Choice;
  readonly #open = new Set<Course>();
  readonly #rate = new Rate();
  /** The first that carries what is sent, too. */
  readonly #channel: number;
  #cancelLook: Cancel | null = null;

  constructor(private readonly transports: readonly Transport[], { muteMs = MUTE_MS, leftAloneMs = LEFT_ALONE_MS }: MovesOptions) {
    this.#choice = new Choice(transports, muteMs, leftAloneMs);
    this.#channel = transports.findIndex(({ isChannel }) => isChannel);
  }

  open(opening: Opening, sink: Sink): Connection {
    const { clock } = opening;
    const course = new Course(this.#choice, opening, sink, () => {
      this.#open.delete(course);
      if (this.#open.size > 0) return;
      this.#cancelLook?.();
      this.#cancelLook = null;
    });
    this.#open.add(course);
    this.#look(clock);
    course.begin();
    return course;
  }

  move(name: string): void {
    const index = this.transports.findIndex((transport) => transport.name === name);
    if (index < 0) throw new TypeError(`there is no transport \`${name}\``);
    for (const course of this.#open) course.moveTo(index, 'asked');
  }

  sent(clock: Clock): void {
    if (this.#channel < 0) return;
    this.#rate.sent(clock.now());
    this.#look(clock);
  }

  /** Has what is open move once it is often, and once it is no more. */
  #look(clock: Clock): void {
    const againInMs = this.#rate.look(clock.now());
    const { isOften } = this.#rate;
    if (this.#choice.prefer(isOften ? this.#channel : -1)) {
      for (const course of this.#open) course.probe();
    }
    if (!isOften || this.#open.size === 0) return;
    this.#cancelLook ??= clock.after(againInMs, () => {
      this.#cancelLook = null;
      this.#look(clock);
    });
  }
}

export function moving(transports: readonly Transport[], options: MovesOptions = {}): MovingTransport {
  if (transports.length === 0) throw new TypeError('there is no transport to choose from');
  return new Moving(transports, options);
}

/** One connection of one transport. */
interface Leg {
  index: number;
  connection: Connection | null;
  isOver: boolean;
  /** It has come through. */
  hasSign: boolean;
  cancelMute: Cancel;
}

/** What becomes of a leg. */
interface Fate {
  sign(leg: Leg): void;
  item(leg: Leg, item: Item): void;
  /** It has ended, or is mute. */
  over(leg: Leg, reason: MoveReason, error: BellwireError | null): void;
}

/** One stream: a leg that leads, and at times one that is tried out or is to take its place. */
class Course implements Connection {
  #leader: Leg | null = null;
  #other: Leg | null = null;
  /** Behind which everything is still to be given. */
  #cursor: string | null = null;
  #isLive = false;
  /** Why the leader leads. */
  #reason: MoveReason = 'better';
  /** What the leader brings while another one is on its way from the same cursor. */
  #held: Item[] | null = null;
  /** Which one the application has asked for, where that waits; -1 where none does. */
  #asked = -1;
  /** The leader waits to go on leading. */
  #goOn = () => {};
  #cancelProbe: Cancel = () => {};
  #isOver = false;

  constructor(
    private readonly choice: Choice,
    private readonly opening: Opening,
    private readonly sink: Sink,
    private readonly ended: () => void,
  ) {}

  begin(): void {
    const index = this.choice.first(this.opening.clock);
    this.#follow(index, this.#reasonFor(index));
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelProbe();
    this.#leave(this.#other);
    this.#leave(this.#leader);
    this.ended();
  }

  /** Tries another one out beside the one that leads; once it comes through, it takes its place. */
  moveTo(index: number, reason: MoveReason): void {
    if (this.#isOver || this.#other?.index === index) return;
    // Before it is live a move would begin its way anew.
    if (!this.#isLive || this.#other) {
      if (reason === 'asked') this.#asked = index;
      return;
    }
    if (this.#leader?.index === index) {
      // It is no longer there for another reason.
      if (reason === 'asked') this.#reason = reason;
      return this.probe();
    }
    this.#other = this.#open(index, {
      sign: (leg) => {
        this.#leave(leg);
        this.#move(index, reason);
      },
      item: () => {},
      over: (leg) => this.#failed(leg),
    });
  }

  /** Opens the next leader at the cursor; until something of it comes, nothing more is given. */
  #move(index: number, reason: MoveReason): void {
    this.#held = [];
    this.#other = this.#open(index, {
      sign: (leg) => {
        const before = this.#leader;
        this.#held = null;
        this.#other = null;
        this.#leave(before);
        if (before) this.#moved(before.index, index, reason);
        this.#lead(leg, reason);
        this.sink.sign();
      },
      item: (leg, item) => this.#give(leg, item),
      over: (leg, why, error) => {
        if (leg === this.#leader) return this.#broken(leg, why, error);
        this.#failed(leg);
        if (!this.#leader || this.#leader.isOver) return this.#end(error);
        // What was held comes in its place, and the leader leads on.
        const held = this.#held ?? [];
        this.#held = null;
        for (const item of held) this.#give(this.#leader, item);
        this.#goOn();
      },
    });
  }

  /** Opens the first leader, or the one behind a leader that has failed. */
  #follow(index: number, reason: MoveReason): void {
    this.#lead(this.#open(index, {
      sign: () => this.sink.sign(),
      item: (leg, item) => this.#give(leg, item),
      over: (leg, reason, error) => this.#broken(leg, reason, error),
    }), reason);
  }

  #lead(leg: Leg, reason: MoveReason): void {
    this.#leader = leg;
    this.#reason = reason;
    this.#isLive = false;
  }

  #open(index: number, fate: Fate): Leg {
    const leg: Leg = { index, connection: null, isOver: false, hasSign: false, cancelMute: () => {} };
    const url = new URL(this.opening.url);
    if (this.#cursor !== null) url.searchParams.set('after', this.#cursor);
    const over = (reason: MoveReason, error: BellwireError | null) => {
      if (leg.isOver) return;
      this.#leave(leg);
      fate.over(leg, reason, error);
    };
    leg.cancelMute = this.opening.clock.after(this.choice.muteMs, () => over('mute', silent()));
    const connection = this.choice.transports[index]!.open(openingAt(this.opening, url), {
      sign: () => {
        if (leg.isOver) return;
        leg.cancelMute();
        if (leg.hasSign && leg === this.#leader) return this.sink.sign();
        leg.hasSign = true;
        fate.sign(leg);
      },
      item: (item) => { if (!leg.isOver) fate.item(leg, item); },
      room: (length) => (leg === this.#leader && !leg.isOver ? this.#room(length) : null),
      closed: (error) => over('failed', error),
    });
    if (leg.isOver) connection.close();
    else leg.connection = connection;
    return leg;
  }

  #room(length?: number): Promise<void> | null {
    if (!this.#held || this.#held.length < HELD_MAX) return this.sink.room(length);
    return new Promise((resolve) => { this.#goOn = resolve; });
  }

  #leave(leg: Leg | null): void {
    if (!leg || leg.isOver) return;
    leg.isOver = true;
    leg.cancelMute();
    leg.connection?.close();
    if (this.#other === leg) this.#other = null;
  }

  #give(leg: Leg, item: Item): void {
    if (this.#held) return void this.#held.push(item);
    if ('cursor' in item && item.cursor) this.#cursor = item.cursor;
    this.sink.item(item);
    if (leg.isOver || this.#isOver || !isControl(item) || item.control !== 'ready') return;
    this.#isLive = true;
    this.choice.worked(leg.index);
    this.probe();
  }

  /** When a better one may come through, it is tried. */
  probe(): void {
    const leader = this.#leader;
    this.#cancelProbe();
    if (this.#asked >= 0 && this.#isLive && !this.#other) {
      const asked = this.#asked;
      this.#asked = -1;
      this.moveTo(asked, 'asked');
    }
    // Where the application wants it, it stays for as long as that works.
    if (!leader || this.#reason === 'asked') return;
    const { clock } = this.opening;
    const wait = this.choice.next(leader.index, clock);
    if (wait === Infinity) return;
    this.#cancelProbe = clock.after(wait, () => {
      const better = this.choice.better(leader.index, clock);
      // Where another one is tried out already, this is looked at again once that is over.
      if (better >= 0) this.moveTo(better, this.#reasonFor(better));
      else this.probe();
    });
  }

  /** Why this one is better than the leader. */
  #reasonFor(index: number): MoveReason {
    if (index === this.choice.preferred) return 'sending';
    return this.#reason === 'sending' ? 'quiet' : 'better';
  }

  /** One that was tried out does not come through. */
  #failed(leg: Leg): void {
    this.choice.failed(leg.index, this.opening.clock);
    this.probe();
  }

  /** The leader is over. */
  #broken(leg: Leg, reason: MoveReason, error: BellwireError | null): void {
    // What comes from the cursor on is on its way already.
    if (this.#held && this.#other) return;
    // What the server says, and what breaks off once it has come through, is no fault of the transport.
    const isFault = reason === 'mute' || (error instanceof ConnectionError && !leg.hasSign);
    if (!isFault) return this.#end(error);
    const { clock } = this.opening;
    this.choice.failed(leg.index, clock);
    const index = this.choice.worse(leg.index, clock);
    // All were tried: it is time to wait.
    if (index < 0) return this.#end(error);
    this.#leave(this.#other);
    this.#follow(index, reason);
    this.#moved(leg.index, index, reason);
  }

  #moved(from: number, to: number, reason: MoveReason): void {
    const name = (index: number) => this.choice.transports[index]!.name;
    this.sink.moved?.({ from: name(from), to: name(to), reason });
  }

  #end(error: BellwireError | null): void {
    this.close();
    this.sink.closed(error);
  }
}

const silent = () => new ConnectionError('connection_silent', 'nothing comes through');
