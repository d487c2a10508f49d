// Rules as the server tells them, and what follows of two tellings.

export interface Rule {
  file: string;
  line: number;
  group: string;
  name: string;
  expression: string;
  kind: 'alerting' | 'recording';
  mode: 'stream' | 'tick';
  mode_reason?: string;
  interval_ms?: number;
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  for_ms?: number;
  keep_firing_ms?: number;
  alerts?: { pending: number; firing: number; data_lost: number };
  cost: Cost;
  health: 'well' | 'failing' | 'unknown';
  error?: string;
  evaluated_at?: number;
  sample_at?: number;
  evaluations?: number;
  failures?: number;
  series_looked_at?: number;
  series?: number;
  parts?: number;
}

export interface Cost {
  windows_ms: number[];
  kept_ms: number;
  restless: boolean;
  series_bytes: number;
  sample_bytes: number;
  selectors: number;
}

export interface Rules {
  rules: Rule[];
  time: number;
  reload_failure?: { detail: string | null };
}

/** What tells a rule from others, as long as the files are the same. */
export const identity = ({ file, line, group, name }: Rule): string => `${file}\n${line}\n${group}\n${name}`;

export type State = 'firing' | 'data_lost' | 'pending' | 'inactive' | 'recording';

/** The worst of its alerts. */
export function stateOf({ kind, alerts }: Rule): State {
  if (kind === 'recording') return 'recording';
  return (['firing', 'data_lost', 'pending'] as const).find((state) => (alerts?.[state] ?? 0) > 0) ?? 'inactive';
}

/** Whether it has nothing to look at although it asks for something. */
export const isBlind = ({ mode, series, cost }: Rule): boolean => mode === 'stream' && series === 0 && cost.selectors > 0;

export interface Pace {
  /** Evaluations, and series that these looked at, a second. */
  evaluations: number;
  looks: number;
  /** Of all that rules look at, from 0 to 1. */
  share: number;
}

/** What each rule has done between two tellings. One that was loaded anew counts from nothing. */
export function paces(before: Rules | null, now: Rules): Map<string, Pace> {
  const seconds = before ? (now.time - before.time) / 1_000 : 0;
  const found = new Map<string, Pace>();
  if (!before || seconds <= 0) return found;
  const known = new Map(before.rules.map((rule) => [identity(rule), rule]));
  let all = 0;
  for (const rule of now.rules) {
    const earlier = known.get(identity(rule));
    if (rule.evaluations === undefined || rule.series_looked_at === undefined || earlier?.evaluations === undefined) continue;
    const since = (later: number, sooner = 0) => Math.max(0, later < sooner ? later : later - sooner) / seconds;
    const looks = since(rule.series_looked_at, earlier.series_looked_at);
    all += looks;
    found.set(identity(rule), { evaluations: since(rule.evaluations, earlier.evaluations), looks, share: 0 });
  }
  if (all > 0) for (const pace of found.values()) pace.share = pace.looks / all;
  return found;
}

export interface Group {
  file: string;
  name: string;
  rules: Rule[];
}

/** The groups in the order of the files. */
export function groups(rules: readonly Rule[]): Group[] {
  const made: Group[] = [];
  for (const rule of rules) {
    const last = made.at(-1);
    if (last?.file === rule.file && last.name === rule.group) last.rules.push(rule);
    else made.push({ file: rule.file, name: rule.group, rules: [rule] });
  }
  return made;
}

/** The board's filter that shows what a rule has raised. */
export const filterOf = ({ name }: Rule): string => `alertname=${JSON.stringify(name)}`;
