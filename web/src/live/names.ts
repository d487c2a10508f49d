// What there is to show, in the order in which somebody looks for it: what fires, then what is
// measured, then what programs say of themselves.

import { metricsIn } from './thresholds.js';

/** Keys of all metrics together that are followed in the list: the others are counted. */
export const LISTED_MAX = 5_000;
/** Topics that one stream names. */
export const TOPICS_MAX = 64;

/** What every program says of its own running: seldom what somebody looks for. */
const OWN = /^(?:go|process|promhttp|python|jvm|nodejs|dotnet|ruby|scrape|net_conntrack|prometheus)_/;

export interface Metric {
  name: string;
  /** How many series it has. */
  keys: number;
}

/** The metrics of which alerts are about that fire. */
export function firingMetrics(alerts: Iterable<{ alertname: string }>, queries: ReadonlyMap<string, string>): Set<string> {
  const firing = new Set<string>();
  for (const { alertname } of alerts) for (const name of metricsIn(queries.get(alertname) ?? '')) firing.add(name);
  return firing;
}

export const rankOf = (name: string, firing: ReadonlySet<string>): number => (firing.has(name) ? 0 : OWN.test(name) ? 2 : 1);

export function ranked<Of extends { name: string }>(metrics: Iterable<Of>, firing: ReadonlySet<string>): Of[] {
  return [...metrics].sort((a, b) => rankOf(a.name, firing) - rankOf(b.name, firing) || (a.name < b.name ? -1 : 1));
}

/** Words that all have to be found. */
export const wordsOf = (typed: string): string[] => typed.toLowerCase().split(/\s+/).filter(Boolean);

export const hasAll = (text: string, words: readonly string[]): boolean => words.every((word) => text.includes(word));

export interface Plan {
  /** Topics or wildcards to follow. */
  topics: string[];
  /** What does not fit. */
  left: { metrics: number; series: number };
}

/** What the list follows: all of it where that is not too much, else what is looked for first. */
export function planOf(metrics: readonly Metric[], firing: ReadonlySet<string>, words: readonly string[]): Plan {
  const all = metrics.reduce((sum, { keys }) => sum + keys, 0);
  const left = { metrics: 0, series: 0 };
  if (all <= LISTED_MAX) return { topics: ['samples/**'], left };
  const isWanted = ({ name }: Metric) => words.some((word) => name.toLowerCase().includes(word));
  const order = ranked(metrics, firing);
  const topics: string[] = [];
  let room = LISTED_MAX;
  for (const metric of [...order.filter(isWanted), ...order.filter((one) => !isWanted(one))]) {
    if (metric.keys <= room && topics.length < TOPICS_MAX) {
      topics.push(`samples/${metric.name}`);
      room -= metric.keys;
    } else {
      left.metrics += 1;
      left.series += metric.keys;
    }
  }
  return { topics, left };
}

/** Whether a series is one of those that an alert is about. */
export function isOf(labels: Readonly<Record<string, string>>, alert: Readonly<Record<string, string>>): boolean {
  let shared = 0;
  for (const [name, value] of Object.entries(alert)) {
    if (!Object.hasOwn(labels, name)) continue;
    if (labels[name] !== value) return false;
    shared += 1;
  }
  return shared > 0;
}

/** A selector of one series. Names that are no words are quoted. */
export function selector(name: string, labels: Readonly<Record<string, string>>): string {
  const isWord = /^[a-zA-Z_:][\w:]*$/.test(name);
  const quoted = (label: string) => (/^[a-zA-Z_]\w*$/.test(label) ? label : JSON.stringify(label));
  const matchers = Object.entries(labels).map(([label, value]) => `${quoted(label)}=${JSON.stringify(value)}`);
  if (!isWord) return `{${[JSON.stringify(name), ...matchers].join(',')}}`;
  return matchers.length > 0 ? `${name}{${matchers.join(',')}}` : name;
}
