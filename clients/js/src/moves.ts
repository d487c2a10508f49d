// Several transports as one: from one that does not come through to the next, and back when the
// better one does. A move loses and doubles nothing: the next is opened at the cursor of what was
// given, what the one before still brings is held meanwhile, and dropped once the next one brings it.

import type { Cancel, Clock } from './clock.js';
import { type BellwireError, ConnectionError } from './errors.js';
import { type Connection, isControl, type Item, type MoveReason, type Opening, type Sink, type Transport } from './transport.js';

/** How long an open connection may bring nothing before it counts as mute, in milliseconds. */
export const MUTE_MS = 4_000;
/** How long a transport that did not come through is left alone at first, and at most. */
export const LEFT_ALONE_MS = 30_000;
export const LEFT_ALONE_MAX_MS = 600_000;

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

/** What is known of each transport, for all that is open. */
class Choice {
  readonly #until: number[];
  readonly #times: number[];

  constructor(readonly transports: readonly Transport[], readonly muteMs: number, private readonly leftAloneMs: number) {
    this.#until = transports.map(() => 0);
    this.#times = transports.map(() => 0);
  }

  /** The best from `begin` to before `end` that is not left alone; -1 where there is none. */
  best(clock: Clock, begin: number, end = this.transports.length): number {
    const now = clock.now();
    return this.#until.findIndex((until, index) => index >= begin && index < end && until <= now);
  }

  /** The best of all, or the one that is left alone for the least time. */
  first(clock: Clock): number {
    const best = this.best(clock, 0);
    return best >= 0 ? best : this.#until.indexOf(Math.min(...this.#until));
  }

  /** When the first of the better ones is worth a try. */
  next(index: number): number {
    return Math.min(...this.#until.slice(0, index));
  }

  failed(index: number, clock: Clock): void {
    const span = Math.min(this.leftAloneMs * 2 ** this.#times[index]!, LEFT_ALONE_MAX_MS);
    this.#times[index]! += 1;
    this.#until[index] = clock.now() + span;
  }

  worked(index: number): void {
    this.#times[index] = 0;
    this.#until[index] = 0;
  }
}

export function moving(transports: readonly Transport[], options: MovesOptions = {}): MovingTransport {
  if (transports.length === 0) throw new TypeError('there is no transport to choose from');
  const choice = new Choice(transports, options.muteMs ?? MUTE_MS, options.leftAloneMs ?? LEFT_ALONE_MS);
  const open = new Set<Course>();
  return {
    name: 'moving',
    open(opening, sink): Connection {
      const course = new Course(choice, opening, sink, () => open.delete(course));
      open.add(course);
      course.begin();
      return course;
    },
    move(name) {
      const index = transports.findIndex((transport) => transport.name === name);
      if (index < 0) throw new TypeError(`there is no transport \`${name}\``);
      for (const course of open) course.moveTo(index, 'asked');
    },
  };
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
  /** What the leader brings while another one is on its way from the same cursor. */
  #held: Item[] | null = null;
  #cancelProbe: Cancel = () => {};
  #isOver = false;

  constructor(
    private readonly choice: Choice,
    private readonly opening: Opening,
    private readonly sink: Sink,
    private readonly ended: () => void,
  ) {}

  begin(): void {
    this.#follow(this.choice.first(this.opening.clock));
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
    // Before it is live a move would begin its way anew.
    if (this.#isOver || !this.#isLive || this.#other || this.#leader?.index === index) return;
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
        this.#lead(leg);
        this.sink.sign();
      },
      item: (leg, item) => this.#give(leg, item),
      over: (leg, why, error) => {
        if (leg === this.#leader) return this.#broken(leg, why, error);
        this.#failed(leg);
        if (!this.#leader || this.#leader.isOver) return this.#end(error ?? silent());
        // What was held comes in its place, and the leader leads on.
        const held = this.#held ?? [];
        this.#held = null;
        for (const item of held) this.#give(this.#leader, item);
      },
    });
  }

  /** Opens the first leader, or the one behind a leader that has failed. */
  #follow(index: number): void {
    this.#lead(this.#open(index, {
      sign: () => this.sink.sign(),
      item: (leg, item) => this.#give(leg, item),
      over: (leg, reason, error) => this.#broken(leg, reason, error),
    }));
  }

  #lead(leg: Leg): void {
    this.#leader = leg;
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
    leg.cancelMute = this.opening.clock.after(this.choice.muteMs, () => over('mute', null));
    const connection = this.choice.transports[index]!.open({ ...this.opening, url }, {
      sign: () => {
        if (leg.isOver) return;
        leg.cancelMute();
        if (leg.hasSign && leg === this.#leader) return this.sink.sign();
        leg.hasSign = true;
        fate.sign(leg);
      },
      item: (item) => { if (!leg.isOver) fate.item(leg, item); },
      room: () => (leg === this.#leader && !leg.isOver ? this.sink.room() : null),
      closed: (error) => over('failed', error),
    });
    if (leg.isOver) connection.close();
    else leg.connection = connection;
    return leg;
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
    this.#probe();
  }

  /** When a better one may come through again, it is tried. */
  #probe(): void {
    const leader = this.#leader;
    this.#cancelProbe();
    if (!leader || leader.index === 0) return;
    const { clock } = this.opening;
    this.#cancelProbe = clock.after(Math.max(0, this.choice.next(leader.index) - clock.now()), () => {
      const better = this.choice.best(clock, 0, leader.index);
      // Where another one is tried out already, this is looked at again once that is over.
      if (better >= 0) this.moveTo(better, 'better');
      else this.#probe();
    });
  }

  /** One that was tried out does not come through. */
  #failed(leg: Leg): void {
    this.choice.failed(leg.index, this.opening.clock);
    this.#probe();
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
    const index = this.choice.best(clock, leg.index + 1);
    // All were tried: it is time to wait.
    if (index < 0) return this.#end(error ?? silent());
    this.#leave(this.#other);
    this.#follow(index);
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
