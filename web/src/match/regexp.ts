// Regular expressions of matchers, in time linear in the text: an address that somebody sends may
// hold any expression, and a label any text, and neither may stop the page. The language is RE2's,
// which the server's matchers have, too; the whole text has to match, as there.

/** Steps of the compiled expression: counted repetitions are written out. Each character of a text may
 * take all of them. */
const PROGRAM_MAX = 1_024;
/** Parts that are written out: what is empty takes no step, and takes time as well. */
const PARTS_MAX = 4 * PROGRAM_MAX;
/** Groups within groups. */
const DEPTH_MAX = 100;

type Test = (point: number) => boolean;

/** `cost`: how many tests of a character it is, since a set may have very many members. */
interface One { test: Test; cost: number }

type Node =
  | ({ kind: 'one' } & One)
  | { kind: 'edge'; at: 'begin' | 'end' }
  | { kind: 'all'; parts: Node[] }
  | { kind: 'any'; parts: Node[] }
  | { kind: 'repeat'; node: Node; least: number; most: number };

type Step =
  | ({ op: 'one' } & One)
  | { op: 'edge'; at: 'begin' | 'end' }
  | { op: 'split'; to: number[] }
  | { op: 'done' };

export type ExpressionFault =
  | 'unopened' | 'unclosed' | 'repetition' | 'count' | 'depth' | 'group' | 'escape' | 'range' | 'class' | 'long';

/** What is wrong with an expression; where it matters, with what it is about. */
export class ExpressionError extends Error {
  constructor(readonly fault: ExpressionFault, readonly about = '') {
    super(about ? `${fault}: ${about}` : fault);
  }
}

/** How many steps tests may still take: some 15 ns each. Who tests much has one for all of it. */
export interface Effort { left: number }

/** One text takes no more, whatever is left: some milliseconds. */
export const TEXT_STEPS_MAX = 500_000;

/** A test was given up. */
export class TooSlow extends Error {}

/** A test of whole texts, or an `ExpressionError`. It throws `TooSlow` where it takes more than is left. */
export function compile(expression: string, effort: Effort = { left: Infinity }): (text: string) => boolean {
  const { steps } = programOf(expression);
  return (text) => run(steps, text, effort);
}

/** What an expression is compiled to, and how many of its parts were written out for that. */
export function programOf(expression: string): { steps: readonly Step[]; parts: number } {
  return new Compiler().compile(new Parser(expression).parse());
}

const isDigit: Test = (c) => c >= 48 && c <= 57;
const isWord: Test = (c) => isDigit(c) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95;
const isSpace: Test = (c) => c === 32 || (c >= 9 && c <= 13 && c !== 11);
const not = (test: Test): Test => (c) => !test(c);
const either = (tests: Test[]): Test => (c) => tests.some((test) => test(c));

const CLASSES: Record<string, Test> = {
  d: isDigit, w: isWord, s: isSpace, D: not(isDigit), W: not(isWord), S: not(isSpace),
};
const CONTROLS: Record<string, number> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
const NAMED: Record<string, Test> = {
  alpha: (c) => (c | 32) >= 97 && (c | 32) <= 122 && c < 128, digit: isDigit, word: isWord, space: either([isSpace, (c) => c === 11]),
  alnum: (c) => isWord(c) && c !== 95, upper: (c) => c >= 65 && c <= 90, lower: (c) => c >= 97 && c <= 122,
  punct: (c) => c > 32 && c < 127 && (!isWord(c) || c === 95), xdigit: (c) => isDigit(c) || ((c | 32) >= 97 && (c | 32) <= 102),
};

class Parser {
  readonly #points: string[];
  #at = 0;
  #depth = 0;
  #ignoresCase = false;

  constructor(expression: string) {
    this.#points = [...expression];
  }

  parse(): Node {
    const node = this.#any();
    if (this.#at < this.#points.length) throw new ExpressionError('unopened');
    return node;
  }

  #peek(): string | undefined {
    return this.#points[this.#at];
  }

  #take(wanted: string): boolean {
    if (!this.#points.slice(this.#at, this.#at + wanted.length).join('').startsWith(wanted)) return false;
    this.#at += wanted.length;
    return true;
  }

  #any(): Node {
    const parts: Node[] = [];
    do parts.push(this.#all());
    while (this.#take('|'));
    return parts.length === 1 ? parts[0]! : { kind: 'any', parts };
  }

  #all(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      parts.push(this.#repeated(this.#atom()));
    }
    return { kind: 'all', parts };
  }

  #repeated(node: Node): Node {
    const [least, most] = this.#count();
    if (least < 0) return node;
    // Whether as little or as much as possible does not matter to whether it matches.
    this.#take('?');
    if (this.#count()[0] >= 0) throw new ExpressionError('repetition');
    return { kind: 'repeat', node, least, most };
  }

  /** How often, or -1 where nothing says so. */
  #count(): [number, number] {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    const found = /^\{(\d{1,4})(,?)(\d{0,4})\}/.exec(this.#points.slice(this.#at, this.#at + 12).join(''));
    if (!found) return [-1, -1];
    const least = Number(found[1]);
    const most = !found[2] ? least : found[3] ? Number(found[3]) : Infinity;
    if (most < least || least > 1000 || (most > 1000 && most !== Infinity)) throw new ExpressionError('count');
    this.#at += found[0].length;
    return [least, most];
  }

  #atom(): Node {
    const next = this.#points[this.#at++]!;
    if (next === '(') return this.#group();
    if (next === '[') return this.#set();
    if (next === '.') return { kind: 'one', test: () => true, cost: 1 };
    if (next === '^') return { kind: 'edge', at: 'begin' };
    if (next === '$') return { kind: 'edge', at: 'end' };
    if (next === '\\') return this.#escaped();
    if ('*+?'.includes(next)) throw new ExpressionError('repetition');
    return this.#literal(next.codePointAt(0)!);
  }

  #group(): Node {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw new ExpressionError('depth');
    const outside = this.#ignoresCase;
    let isFlag = false;
    if (this.#take('?')) {
      if (!this.#take(':')) isFlag = this.#flags();
    }
    // Flags without a group hold for the rest of the one that they are in.
    const node: Node = isFlag ? { kind: 'all', parts: [] } : this.#any();
    if (!this.#take(')')) throw new ExpressionError('unclosed', '(');
    if (!isFlag) this.#ignoresCase = outside;
    this.#depth -= 1;
    return node;
  }

  #flags(): boolean {
    const rest = this.#points.slice(this.#at, this.#at + 64).join('');
    const flags = /^([imsU]*)(?:-([imsU]+))?(:|(?=\)))/.exec(rest);
    const name = /^P?<\w+>/.exec(rest);
    if (name) this.#at += name[0].length;
    else if (flags) {
      if (flags[1]!.includes('i')) this.#ignoresCase = true;
      if (flags[2]?.includes('i')) this.#ignoresCase = false;
      this.#at += flags[0].length;
      return flags[3] === '';
    } else throw new ExpressionError('group');
    return false;
  }

  #literal(point: number): Node {
    return { kind: 'one', ...this.#cased((c) => c === point, 1) };
  }

  #cased(test: Test, cost: number): One {
    if (!this.#ignoresCase) return { test, cost };
    const cased: Test = (c) => {
      if (test(c)) return true;
      const letter = String.fromCodePoint(c);
      return test(letter.toLowerCase().codePointAt(0)!) || test(letter.toUpperCase().codePointAt(0)!);
    };
    return { test: cased, cost: 3 * cost };
  }

  #escaped(): Node {
    if (this.#take('A')) return { kind: 'edge', at: 'begin' };
    if (this.#take('z')) return { kind: 'edge', at: 'end' };
    if (this.#take('Q')) return this.#quoted();
    const { test, point } = this.#escape();
    return test ? { kind: 'one', test, cost: 1 } : this.#literal(point!);
  }

  #quoted(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#points.length && !this.#take('\\E')) parts.push(this.#literal(this.#points[this.#at++]!.codePointAt(0)!));
    return { kind: 'all', parts };
  }

  /** What stands behind a backslash: a class, or one character. */
  #escape(): { test?: Test; point?: number } {
    const next = this.#points[this.#at++];
    if (next === undefined) throw new ExpressionError('escape', '\\');
    const known = CLASSES[next];
    if (known) return { test: known };
    if (next in CONTROLS) return { point: CONTROLS[next]! };
    if (next === 'x') {
      const found = /^(?:\{([0-9a-f]{1,6})\}|([0-9a-f]{2}))/i.exec(this.#points.slice(this.#at, this.#at + 8).join(''));
      const point = parseInt(found?.[1] ?? found?.[2] ?? 'none', 16);
      if (!(point <= 0x10ffff)) throw new ExpressionError('escape', '\\x');
      this.#at += found![0].length;
      return { point };
    }
    if (next === 'p' || next === 'P') return { test: this.#property(next === 'P') };
    if (/[A-Za-z0-9]/.test(next)) throw new ExpressionError('escape', `\\${next}`);
    return { point: next.codePointAt(0)! };
  }

  #property(isNegated: boolean): Test {
    const found = /^(?:\{(\^?)(\w+)\}|(\w))/.exec(this.#points.slice(this.#at, this.#at + 40).join(''));
    if (!found) throw new ExpressionError('escape', '\\p');
    this.#at += found[0].length;
    const name = found[2] ?? found[3]!;
    for (const written of [name, `Script=${name}`]) {
      try {
        const one = new RegExp(`^\\p{${written}}$`, 'u');
        const test: Test = (c) => one.test(String.fromCodePoint(c));
        return isNegated !== (found[1] === '^') ? not(test) : test;
      } catch {
        // It may be the name of a script.
      }
    }
    throw new ExpressionError('class', `\\p{${name}}`);
  }

  #set(): Node {
    const isNegated = this.#take('^');
    const tests: Test[] = [];
    for (let isFirst = true; isFirst || this.#peek() !== ']'; isFirst = false) {
      if (this.#at >= this.#points.length) throw new ExpressionError('unclosed', '[');
      tests.push(this.#member());
    }
    this.#at += 1;
    const { test, cost } = this.#cased(either(tests), tests.length);
    return { kind: 'one', test: isNegated ? not(test) : test, cost };
  }

  #member(): Test {
    const named = /^\[:(\^?)(\w+):\]/.exec(this.#points.slice(this.#at, this.#at + 14).join(''));
    if (named) {
      const test = NAMED[named[2]!];
      if (!test) throw new ExpressionError('class', `[:${named[2]}:]`);
      this.#at += named[0].length;
      return named[1] ? not(test) : test;
    }
    const { test, point: from } = this.#bound();
    if (test) return test;
    if (this.#peek() !== '-' || this.#points[this.#at + 1] === ']') return (c) => c === from;
    this.#at += 1;
    const { point: to } = this.#bound();
    if (to === undefined || to < from!) throw new ExpressionError('range');
    return (c) => c >= from! && c <= to;
  }

  #bound(): { test?: Test; point?: number } {
    const next = this.#points[this.#at];
    if (next === undefined) throw new ExpressionError('unclosed', '[');
    this.#at += 1;
    return next === '\\' ? this.#escape() : { point: next.codePointAt(0)! };
  }
}

class Compiler {
  readonly #steps: Step[] = [];
  #parts = 0;

  compile(node: Node): { steps: Step[]; parts: number } {
    this.#put(node);
    this.#add({ op: 'done' });
    return { steps: this.#steps, parts: this.#parts };
  }

  #add(step: Step): number {
    if (this.#steps.length >= PROGRAM_MAX) throw new ExpressionError('long');
    return this.#steps.push(step) - 1;
  }

  #split(): { to: number[] } {
    const step = { op: 'split' as const, to: [] as number[] };
    this.#add(step);
    return step;
  }

  #put(node: Node): void {
    this.#parts += 1;
    if (this.#parts > PARTS_MAX) throw new ExpressionError('long');
    if (node.kind === 'one') this.#add({ op: 'one', test: node.test, cost: node.cost });
    else if (node.kind === 'edge') this.#add({ op: 'edge', at: node.at });
    else if (node.kind === 'all') for (const part of node.parts) this.#put(part);
    else if (node.kind === 'any') this.#either(node.parts);
    else this.#repeat(node);
  }

  #either(parts: Node[]): void {
    const fork = this.#split();
    const ends = parts.map((part) => {
      fork.to.push(this.#steps.length);
      this.#put(part);
      return this.#split();
    });
    for (const end of ends) end.to.push(this.#steps.length);
  }

  #repeat({ node, least, most }: { node: Node; least: number; most: number }): void {
    for (let count = 0; count < least; count += 1) {
      const before = this.#steps.length;
      this.#put(node);
      // What takes no step is as empty each further time.
      if (this.#steps.length === before) return;
    }
    if (most === Infinity) {
      const begin = this.#steps.length;
      const fork = this.#split();
      fork.to.push(begin + 1);
      this.#put(node);
      this.#split().to.push(begin);
      fork.to.push(this.#steps.length);
      return;
    }
    const forks = [];
    for (let count = least; count < most; count += 1) {
      const fork = this.#split();
      fork.to.push(this.#steps.length);
      forks.push(fork);
      this.#put(node);
    }
    for (const fork of forks) fork.to.push(this.#steps.length);
  }
}

/** All ways at once, a character at a time. */
function run(program: readonly Step[], text: string, effort: Effort): boolean {
  const least = effort.left === Infinity ? -Infinity : Math.max(0, effort.left - TEXT_STEPS_MAX);
  const seenAt = new Int32Array(program.length).fill(-1);
  let current: number[] = [];
  let at = 0;
  const enter = (list: number[], first: number, isEnd: boolean) => {
    const open = [first];
    for (let step = open.pop(); step !== undefined; step = open.pop()) {
      effort.left -= 1;
      if (seenAt[step] === at) continue;
      seenAt[step] = at;
      const one = program[step]!;
      if (one.op === 'split') for (const to of one.to) open.push(to);
      else if (one.op === 'edge') {
        if (one.at === 'begin' ? at === 0 : isEnd) open.push(step + 1);
      } else list.push(step);
    }
  };
  enter(current, 0, text.length === 0);
  let index = 0;
  while (index < text.length && current.length > 0) {
    const point = text.codePointAt(index)!;
    index += point > 0xffff ? 2 : 1;
    at += 1;
    const next: number[] = [];
    effort.left -= current.length + 1;
    if (effort.left < least) throw new TooSlow();
    for (const step of current) {
      const one = program[step]!;
      if (one.op !== 'one') continue;
      // One step is counted for it already.
      effort.left -= one.cost - 1;
      if (effort.left < least) throw new TooSlow();
      if (one.test(point)) enter(next, step + 1, index >= text.length);
    }
    current = next;
  }
  return index >= text.length && current.some((step) => program[step]!.op === 'done');
}
