// What is typed into the filter: matchers as Alertmanager and PromQL write them, and words that are
// looked for anywhere. `severity="critical" site=~"oslo|rome" pump` is two matchers and a word.

import { compile, type Effort, ExpressionError, type ExpressionFault, TooSlow } from './regexp.js';

export type Operator = '=' | '!=' | '=~' | '!~';

/** One condition; a word has no name. */
export interface Matcher {
  name: string;
  operator: Operator;
  value: string;
}

export interface Wrong {
  fault: 'quote' | 'character' | 'value' | ExpressionFault;
  /** What it is about, where that is known. */
  about: string;
  /** Where in the text, in UTF-16 units. */
  from: number;
  to: number;
}

export interface Piece extends Matcher {
  from: number;
  to: number;
}

export interface Parsed {
  matchers: Piece[];
  wrong: Wrong | null;
}

/** What is tested: labels, and what stands in its texts. */
export interface Subject {
  labels: Record<string, string>;
  state: string;
  annotations?: Record<string, string>;
}

/** The state is no label, and is asked for like one. */
export const STATE = '@state';

const NAME = /[@\p{L}_][\p{L}\p{N}_.:\-/]*/uy;
const OPERATOR = /\s*(=~|!~|!=|=)\s*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/ysu;
const BARE = /[^\s,{}"]+/yu;
const BETWEEN = /[\s,{}]+/y;

function look(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r' };
const unescape = (text: string) => text.replace(/\\(.)/gsu, (whole, letter: string) => ESCAPES[letter] ?? ('"\\'.includes(letter) ? letter : whole));

/** Reads all of it; what is wrong does not keep the rest from being read. */
export function parse(text: string): Parsed {
  const matchers: Piece[] = [];
  let wrong: Wrong | null = null;
  let at = 0;
  while (at < text.length) {
    const between = look(BETWEEN, text, at);
    if (between) {
      at += between[0].length;
      continue;
    }
    const piece = readPiece(text, at);
    const fault = 'fault' in piece ? piece : wrongExpression(piece);
    if (fault) wrong ??= fault;
    else matchers.push(piece as Piece);
    at = Math.max(piece.to, at + 1);
  }
  return { matchers, wrong };
}

function readPiece(text: string, from: number): Piece | Wrong {
  const quotedName = look(QUOTED, text, from);
  const name = quotedName ?? look(NAME, text, from);
  const operator = name && look(OPERATOR, text, from + name[0].length);
  if (name && operator) return readValue(text, from, quotedName ? unescape(quotedName[1]!) : name[0], operator);
  if (quotedName) return { name: '', operator: '=', value: unescape(quotedName[1]!), from, to: from + quotedName[0].length };
  if (text[from] === '"') return { fault: 'quote', about: '', from, to: text.length };
  const word = look(BARE, text, from);
  if (!word) return { fault: 'character', about: text[from]!, from, to: from + 1 };
  return { name: '', operator: '=', value: word[0], from, to: from + word[0].length };
}

function readValue(text: string, from: number, name: string, operator: RegExpExecArray): Piece | Wrong {
  const at = operator.index + operator[0].length;
  const quoted = look(QUOTED, text, at);
  if (!quoted && text[at] === '"') return { fault: 'quote', about: '', from: at, to: text.length };
  const bare = quoted ? null : look(BARE, text, at);
  if (!quoted && !bare) return { fault: 'value', about: name, from, to: at };
  const value = quoted ? unescape(quoted[1]!) : bare![0];
  return { name, operator: operator[1] as Operator, value, from, to: at + (quoted ?? bare)![0].length };
}

function wrongExpression(piece: Piece): Wrong | null {
  if (!piece.operator.endsWith('~')) return null;
  try {
    compile(piece.value);
    return null;
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    return { fault: error.fault, about: error.about, from: piece.from, to: piece.to };
  }
}

const escape = (text: string) => text.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t').replace(/\r/g, '\\r');

/** As it is typed and read again. */
export function write({ name, operator, value }: Matcher): string {
  const quoted = `"${escape(value)}"`;
  if (!name) {
    const isPlain = look(BARE, value, 0)?.[0] === value && parse(value).matchers[0]?.name === '';
    return isPlain ? value : quoted;
  }
  const isPlainName = look(NAME, name, 0)?.[0] === name;
  return `${isPlainName ? name : `"${escape(name)}"`}${operator}${quoted}`;
}

/** Results of an expression by text: there are few values of a label, and many alerts. */
const REMEMBERED_MAX = 10_000;

/** The test of one value. `giveUp` is told once where an expression takes too long, and passes all from then on:
 * what is not known hides nothing. */
function testOf({ operator, value: wanted }: Matcher, effort: Effort, giveUp: () => void): (text: string) => boolean {
  if (operator === '=') return (text) => text === wanted;
  if (operator === '!=') return (text) => text !== wanted;
  const matches = compile(wanted, effort);
  const isWanted = operator === '=~';
  const remembered = new Map<string, boolean>();
  let isGivenUp = false;
  const test = (text: string) => {
    try {
      return matches(text) === isWanted;
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
      isGivenUp = true;
      giveUp();
      return true;
    }
  };
  return (text) => {
    if (isGivenUp) return true;
    let known = remembered.get(text);
    if (known === undefined) {
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      remembered.set(text, (known = test(text)));
    }
    return known;
  };
}

function holdsWord(word: string): (subject: Subject) => boolean {
  const wanted = word.toLowerCase();
  const has = (texts: Record<string, string> | undefined) => {
    for (const name in texts) if (texts[name]!.toLowerCase().includes(wanted)) return true;
    return false;
  };
  return ({ labels, annotations }) => has(labels) || has(annotations);
}

/** Whether all of them hold. A label that is not there is empty, as everywhere in Prometheus' world. */
export class Tester {
  /** Of each expression for itself: one that is slow stops no other, and many together take no more than one. */
  readonly #efforts: Effort[] = [];
  readonly #tests: ((subject: Subject) => boolean)[];

  constructor(matchers: readonly Matcher[], giveUp: (matcher: Matcher) => void = () => {}) {
    this.#tests = matchers.map((matcher) => this.#testOf(matcher, () => giveUp(matcher)));
  }

  readonly holds = (subject: Subject): boolean => this.#tests.every((test) => test(subject));

  /** From now on all expressions may take so many steps, each the same share. */
  renew(steps: number): void {
    for (const effort of this.#efforts) effort.left = steps / this.#efforts.length;
  }

  #testOf(matcher: Matcher, giveUp: () => void): (subject: Subject) => boolean {
    const { name, value } = matcher;
    if (!name) return holdsWord(value);
    const effort = { left: Infinity };
    this.#efforts.push(effort);
    const test = testOf(matcher, effort, giveUp);
    if (name === STATE) return ({ state }) => test(state);
    return ({ labels }) => test(Object.hasOwn(labels, name) ? labels[name]! : '');
  }
}

export const tester = (matchers: readonly Matcher[]): ((subject: Subject) => boolean) => new Tester(matchers).holds;

/** What could stand where the caret is, and what it would replace. */
export interface Place {
  what: 'name' | 'value';
  /** Of which label, where a value is asked for. */
  name: string;
  /** What is typed of it already. */
  typed: string;
  from: number;
  to: number;
}

/** `text` up to the caret decides; what stands behind it belongs to the same piece. */
export function placeAt(text: string, caret: number): Place {
  const before = text.slice(0, caret);
  const value = /(?:^|[\s,{])("(?:[^"\\]|\\.)+"|[@\p{L}_][\p{L}\p{N}_.:\-/]*)\s*(=~|!~|!=|=)\s*("?)((?:[^"\\\s]|\\.|(?<="[^"]*)\s)*)$/u.exec(before);
  if (value && isWithin(before, value.index, value[3]!)) {
    const typed = value[4]!;
    const begin = caret - typed.length - value[3]!.length;
    const end = /^[^\s",{}]*"?/.exec(text.slice(caret))![0].length;
    const name = value[1]!.startsWith('"') ? unescape(value[1]!.slice(1, -1)) : value[1]!;
    return { what: 'value', name, typed: unescape(typed), from: begin, to: caret + end };
  }
  const word = /[^\s,{}"]*$/.exec(before)![0];
  const end = /^[^\s,{}"=!]*/.exec(text.slice(caret))![0].length;
  return { what: 'name', name: '', typed: word, from: caret - word.length, to: caret + end };
}

/** Whether the quotes before it are all closed, so that it is no part of a value itself. */
function isWithin(before: string, index: number, quote: string): boolean {
  const quotes = before.slice(0, index).replace(/\\./g, '').split('"').length - 1;
  return quotes % 2 === 0 && (quote === '"' || !before.slice(index).replace(/^[\s,{]?"(?:[^"\\]|\\.)+"/, '').includes('"'));
}
