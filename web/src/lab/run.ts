// A run of the lab: the same events over three transports and over a client that moves between them,
// each behind a wire of its own.

import { signal } from '@preact/signals';
import { Client, longPoll, moving, type MovingTransport, ProblemError, sse, type Subscription, type Transport, webSocket } from './client.js';
import { ClockOffset, Ledger, type Tally } from './ledger.js';
import { type Counts, Wire, type Weather } from './wire.js';

export const SIDES = ['sse', 'websocket', 'poll', 'moving'] as const;
export type SideName = (typeof SIDES)[number];

/** Bounds of what a visitor may ask of the server. */
export const EVENTS_MAX = 500;
export const RATE_MAX = 20;
export const BYTES_MAX = 4_096;

/** How long is waited for what is still under way once the last event is published. */
const PATIENCE_MS = 15_000;
/** How often what is shown is renewed. */
const SHOWN_EVERY_MS = 250;
/** How long a fault lasts. */
export const FAULT_MS: Record<Exclude<Fault, 'drain'>, number> = { buffering: 8_000, dropped: 4_000 };

/** The client that chooses does so sooner than it would by itself, so that one run shows it. */
const MOVES = { muteMs: 2_000, leftAloneMs: 5_000 };

export type Fault = 'buffering' | 'dropped' | 'drain';

export interface Plan {
  events: number;
  rate: number;
  bytes: number;
  /** What is followed where this page may not publish. */
  filter: string;
}

export interface SideResult {
  name: SideName;
  /** What it goes over now: of the moving one, which of the three. */
  over: string;
  status: string;
  tally: Tally;
  counts: Counts;
  /** How long it took after each fault until it was live again, in milliseconds. */
  reconnects: readonly number[];
  moves: readonly { from: string; to: string; reason: string; atMs: number }[];
}

export interface RunState {
  /** `stopped`: before all was there, so that what is missing says nothing. */
  phase: 'idle' | 'opening' | 'running' | 'settling' | 'done' | 'stopped' | 'failed';
  /** Published by this page, or of others' events that it may follow. */
  source: 'own' | 'others';
  published: number;
  fault: Fault | null;
  /** Of the server's clock; `null` before anything is known. */
  clock: { offsetMs: number; sureMs: number } | null;
  sides: readonly SideResult[];
  error: string;
}

export const IDLE: RunState = { phase: 'idle', source: 'own', published: 0, fault: null, clock: null, sides: [], error: '' };

export const state = signal<RunState>(IDLE);

interface Body {
  lab: string;
  n: number;
}

/** One of the four. */
class Side {
  readonly wire: Wire;
  readonly ledger = new Ledger();
  readonly client: Client;
  readonly transport: Transport;
  readonly reconnects: number[] = [];
  readonly moves: SideResult['moves'][number][] = [];
  status = 'connecting';
  over: string;
  #subscription: Subscription<Body> | null = null;
  #hurtAt: number | null = null;
  #wasHurt = false;

  constructor(readonly name: SideName, base: URL, private readonly beganAt: number) {
    this.wire = new Wire({ fetch: (...request) => fetch(...request), WebSocket });
    const socket = webSocket({ WebSocket: this.wire.WebSocket });
    const all: Record<SideName, () => Transport> = {
      sse: () => sse,
      websocket: () => socket,
      poll: longPoll,
      moving: () => moving([sse, socket, longPoll()], MOVES),
    };
    this.transport = all[name]();
    this.over = name === 'moving' ? 'sse' : name;
    this.client = new Client(base, { fetch: this.wire.fetch, transport: this.transport, random: () => 0.3 });
  }

  open(topic: string, took: (side: Side, number: number | string, time: number) => void): Promise<void> {
    const subscription = this.client.subscribe<Body>(topic);
    this.#subscription = subscription;
    subscription.addEventListener('event', ({ detail }) => {
      const { data, time, cursor } = detail;
      const number = typeof data?.n === 'number' ? data.n : cursor ?? `${detail.topic} ${detail.key} ${time}`;
      took(this, number, time);
    });
    subscription.addEventListener('gap', () => this.ledger.gap());
    subscription.addEventListener('status', ({ detail: { status } }) => {
      this.status = status;
      if (status !== 'live') this.#wasHurt = this.#hurtAt !== null;
      else this.#healed();
    });
    subscription.addEventListener('move', ({ detail: { from, to, reason } }) => {
      this.over = to;
      this.moves.push({ from, to, reason, atMs: performance.now() - this.beganAt });
      this.#wasHurt = this.#hurtAt !== null;
      this.#healed();
    });
    return subscription.ready();
  }

  /** From now on it counts how long it takes until something comes. */
  hurt(): void {
    this.#hurtAt = performance.now();
    this.#wasHurt = false;
  }

  #healed(): void {
    if (this.#hurtAt === null || !this.#wasHurt) return;
    this.reconnects.push(performance.now() - this.#hurtAt);
    this.#hurtAt = null;
  }

  result(expected: ReadonlySet<number>): SideResult {
    const { name, over, status, wire, reconnects, moves, ledger } = this;
    return { name, over, status, tally: ledger.tally(expected), counts: { ...wire.counts }, reconnects: [...reconnects], moves: [...moves] };
  }

  close(): void {
    this.#subscription?.close();
    this.client.close();
  }
}

/** What goes on; there is one run at most. */
let current: Run | null = null;

export class Run {
  readonly #sides: Side[];
  readonly #publisher: Client;
  readonly #sent = new Map<number, number>();
  readonly #taken = new Set<number>();
  readonly #offset = new ClockOffset();
  readonly #answered = new Map<number, { sentMs: number; answeredMs: number }>();
  readonly #serverTimes = new Map<number, number>();
  /** Of others' events: which number each has here, and when it first came. */
  readonly #known = new Map<string, { number: number; atMs: number }>();
  readonly #topic: string;
  readonly #timers = new Map<ReturnType<typeof setTimeout>, () => void>();
  #isOver = false;

  constructor(base: URL, private readonly plan: Plan) {
    const beganAt = performance.now();
    this.#sides = SIDES.map((name) => new Side(name, base, beganAt));
    this.#publisher = new Client(base);
    this.#topic = `lab/${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  }

  /** Runs to the end, or until it is stopped. */
  async run(): Promise<void> {
    current?.stop();
    current = this;
    state.value = { ...IDLE, phase: 'opening' };
    const shown = setInterval(() => this.#show(), SHOWN_EVERY_MS);
    try {
      const source = await this.#mayPublish() ? 'own' : 'others';
      state.value = { ...state.value, source };
      const followed = source === 'own' ? this.#topic : this.plan.filter;
      await Promise.all(this.#sides.map((side) => side.open(followed, (...came) => this.#take(...came))));
      if (this.#isOver) return;
      state.value = { ...state.value, phase: 'running' };
      if (source === 'own') await this.#publish();
      else await this.#wait((this.plan.events / this.plan.rate) * 1_000);
      if (this.#isOver) return;
      state.value = { ...state.value, phase: 'settling' };
      await this.#settle();
      if (!this.#isOver) this.#end('done');
    } catch (fault) {
      if (!this.#isOver) this.#end('failed', fault instanceof Error ? fault.message : String(fault));
    } finally {
      clearInterval(shown);
    }
  }

  stop(): void {
    if (!this.#isOver) this.#end('stopped');
  }

  /** Has all wires suffer it. */
  suffer(fault: Fault): void {
    if (this.#isOver || state.value.fault) return;
    for (const side of this.#sides) side.hurt();
    if (fault === 'drain') {
      for (const { wire } of this.#sides) wire.drain();
      return;
    }
    this.#weather(fault);
    state.value = { ...state.value, fault };
    this.#later(FAULT_MS[fault], () => {
      this.#weather('clear');
      state.value = { ...state.value, fault: null };
    });
  }

  /** Has the client that chooses move to one of the three. */
  move(name: string): void {
    const side = this.#sides.find(({ name }) => name === 'moving')!;
    (side.transport as MovingTransport).move(name);
  }

  #weather(weather: Weather): void {
    for (const { wire } of this.#sides) wire.weather = weather;
  }

  /** Whether this page may publish: an event that nobody follows yet tells. */
  async #mayPublish(): Promise<boolean> {
    try {
      await this.#publishOne(-1);
      return true;
    } catch (fault) {
      if (fault instanceof ProblemError && (fault.status === 403 || fault.status === 401)) return false;
      throw fault;
    }
  }

  async #publish(): Promise<void> {
    const { events, rate } = this.plan;
    const beganAt = performance.now();
    // One after the other, so that none waits here for another and counts as late for it.
    for (let number = 0; number < events && !this.#isOver; number += 1) {
      await this.#wait(Math.max(0, beganAt + (number * 1_000) / rate - performance.now()));
      if (!this.#isOver) await this.#publishOne(number);
    }
  }

  async #publishOne(number: number): Promise<void> {
    const body: Body & { pad?: string } = { lab: 'bellwire', n: number };
    const missing = this.plan.bytes - JSON.stringify({ ...body, pad: '' }).length;
    if (missing > 0) body.pad = 'x'.repeat(missing);
    const sentMs = Date.now();
    this.#sent.set(number, performance.now());
    await this.#publisher.publish(this.#topic, body, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (number < 0) return;
    this.#taken.add(number);
    this.#answered.set(number, { sentMs, answeredMs: Date.now() });
    this.#lookAtClock(number);
  }

  /** Once both are known, when an event was sent and answered here and taken in there. */
  #lookAtClock(number: number): void {
    const [asked, serverMs] = [this.#answered.get(number), this.#serverTimes.get(number)];
    if (asked && serverMs !== undefined) this.#offset.take(asked.sentMs, asked.answeredMs, serverMs);
  }

  #take(side: Side, number: number | string, time: number): void {
    const now = performance.now();
    if (typeof number === 'number') {
      const sent = this.#sent.get(number);
      if (sent === undefined || number < 0) return;
      side.ledger.take(number, now - sent);
      this.#serverTimes.set(number, time);
      this.#lookAtClock(number);
      return;
    }
    const known = this.#known.get(number) ?? { number: this.#known.size, atMs: now };
    if (!this.#known.has(number)) {
      if (this.#known.size >= EVENTS_MAX) return;
      this.#known.set(number, known);
      this.#taken.add(known.number);
    }
    side.ledger.take(known.number, now - known.atMs);
  }

  /** Until all have everything, or nobody waits any more. */
  async #settle(): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    const isMissing = () => this.#sides.some(({ ledger }) => ledger.tally(this.#taken).missing > 0);
    while (!this.#isOver && performance.now() < until && (isMissing() || state.value.fault)) await this.#wait(100);
  }

  #show(): void {
    if (this.#isOver) return;
    const sides = this.#sides.map((side) => side.result(this.#taken));
    state.value = { ...state.value, published: this.#taken.size, clock: this.#offset.value, sides };
  }

  #end(phase: 'done' | 'stopped' | 'failed', error = ''): void {
    this.#show();
    this.#isOver = true;
    // Whoever waits goes on, and sees that it is over.
    for (const [timer, act] of this.#timers) {
      clearTimeout(timer);
      act();
    }
    this.#weather('clear');
    for (const side of this.#sides) side.close();
    this.#publisher.close();
    if (current === this) current = null;
    state.value = { ...state.value, phase, error, fault: null };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#later(ms, resolve));
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.set(timer, act);
  }
}

/** The run that goes on. */
export const running = (): Run | null => current;
