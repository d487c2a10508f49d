// What the board shows, and how: in the address what others may be sent, in this browser what somebody
// likes, and in this page what is open just now.

import { computed, signal } from '@preact/signals';
import { type Matcher, parse, write } from '../match/matchers.js';
import { decoded, route, setParameters } from '../shell/router.js';
import { recall, remember } from '../ui/storage.js';
import type { LaneName } from './model.js';

const parameter = (name: string) => computed(() => route.value.parameters.get(name));

const filterParameter = parameter('filter');
const groupParameter = parameter('group');

/** The filter as it stands in the address, read. */
export const filter = computed(() => parse(filterParameter.value ?? ''));
/** What is typed and not yet part of it. It counts, too. */
export const draft = signal('');

export const DEFAULT_GROUPING: readonly string[] = ['alertname'];
const UNGROUPED = 'none';

/** The labels that alerts are grouped by; `null` for none. */
export const grouping = computed<readonly string[] | null>(() => {
  const text = groupParameter.value;
  if (text === null) return DEFAULT_GROUPING;
  return text === UNGROUPED ? null : text.split(',').map(decoded).filter(Boolean);
});

export const layout = computed<'list' | 'grid'>(() => (route.value.parameters.get('view') === 'grid' ? 'grid' : 'list'));
const GRID_BY = 'instance';
export const gridBy = computed(() => route.value.parameters.get('by') ?? GRID_BY);
export const isWall = computed(() => route.value.parameters.has('wall'));

export function setGrouping(by: readonly string[] | null): void {
  const isDefault = by !== null && by.join() === DEFAULT_GROUPING.join();
  setParameters({ group: isDefault ? null : by === null || by.length === 0 ? UNGROUPED : by.map(encodeURIComponent).join(',') });
}

export const setLayout = (next: 'list' | 'grid') => setParameters({ view: next === 'grid' ? 'grid' : null });
export const setGridBy = (label: string) => setParameters({ by: label === GRID_BY ? null : label });

export const filterText = (matchers: readonly Matcher[]): string => matchers.map(write).join(' ');

export function setFilter(matchers: readonly Matcher[]): void {
  const text = filterText(matchers);
  setParameters({ filter: text });
  if (text) keepRecent(text);
}

/** Adds one that is not there yet. */
export function addMatcher(matcher: Matcher): void {
  const known = filter.value.matchers;
  if (!known.some((one) => write(one) === write(matcher))) setFilter([...known, matcher]);
}

// ---------------------------------------------------------------------------- kept in this browser

const RECENT_KEY = 'board-filters';
const RECENT_MAX = 8;

export const recentFilters = signal<readonly string[]>(recallRecent());

function recallRecent(): string[] {
  try {
    const kept: unknown = JSON.parse(recall(RECENT_KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter((text) => typeof text === 'string').slice(0, RECENT_MAX) : [];
  } catch {
    return [];
  }
}

function keepRecent(text: string): void {
  recentFilters.value = [text, ...recentFilters.value.filter((other) => other !== text)].slice(0, RECENT_MAX);
  remember(RECENT_KEY, JSON.stringify(recentFilters.value));
}

/** A choice that stays. */
function choice(key: string, byDefault: boolean) {
  const kept = recall(key);
  const chosen = signal(kept === null ? byDefault : kept === 'yes');
  return {
    signal: chosen,
    set(value: boolean) {
      chosen.value = value;
      remember(key, value === byDefault ? null : value ? 'yes' : 'no');
    },
  };
}

/** Pages of rows that are all in the document and are read whole, in place of a list that scrolls. */
export const paging = choice('board-paged', false);
/** Whether single letters do something. */
export const letters = choice('board-letters', true);

// ---------------------------------------------------------------------------- open just now

export const openLanes = signal<ReadonlySet<LaneName>>(new Set(['firing', 'pending']));
export const openGroups = signal<ReadonlySet<string>>(new Set());
export const pageNumber = signal(0);

/** A set with one more or one less. */
export function toggled<Member>(set: ReadonlySet<Member>, member: Member): Set<Member> {
  const next = new Set(set);
  if (!next.delete(member)) next.add(member);
  return next;
}
