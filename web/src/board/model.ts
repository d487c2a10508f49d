// The board in order: lanes by how urgent, in them groups, in these alerts, the worst first. It is kept
// as alerts change, one at a time; putting in order what is nearly so costs little.

import type { Alert } from '@bellwire/client';
import { type Signal, signal } from '@preact/signals';
import { type Look, look, rank } from '../format/severity.js';
import type { Change, Entry } from '../stores/alerts.js';
import { LabelIndex } from './labels.js';

export type LaneName = 'firing' | 'pending' | 'muted' | 'resolved';
export const LANES: readonly LaneName[] = ['firing', 'pending', 'muted', 'resolved'];

/** A state that is not known here is shown with what is firing: it is better seen than missed. */
const LANE_OF: Record<string, LaneName> = { pending: 'pending', resolved: 'resolved', silenced: 'muted', inhibited: 'muted' };
export const laneOf = (state: string): LaneName => (Object.hasOwn(LANE_OF, state) ? LANE_OF[state]! : 'firing');

/** Since when it is as it is. */
export const since = (alert: Alert): number =>
  (alert.state === 'resolved' ? alert.resolved_at : alert.fired_at) ?? alert.active_at;

/** Where an alert stands, and why. */
export interface Item {
  entry: Entry;
  alert: Alert;
  group: Group;
  rank: number;
  isTaken: boolean;
  since: number;
  /** Its row, the same one for as long as it is the same: what is not new is not drawn anew. */
  row?: Row & { kind: 'alert' };
}

export interface Group {
  /** Unique among all lanes. */
  key: string;
  lane: LaneName;
  /** The labels it is grouped by, with their values; empty ones are not there. */
  by: readonly (readonly [string, string])[];
  items: Item[];
  labels: LabelIndex;
  looks: Record<Look, number>;
  states: Map<string, number>;
  /** Who has taken up any of them, with how many. */
  takers: Map<string, number>;
  /** Counts its changes, for what shows it. */
  version: Signal<number>;
  isInOrder: boolean;
  row?: Row & { kind: 'group' };
}

export type Row =
  | { kind: 'lane'; key: string; lane: LaneName }
  | { kind: 'group'; key: string; group: Group; isOpen: boolean }
  | { kind: 'alert'; key: string; item: Item; isInGroup: boolean };

const LANE_ROWS = Object.fromEntries(LANES.map((lane) => [lane, { kind: 'lane', key: `lane:${lane}`, lane }])) as Record<LaneName, Row>;

export interface Open {
  lanes: ReadonlySet<LaneName>;
  groups: ReadonlySet<string>;
}

function inOrder(a: Item, b: Item): number {
  return a.rank - b.rank || Number(a.isTaken) - Number(b.isTaken) || b.since - a.since || (a.entry.fingerprint < b.entry.fingerprint ? -1 : 1);
}

export class BoardModel {
  readonly #by: readonly string[] | null;
  readonly #isWanted: (alert: Alert) => boolean;
  readonly #items = new Map<string, Item>();
  readonly #lanes = new Map<LaneName, Map<string, Group>>(LANES.map((lane) => [lane, new Map()]));
  readonly #ordered = new Map<LaneName, Group[]>(LANES.map((lane) => [lane, []]));
  readonly #unordered = new Set<LaneName>();
  readonly #counts: Record<LaneName, number> = { firing: 0, pending: 0, muted: 0, resolved: 0 };

  /** `by`: the labels that alerts are grouped by; `null` puts each for itself. */
  constructor(by: readonly string[] | null, isWanted: (alert: Alert) => boolean) {
    this.#by = by;
    this.#isWanted = isWanted;
  }

  get size(): number {
    return this.#items.size;
  }

  count(lane: LaneName): number {
    return this.#counts[lane];
  }

  find(fingerprint: string): Item | undefined {
    return this.#items.get(fingerprint);
  }

  items(): IterableIterator<Item> {
    return this.#items.values();
  }

  /** Whether rows may have come, gone or moved. */
  take(changes: readonly Change[]): boolean {
    let isMoved = false;
    const touched = new Set<Group>();
    for (const { entry } of changes) isMoved = this.#takeOne(entry, touched) || isMoved;
    for (const group of touched) group.version.value += 1;
    return isMoved;
  }

  #takeOne(entry: Entry, touched: Set<Group>): boolean {
    const { fingerprint } = entry;
    const known = this.#items.get(fingerprint);
    const alert = entry.alert.peek();
    if (entry.isGone.peek() || !this.#isWanted(alert)) {
      if (known) this.#remove(known, touched);
      return known !== undefined;
    }
    const group = this.#groupOf(alert);
    if (known?.group === group) return this.#update(known, alert, touched);
    if (known) this.#remove(known, touched);
    const item = { entry, group, ...facts(alert) };
    this.#items.set(fingerprint, item);
    group.items.push(item);
    group.labels.add(alert.labels);
    this.#counts[group.lane] += 1;
    count(group, alert, 1);
    this.#disorder(group);
    touched.add(group);
    return true;
  }

  #update(item: Item, alert: Alert, touched: Set<Group>): boolean {
    const { group } = item;
    const [before, next] = [item.alert, facts(alert)];
    if (before.state !== alert.state || before.severity !== alert.severity || before.acknowledged?.by !== alert.acknowledged?.by) {
      count(group, before, -1);
      count(group, alert, 1);
      touched.add(group);
    }
    const isMoved = next.rank !== item.rank || next.isTaken !== item.isTaken || next.since !== item.since;
    Object.assign(item, next);
    if (isMoved) this.#disorder(group);
    return isMoved;
  }

  #remove(item: Item, touched: Set<Group>): void {
    const { group } = item;
    this.#items.delete(item.entry.fingerprint);
    group.items.splice(group.items.indexOf(item), 1);
    group.labels.remove(item.alert.labels);
    this.#counts[group.lane] -= 1;
    count(group, item.alert, -1);
    this.#disorder(group);
    touched.add(group);
  }

  #groupOf(alert: Alert): Group {
    const lane = laneOf(alert.state);
    const by = (this.#by ?? []).flatMap((name) => {
      const value = Object.hasOwn(alert.labels, name) ? alert.labels[name]! : '';
      return [[name, value] as const];
    });
    const key = `${lane}:${JSON.stringify(by.map(([, value]) => value))}`;
    const groups = this.#lanes.get(lane)!;
    let group = groups.get(key);
    if (!group) {
      group = {
        key, lane, by, items: [], labels: new LabelIndex(), looks: { critical: 0, warning: 0, info: 0 },
        states: new Map(), takers: new Map(), version: signal(0), isInOrder: true,
      };
      groups.set(key, group);
      this.#ordered.get(lane)!.push(group);
    }
    return group;
  }

  #disorder(group: Group): void {
    group.isInOrder = false;
    this.#unordered.add(group.lane);
  }

  /** The rows that are to be seen, in order. Groups that are empty are forgotten, but for those `kept`. */
  rows(open: Open, kept: ReadonlySet<Group> = new Set()): Row[] {
    this.#order(kept);
    const rows: Row[] = [];
    for (const lane of LANES) {
      if (this.#counts[lane] === 0) continue;
      rows.push(LANE_ROWS[lane]);
      if (!open.lanes.has(lane)) continue;
      for (const group of this.#ordered.get(lane)!) this.#put(rows, group, open);
    }
    return rows;
  }

  #put(rows: Row[], group: Group, open: Open): void {
    const isHeaded = this.#by !== null && group.items.length > 1;
    const isOpen = open.groups.has(group.key);
    if (isHeaded) rows.push(groupRow(group, isOpen));
    if (isHeaded && !isOpen) return;
    for (const item of group.items) rows.push(alertRow(item, isHeaded));
  }

  #order(kept: ReadonlySet<Group>): void {
    for (const lane of this.#unordered) {
      const groups = this.#lanes.get(lane)!;
      const ordered: Group[] = [];
      let isAnyEmpty = false;
      for (const group of this.#ordered.get(lane)!) {
        if (!group.isInOrder) {
          group.items.sort(inOrder);
          group.isInOrder = true;
        }
        if (group.items.length > 0) ordered.push(group);
        else if (!kept.has(group)) groups.delete(group.key);
        else isAnyEmpty = true;
      }
      // Those that are kept without an alert come last, where no row is made of them.
      const empty = isAnyEmpty ? this.#ordered.get(lane)!.filter((group) => group.items.length === 0 && kept.has(group)) : [];
      ordered.sort((a, b) => inOrder(a.items[0]!, b.items[0]!));
      this.#ordered.set(lane, [...ordered, ...empty]);
      if (empty.length === 0) this.#unordered.delete(lane);
    }
  }
}

export const groupRow = (group: Group, isOpen: boolean): Row =>
  group.row?.isOpen === isOpen ? group.row : (group.row = { kind: 'group', key: group.key, group, isOpen });

export const alertRow = (item: Item, isInGroup: boolean): Row =>
  item.row?.isInGroup === isInGroup ? item.row : (item.row = { kind: 'alert', key: item.entry.fingerprint, item, isInGroup });

function facts(alert: Alert): Pick<Item, 'alert' | 'rank' | 'isTaken' | 'since'> {
  const isOver = alert.state === 'resolved';
  return { alert, rank: isOver ? 0 : rank(alert.severity), isTaken: !isOver && alert.acknowledged != null, since: since(alert) };
}

function count({ looks, states, takers }: Group, alert: Alert, by: 1 | -1): void {
  looks[look(alert.severity)] += by;
  add(states, alert.state, by);
  if (alert.acknowledged) add(takers, alert.acknowledged.by, by);
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
}
