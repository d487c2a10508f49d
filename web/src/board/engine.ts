// From alerts that change to rows on the screen: when these are put in order, and when they are not.

import type { Alert } from '@bellwire/client';
import { batch, computed, effect, type ReadonlySignal, signal, untracked } from '@preact/signals';
import { type Matcher, parse, Tester, write } from '../match/matchers.js';
import { alertsCount, allEntries, type Change, type Entry, onAlerts, waitingCount } from '../stores/alerts.js';
import { serverTimeOf } from '../stores/clock.js';
import { connection, lastHeard } from '../stores/stream.js';
import { ticks } from '../ui/now.js';
import { isAttended } from './attention.js';
import { ShownRows } from './hold.js';
import { BoardModel, type Group, LANES, type LaneName } from './model.js';
import { draft, filter, grouping, openGroups, openLanes, pageNumber, toggled } from './view.js';

/** Rows are put in order so often at most: faster nobody can follow. */
const ORDER_EVERY_MS = 250;
/** Of very many it takes a while: so many for each millisecond that is left for all else. */
const ORDERED_IN_MS = 40;

export const shown = new ShownRows();
const current = signal(new BoardModel(null, () => true));
/** The model of what is looked for now. */
export const model: ReadonlySignal<BoardModel> = current;

/** Matchers that are not applied, since their expressions take too long; as they are written. */
export const givenUp = signal<ReadonlySet<string>>(new Set());

/** Counts how often rows were put in order. */
export const ordered = signal(0);
/** Counts of the lanes, when these were put in order last. */
export const laneCounts = signal<Record<LaneName, number>>({ firing: 0, pending: 0, muted: 0, resolved: 0 });

// ---------------------------------------------------------------------------- pausing

interface Pause { at: number; alerts: Map<string, Alert>; changed: Set<string> }

const pause = signal<Pause | null>(null);
export const isPaused = computed(() => pause.value !== null);
/** Alerts that have changed since. */
export const changedInPause = signal(0);

export function setPaused(isWanted: boolean): void {
  if (isWanted === isPaused.peek()) return;
  changedInPause.value = 0;
  if (isWanted) {
    const alerts = new Map([...allEntries()].map((entry) => [entry.fingerprint, entry.alert.peek()]));
    pause.value = { at: ticks.peek(), alerts, changed: new Set() };
  } else {
    pause.value = null;
    refresh();
  }
}

/** The alert as it is to be shown: while all is held, as it was when that began. */
export const shownAlert = (entry: Entry): Alert => pause.value?.alerts.get(entry.fingerprint) ?? entry.alert.value;

/** The server's time by which ages are shown. It stands still with all else, and where nothing is known
 * of what has become of alerts. */
export const shownNow = computed(() => {
  const paused = pause.value;
  if (paused) return serverTimeOf(paused.at);
  const heard = lastHeard();
  return serverTimeOf(connection.value.status === 'live' || heard === null ? ticks.value : heard);
});

// ---------------------------------------------------------------------------- order

const isHeld = computed(() => isPaused.value || isAttended.value);
/** Whether all that there was at first is on the screen: until then nobody has seen anything to hold. */
let hasSettled = false;
let isStale = false;
let orderedAt = -Infinity;
let waiting: ReturnType<typeof setTimeout> | undefined;

function scheduleOrder(): void {
  isStale = true;
  if (waiting !== undefined) return;
  const every = Math.max(ORDER_EVERY_MS, current.peek().size / ORDERED_IN_MS);
  waiting = setTimeout(order, Math.max(0, orderedAt + every - performance.now()));
}

function order(): void {
  clearTimeout(waiting);
  waiting = undefined;
  if (!isStale) return;
  isStale = false;
  orderedAt = performance.now();
  const isWhole = connection.peek().hasBegun && waitingCount() === 0;
  batch(() => {
    const of = current.peek();
    const open = { lanes: openLanes.peek(), groups: openGroups.peek() };
    shown.update(of.rows(open, shown.groups()), hasSettled && isHeld.peek());
    if (!isPaused.peek()) countLanes(of);
    ordered.value += 1;
  });
  hasSettled ||= isWhole;
}

function countLanes(of: BoardModel): void {
  const before = laneCounts.peek();
  if (LANES.some((lane) => before[lane] !== of.count(lane))) {
    laneCounts.value = Object.fromEntries(LANES.map((lane) => [lane, of.count(lane)])) as Record<LaneName, number>;
  }
}

/** Shows all that waits, at once. */
export function refresh(): void {
  isStale = true;
  order();
  shown.release();
}

function take(changes: readonly Change[]): void {
  const paused = pause.peek();
  if (paused) {
    for (const { entry } of changes) paused.changed.add(entry.fingerprint);
    changedInPause.value = paused.changed.size;
  }
  making?.model.take(changes);
  if (hasSettled) tests.renew(CHANGES_STEPS_MAX);
  if (current.peek().take(changes)) scheduleOrder();
}

// ---------------------------------------------------------------------------- what is looked for

/** So much of a frame goes into a model that is made anew. */
const MAKE_MS = 8;
/** Steps of an expression, of which a millisecond has some 60,000: for all alerts when it is looked for first,
 * and for those that have changed in a frame. */
const ALL_STEPS_MAX = 30_000_000;
const CHANGES_STEPS_MAX = 2_000_000;

/** Entries that are taken before the clock is looked at. */
const MAKE_STEP = 4;

/** The tests of the model on the screen. */
let tests = new Tester([]);
/** The next model, of which some is there. */
interface Making { model: BoardModel; tests: Tester; rest: Iterator<Entry>; frames: number }
let making: Making | null = null;

/** So many take more than a frame: whoever types has typed for a moment before they are looked through. */
const MANY = 2_000;
const TYPED_MS = 150;

let typed = '';
let typing: ReturnType<typeof setTimeout> | undefined;

function remodelSoon(by: readonly string[] | null, matchers: readonly Matcher[]): void {
  clearTimeout(typing);
  const isTyping = draft.peek() !== typed && alertsCount() > MANY;
  typed = draft.peek();
  if (isTyping) typing = setTimeout(remodel, TYPED_MS, by, matchers);
  else remodel(by, matchers);
}

/** Another model, of what is looked for now: at once where that is quick, or else some of it in each frame,
 * with the one before on the screen until then. */
function remodel(by: readonly string[] | null, matchers: readonly Matcher[]): void {
  const slow = givenUp.peek();
  const next = new Tester(matchers.filter((one) => !slow.has(write(one))), (one) => {
    // Not while the tests go on: they begin anew without it.
    queueMicrotask(() => { givenUp.value = new Set([...givenUp.peek(), write(one)]); });
  });
  next.renew(ALL_STEPS_MAX);
  making = { model: new BoardModel(by, next.holds), tests: next, rest: allEntries(), frames: 0 };
  make(making);
}

function make(next: Making): void {
  if (making !== next) return;
  const until = performance.now() + MAKE_MS;
  for (;;) {
    const some = taken(next.rest, MAKE_STEP);
    next.model.take(some.map((entry) => ({ entry, before: null })));
    if (some.length < MAKE_STEP) break;
    if (performance.now() > until) {
      next.frames += 1;
      return nextFrame(() => make(next));
    }
  }
  if (next.frames === 0) return show(next);
  // To put very many in order is a frame's work, and to draw them another's.
  nextFrame(() => {
    if (making === next) next.model.rows({ lanes: openLanes.peek(), groups: openGroups.peek() });
    nextFrame(() => show(next));
  });
}

function show(next: Making): void {
  if (making !== next) return;
  making = null;
  tests = next.tests;
  current.value = next.model;
  pageNumber.value = 0;
  refresh();
}

function taken<Member>(rest: Iterator<Member>, count: number): Member[] {
  const some: Member[] = [];
  while (some.length < count) {
    const { done, value } = rest.next();
    if (done) break;
    some.push(value);
  }
  return some;
}

/** In the background no frame comes. */
const nextFrame = (run: () => void) => void (document.hidden ? setTimeout(run) : requestAnimationFrame(run));

/** Begins to follow; gives what ends it. */
export function startBoard(): () => void {
  const ends = [
    onAlerts(take),
    effect(() => {
      const [by, matchers, slow] = [grouping.value, [...filter.value.matchers, ...parse(draft.value).matchers], givenUp.value];
      // What is looked for no more may be tried again.
      const still = new Set(matchers.map(write).filter((one) => slow.has(one)));
      if (still.size < slow.size) givenUp.value = still;
      else untracked(() => remodelSoon(by, matchers));
    }),
    effect(() => {
      // Whoever has looked sees what has come meanwhile.
      if (!isHeld.value && isStale === false && shown.waiting.peek()) untracked(refresh);
    }),
  ];
  return () => {
    for (const end of ends) end();
    clearTimeout(waiting);
    waiting = undefined;
    clearTimeout(typing);
    making = null;
  };
}

// ---------------------------------------------------------------------------- what people open

export function toggleGroup(group: Group): void {
  const { key } = group;
  const isOpen = openGroups.peek().has(key);
  batch(() => {
    openGroups.value = toggled(openGroups.peek(), key);
    if (isOpen) shown.close(key);
    else shown.open(key);
  });
  scheduleOrder();
}

/** What stands below it moves, as whoever does it wants. */
export function toggleLane(lane: LaneName): void {
  openLanes.value = toggled(openLanes.peek(), lane);
  refresh();
}

export function setAllGroups(isOpen: boolean): void {
  const keys = [...current.peek().items()].map(({ group }) => group.key);
  openGroups.value = new Set(isOpen ? keys : []);
  refresh();
}
