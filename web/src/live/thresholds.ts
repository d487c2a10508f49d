// The limits that rules set to what a panel shows, read off their expressions.

export interface Threshold {
  rule: string;
  value: number;
  operator: string;
}

export interface Rule { name: string; query: string }

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const COMPARISON = /(>=|<=|==|!=|>|<)(?:\s*bool\b)?/g;
const SELECTOR = /^([a-zA-Z_:][\w:]*)\s*(?:\{[^{}]*\})?$/;
/** What leaves the unit, and about the size, as they are. */
const SMOOTHED = /^(?:avg|min|max|last|median|quantile)_over_time\s*\(\s*(?:[\d.]+\s*,\s*)?([a-zA-Z_:][\w:]*)\s*(?:\{[^{}]*\})?\s*\[[^\]]*\]\s*\)$/;

/** The same whatever is between its words; what is quoted stays. */
export function squeezed(expression: string): string {
  return expression.replace(/("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|\s+/g, (_, quoted: string | undefined) => quoted ?? ' ')
    .replace(/\s*([(){}[\],=<>!+*/^-])\s*/g, '$1').trim();
}

/** Without parentheses around all of it. */
function bared(expression: string): string {
  const text = expression.trim();
  // Where each parenthesis closes, so that however many there are, all are looked at once.
  const open: number[] = [];
  const ends = new Map<number, number>();
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '(') open.push(index);
    else if (text[index] === ')' && open.length > 0) ends.set(open.pop()!, index);
  }
  let [from, to] = [0, text.length];
  while (ends.get(from) === to - 1) {
    from += 1;
    to -= 1;
    while (from < to && /\s/.test(text[from]!)) from += 1;
    while (from < to && /\s/.test(text[to - 1]!)) to -= 1;
  }
  return text.slice(from, to).trim();
}

/** What a rule compares, and with which number; nothing where it does more than that. */
export function comparison(rule: string): { compared: string; operator: string; value: number } | null {
  const query = bared(rule);
  const masked = query.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\{[^{}]*\}/g, (text) => '_'.repeat(text.length));
  if (/\b(?:and|or|unless)\b/i.test(masked)) return null;
  const found = [...masked.matchAll(COMPARISON)];
  if (found.length !== 1) return null;
  const [{ 0: whole, 1: operator = '', index = 0 }] = found as [RegExpExecArray];
  const right = bared(query.slice(index + whole.length));
  if (!NUMBER.test(right) || operator === '!=') return null;
  return { compared: bared(query.slice(0, index)), operator, value: Number(right) };
}

/** The limits of rules that look at what an expression comes to. */
export function thresholdsOf(expression: string, rules: readonly Rule[]): Threshold[] {
  const own = squeezed(bared(comparison(expression)?.compared ?? expression));
  const metric = SELECTOR.exec(own)?.[1];
  return rules.flatMap(({ name, query }) => {
    const found = comparison(query);
    if (!found) return [];
    const compared = squeezed(found.compared);
    const named = SELECTOR.exec(compared)?.[1] ?? SMOOTHED.exec(compared)?.[1];
    if (compared !== own && (metric === undefined || named !== metric)) return [];
    return [{ rule: name, value: found.value, operator: found.operator }];
  });
}

/** The metrics that an expression names. */
export function metricsIn(expression: string): string[] {
  const bare = expression.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '').replace(/\{[^{}]*\}|\[[^\]]*\]/g, '')
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, '');
  const words = [...bare.matchAll(/(?<![\w.])[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()/g)].map(([word]) => word);
  return [...new Set(words.filter((word) => !/^(?:and|or|unless|offset|bool|inf|nan|start|end|by|without|on|ignoring|group_left|group_right|atan2)$/i.test(word)))];
}
