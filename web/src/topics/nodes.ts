// Topics as a tree of their segments, and the search for one by some of its letters.

import type { Listed } from './listing.js';

export interface Node {
  /** The segment. */
  name: string;
  /** All segments up to here. */
  path: string;
  /** The topic of this name, if it is one itself. */
  topic: Listed | null;
  /** Sorted by name. */
  children: Node[];
  /** Topics here and below. */
  topics: number;
  /** Events and changes a second of all of them, as far as they are known. */
  perSecond: number;
}

const node = (name: string, path: string): Node => ({ name, path, topic: null, children: [], topics: 0, perSecond: 0 });

/** The topics come sorted by name. */
export function tree(topics: readonly Listed[]): Node {
  const root = node('', '');
  const known = new Map<string, Node>([['', root]]);
  for (const topic of topics) {
    const passed = [root];
    let path = '';
    for (const name of topic.topic.split('/')) {
      path = path ? `${path}/${name}` : name;
      let here = known.get(path);
      if (!here) {
        here = node(name, path);
        known.set(path, here);
        passed[passed.length - 1]!.children.push(here);
      }
      passed.push(here);
    }
    passed[passed.length - 1]!.topic = topic;
    for (const one of passed) {
      one.topics += 1;
      one.perSecond += topic.perSecond ?? 0;
    }
  }
  // `a-b` stands before `a/b` among names, and behind `a` among segments.
  for (const one of known.values()) one.children.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  return root;
}

/** Nodes that have one child alone and are no topic are one line with it: `alerts/events/critical`. */
export function compact(one: Node): Node {
  let [here, name] = [one, one.name];
  while (!here.topic && here.children.length === 1) {
    here = here.children[0]!;
    name += `/${here.name}`;
  }
  return here === one ? one : { ...here, name };
}

export interface Match {
  topic: Listed;
  /** The places of the letters that were found, in order. */
  at: readonly number[];
  score: number;
}

/** Where a segment, a word or a hump begins. */
const isStart = (text: string, at: number) => at === 0 || /[/._\-:]/.test(text[at - 1]!);

/**
 * Finds all letters of `query` in `text`, in order. As they stand together counts most, then that they
 * begin a word. Nothing where one is missing.
 */
export function find(query: string, text: string): { at: number[]; score: number } | null {
  const [wanted, lower] = [query.toLowerCase(), text.toLowerCase()];
  // Letters whose lower case is longer would shift all places.
  const within = lower.length === text.length ? lower : text;
  const whole = within.indexOf(wanted);
  if (whole >= 0) {
    const at = Array.from(wanted, (_, index) => whole + index);
    return { at, score: 1_000 + (isStart(text, whole) ? 100 : 0) - whole - text.length / 100 };
  }
  const at: number[] = [];
  let [from, score] = [0, 0];
  for (const letter of wanted) {
    if (letter === ' ') continue;
    const found = within.indexOf(letter, from);
    if (found < 0) return null;
    score += found === from && from > 0 ? 5 : isStart(text, found) ? 3 : 0;
    score -= Math.min(3, (found - from) / 10);
    at.push(found);
    from = found + letter.length;
  }
  return { at, score };
}

/** The topics that match best, the best first. */
export function search(query: string, topics: readonly Listed[], most: number): { matches: Match[]; count: number } {
  const matches: Match[] = [];
  for (const topic of topics) {
    const found = find(query, topic.topic);
    if (found) matches.push({ topic, ...found });
  }
  matches.sort((a, b) => b.score - a.score || (a.topic.topic < b.topic.topic ? -1 : 1));
  return { matches: matches.slice(0, most), count: matches.length };
}

/** A text in pieces, every other one of which was found: `['', 'a', 'bc']`. */
export function pieces(text: string, at: readonly number[]): string[] {
  const cut = [''];
  const found = new Set(at);
  let isFound = false;
  for (let index = 0; index < text.length; index += 1) {
    if (found.has(index) !== isFound) {
      isFound = !isFound;
      cut.push('');
    }
    cut.push(cut.pop()! + text[index]!);
  }
  return cut;
}
