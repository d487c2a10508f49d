// Values as people read them: with their unit, as many digits as tell something, and times as times.
// Units come from the names of metrics, as Prometheus' and OpenTelemetry's conventions have them, or
// from what is known of a metric besides.

import { language, locale } from '../text/text.js';

export type Unit =
  | 'bytes' | 'bytes/s' | 'seconds' | 'date' | 'ratio' | 'percent' | 'celsius' | 'per-second'
  | 'bar' | 'pascals' | 'volts' | 'amperes' | 'watts' | 'joules' | 'hertz' | 'meters' | 'grams' | 'mm/s';

/** The longest suffix wins; behind it there may be `_total`, `_max` and the like. */
const SUFFIXES: readonly (readonly [string, Unit])[] = [
  ['bytes_per_second', 'bytes/s'], ['mm_per_second', 'mm/s'], ['per_second', 'per-second'],
  ['timestamp_seconds', 'date'], ['time_seconds', 'date'], ['timestamp', 'date'], ['boot_time', 'date'], ['start_time', 'date'],
  ['bytes', 'bytes'], ['seconds', 'seconds'], ['ratio', 'ratio'], ['percent', 'percent'], ['celsius', 'celsius'],
  ['bar', 'bar'], ['pascals', 'pascals'], ['volts', 'volts'], ['amperes', 'amperes'], ['watts', 'watts'], ['joules', 'joules'],
  ['hertz', 'hertz'], ['meters', 'meters'], ['grams', 'grams'],
];
const BEHIND = /_(?:total|sum|max|min|avg|mean|median|p\d+|last|current|created)$/;
/** Units as metadata writes them, where it does not use the same words. */
const WRITTEN: Record<string, Unit> = { s: 'seconds', By: 'bytes', B: 'bytes', '%': 'percent', '1': 'ratio', Cel: 'celsius', Hz: 'hertz', V: 'volts', A: 'amperes', W: 'watts', J: 'joules', m: 'meters', Pa: 'pascals' };

export function unitOf(metric: string, written?: string): Unit | null {
  if (written) {
    const known = WRITTEN[written] ?? SUFFIXES.find(([name]) => name === written)?.[1];
    if (known) return known;
  }
  if (metric.endsWith('_created')) return 'date';
  const name = metric.replace(BEHIND, '');
  // `process_cpu_seconds_total` is a length of time, `node_time_seconds` a point in it.
  return SUFFIXES.find(([suffix]) => name === suffix || name.endsWith(`_${suffix}`) || name.endsWith(`:${suffix}`))?.[1] ?? null;
}

/** Words of PromQL that stand where a metric's name could. */
const KEYWORDS = new Set(['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'offset', 'bool', 'inf', 'nan', 'start', 'end']);
const COUNTS = /^\s*(?:count|count_over_time|changes|resets|absent|absent_over_time|scalar|group|present_over_time|count_values)\s*(?:by\s*\([^)]*\)\s*)?\(/;

/** The unit of what an expression compares; nothing where that is not plain to see. */
export function unitOfExpression(expression: string): Unit | null {
  if (COUNTS.test(expression)) return null;
  const bare = expression.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '""').replace(/\{[^}]*\}|\[[^\]]*\]/g, '').replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, '');
  const [compared = ''] = bare.split(/[=!<>]=?|\b(?:and|or|unless)\b/);
  if (/[*/%^]/.test(compared)) return / \/ |\//.test(compared) ? ratioOf(compared) : null;
  const units = new Set(metricsOf(compared).map((name) => unitOf(name)));
  if (units.size !== 1) return null;
  const [unit = null] = units;
  if (!/\b(?:rate|irate|deriv)\s*\(/.test(compared)) return unit;
  return unit === 'bytes' ? 'bytes/s' : unit === 'seconds' ? 'ratio' : unit === null ? 'per-second' : null;
}

function ratioOf(expression: string): Unit | null {
  const [over = '', under = '', ...more] = expression.split('/');
  if (more.length > 0 || /[*%^+]/.test(expression)) return null;
  const [a, b] = [metricsOf(over).map((name) => unitOf(name)), metricsOf(under).map((name) => unitOf(name))];
  return a.length > 0 && b.length > 0 && a[0] === b[0] ? 'ratio' : null;
}

function metricsOf(expression: string): string[] {
  return [...expression.matchAll(/(?<![\w.])[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()/g)].map(([name]) => name).filter((name) => !KEYWORDS.has(name.toLowerCase()) && !/^\d/.test(name));
}

/** Beyond these a number is written as a power of ten: its digits would fill the page. */
const PLAIN = { least: 1e-4, most: 1e9 };

const formats = new Map<string, Intl.NumberFormat>();
function format(kind: 'digits' | 'fixed'): Intl.NumberFormat {
  const key = `${language.value} ${kind}`;
  let known = formats.get(key);
  if (!known) {
    const options = kind === 'digits' ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 1, minimumFractionDigits: 1 };
    formats.set(key, (known = new Intl.NumberFormat(language.value, options)));
  }
  return known;
}

/** A number as short as it can be told. */
export function number(value: number, kind: 'digits' | 'fixed' = 'digits'): string {
  const size = Math.abs(value);
  if (size === 0 || (size >= PLAIN.least && size < PLAIN.most)) return format(kind).format(value);
  return value.toExponential(3).replace(/\.?0*e\+?/, 'e');
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function bytes(value: number): string {
  const size = Math.abs(value);
  const step = size < 1 ? 0 : Math.min(BYTES.length - 1, Math.floor(Math.log2(size) / 10));
  return `${number(value / 1024 ** step)}\u00a0${BYTES[step]}`;
}

function seconds(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || size >= 1e9) return `${number(value)}\u00a0s`;
  if (size < 1e-3) return `${number(value * 1e6)}\u00a0µs`;
  if (size < 1) return `${number(value * 1e3)}\u00a0ms`;
  if (size < 120) return `${number(value)}\u00a0s`;
  if (size < 7200) return `${number(value / 60)}\u00a0min`;
  return size < 172_800 ? `${number(value / 3600)}\u00a0h` : `${number(value / 86_400)}\u00a0d`;
}

/** From 1980 to 2100: what is outside is no time that somebody meant. */
const TIMES = { least: 315_532_800, most: 4_102_444_800 };

function date(value: number): string {
  const inSeconds = value > TIMES.most ? value / 1000 : value;
  if (inSeconds < TIMES.least || inSeconds > TIMES.most) return seconds(value);
  return new Date(inSeconds * 1000).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'medium' });
}

const SYMBOLS: Partial<Record<Unit, string>> = {
  bar: 'bar', pascals: 'Pa', volts: 'V', amperes: 'A', watts: 'W', joules: 'J', hertz: 'Hz', meters: 'm', grams: 'g', 'mm/s': 'mm/s',
};

/** A value with its unit. Samples have `NaN`, `+Inf` and `-Inf` as text. */
export function quantity(value: number | string, unit: Unit | null = null): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return String(value).replace(/^(-?)Infinity$/, '$1Inf');
  switch (unit) {
    case null: return number(value);
    case 'bytes': return bytes(value);
    case 'bytes/s': return `${bytes(value)}/s`;
    case 'per-second': return `${number(value)}/s`;
    case 'seconds': return seconds(value);
    case 'date': return date(value);
    case 'ratio': return Math.abs(value) <= 10 ? `${number(value * 100)}\u00a0%` : number(value);
    case 'percent': return `${number(value, 'fixed')}\u00a0%`;
    case 'celsius': return `${number(value, 'fixed')}\u00a0°C`;
    default: return `${number(value)}\u00a0${SYMBOLS[unit]}`;
  }
}
