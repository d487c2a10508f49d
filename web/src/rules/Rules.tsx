// Rules: what each is, how it goes, what it costs, what it has firing; and a bench to try expressions on.

import { useMemo, useRef, useState } from 'preact/hooks';
import { age } from '../format/age.js';
import { count, rate } from '../format/count.js';
import { visible } from '../format/visible.js';
import { route, setParameters } from '../shell/router.js';
import { ask } from '../stores/ask.js';
import { usePolled } from '../stores/polled.js';
import { adopt } from '../ui/adopt.js';
import '../ui/lists.js';
import { ticks } from '../ui/now.js';
import { Stale } from '../ui/Stale.js';
import { Bench } from './Bench.js';
import { Details } from './Details.js';
import { t } from './texts.js';
import { groups, identity, isBlind, type Pace, paces, type Rule, type Rules as Told, stateOf } from './told.js';
import style from './rules.css' with { type: 'text' };

adopt(style);

const EVERY_MS = 5_000;
/** Rules that are shown at first, and that each press adds. */
const ROWS = 200;

const KINDS = { every: () => true, onlyFiring: (rule: Rule) => ['firing', 'data_lost'].includes(stateOf(rule)), onlyFailing: (rule: Rule) => rule.health === 'failing', onlyBlind: isBlind } as const;
type Kind = keyof typeof KINDS;

interface Shown {
  told: Told;
  paces: Map<string, Pace>;
  /** How many rules there are, be they the caller's to see or not. */
  loaded: number;
}

export function Rules() {
  const before = useRef<Told | null>(null);
  const polled = usePolled<Shown>(async (signal) => {
    const [told, status] = await Promise.all([ask<Told>('v1/rules', { signal }), ask<{ rules?: { loaded: number } }>('v1/status', { signal })]);
    const shown = { told, paces: paces(before.current, told), loaded: status.rules?.loaded ?? 0 };
    before.current = told;
    return shown;
  }, EVERY_MS);
  const [query, setQuery] = useState('');
  const [most, setMost] = useState(ROWS);
  const only = route.value.parameters.get('only');
  const kind: Kind = only !== null && Object.hasOwn(KINDS, only) ? (only as Kind) : 'every';
  const shown = polled.answer.value;
  const rules = useMemo(() => {
    const wanted = query.trim().toLowerCase();
    const has = ({ name, expression, group }: Rule) => [name, expression, group].some((text) => text.toLowerCase().includes(wanted));
    return shown?.told.rules.filter((rule) => KINDS[kind](rule) && has(rule)) ?? [];
  }, [shown, query, kind]);
  const [tried, setTried] = useState<{ expression: string; times: number }>({ expression: '', times: 0 });
  const now = shown ? shown.told.time + ticks.value - (polled.at.value ?? 0) : 0;
  return (
    <div class="rules-page">
      <section class="panel" aria-labelledby="rules-title">
        <h1 id="rules-title">{t('title')} {shown && <span class="figure">{t('all', { n: shown.told.rules.length })}</span>}</h1>
        {shown?.told.reload_failure && <p class="said" role="status">{t('reload', { detail: shown.told.reload_failure.detail ?? '' })}</p>}
        <div class="finders">
          <label>{t('find')} <input type="search" value={query} onInput={(event) => setQuery(event.currentTarget.value)} /></label>
          <label>{t('only')} <select value={kind} onChange={(event) => setParameters({ only: event.currentTarget.value === 'every' ? null : event.currentTarget.value })}>
            {(Object.keys(KINDS) as Kind[]).map((one) => <option key={one} value={one}>{t(one)}{shown && one !== 'every' ? ` (${count(shown.told.rules.filter(KINDS[one]).length)})` : ''}</option>)}
          </select></label>
        </div>
        <Stale of={polled} />
        {shown?.told.rules.length === 0 && <Empty loaded={shown.loaded} />}
        {shown && shown.told.rules.length > 0 && rules.length === 0 && <p class="empty" role="status">{t('noneFound')}</p>}
        {shown && groups(rules.slice(0, most)).map((group) => (
          <section class="rule-group" key={`${group.file}\n${group.name}\n${group.rules[0]!.line}`}>
            <h2><bdi>{visible(group.name)}</bdi> <span class="figure wrap"><bdi>{visible(group.file)}</bdi></span></h2>
            <ul>
              {group.rules.map((rule) => <Row key={identity(rule)} rule={rule} pace={shown.paces.get(identity(rule)) ?? null} now={now} onTry={(expression) => setTried({ expression, times: tried.times + 1 })} />)}
            </ul>
          </section>
        ))}
        {rules.length > most && <button type="button" onClick={() => setMost(most + ROWS)}>{t('more', { n: Math.min(ROWS, rules.length - most) })}</button>}
      </section>
      <Bench tried={tried} />
    </div>
  );
}

function Empty({ loaded }: { loaded: number }) {
  if (loaded > 0) return <p class="empty">{t('noneSeen')}</p>;
  return (
    <>
      <p class="empty">{t('none')}</p>
      <pre class="snippet">bellwire serve --rules 'rules/*.yml'</pre>
    </>
  );
}

interface RowProps {
  rule: Rule;
  pace: Pace | null;
  now: number;
  onTry: (expression: string) => void;
}

function Row({ rule, pace, now, onTry }: RowProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <li class="rule" data-health={rule.health}>
      <div class="rule-line">
        <button type="button" class="quiet fold" aria-expanded={isOpen} aria-label={t('details', { name: rule.name })} onClick={() => setOpen(!isOpen)}><span class="mark" aria-hidden="true" /><bdi class="rule-name">{visible(rule.name)}</bdi></button>
        <States rule={rule} />
        <span class="figure">{rule.mode === 'stream' ? t('stream') : t('tick', { every: age(rule.interval_ms ?? 0) })}</span>
        <code class="rule-expression" dir="ltr">{visible(rule.expression)}</code>
        <span class="figure rule-pace">{pace && pace.evaluations >= 0.01 ? t('paceText', { rate: rate(pace.evaluations) }) : ''}</span>
        <span class="figure rule-share">{pace && pace.share > 0 && <meter min={0} max={1} value={pace.share} aria-label={t('share', { share: percent(pace.share) })} title={t('share', { share: percent(pace.share) })} />}</span>
      </div>
      {rule.error !== undefined && <p class="error rule-error"><bdi>{visible(rule.error)}</bdi></p>}
      {isOpen && <Details rule={rule} pace={pace} now={now} onTry={onTry} />}
    </li>
  );
}

export const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

/** How a rule stands, in words: of each state of its alerts how many. */
function States({ rule }: { rule: Rule }) {
  const { alerts, health } = rule;
  const state = stateOf(rule);
  const counted = (['firing', 'data_lost', 'pending'] as const).filter((one) => (alerts?.[one] ?? 0) > 0);
  return (
    <span class="states">
      {health === 'failing' && <b class="state" data-state="failing">{t('failing')}</b>}
      {isBlind(rule) && <b class="state" data-state="blind">{t('blind')}</b>}
      {counted.map((one) => <b class="state" data-state={one} key={one}>{t(one, { n: alerts![one] })}</b>)}
      {counted.length === 0 && health !== 'failing' && !isBlind(rule) && <span class="state" data-state={state}>{t(health === 'unknown' ? 'unknown' : state === 'recording' ? 'recording' : 'inactive')}</span>}
    </span>
  );
}
