// All that is known of one rule.

import type { ComponentChildren } from 'preact';
import { age } from '../format/age.js';
import { bytes, count } from '../format/count.js';
import { steady, visible } from '../format/visible.js';
import { address } from '../shell/router.js';
import { percent } from './Rules.js';
import { t } from './texts.js';
import { filterOf, type Pace, type Rule } from './told.js';

interface Props {
  rule: Rule;
  pace: Pace | null;
  now: number;
  onTry: (expression: string) => void;
}

export function Details({ rule, pace, now, onTry }: Props) {
  const { cost, alerts } = rule;
  const raised = alerts ? alerts.firing + alerts.pending + alerts.data_lost : 0;
  const ago = (at: number | undefined) => (at === undefined ? null : t('ago', { age: age(now - at) }));
  const isTold = rule.evaluations !== undefined;
  return (
    <div class="rule-details">
      <dl>
        <Fact name={t('expression')}><pre dir="ltr">{steady(rule.expression)}</pre></Fact>
        <Fact name={t('source')}><bdi>{t('line', { file: visible(rule.file), line: String(rule.line) })}</bdi></Fact>
        {rule.mode_reason && <Fact name={t('why')}><bdi>{visible(rule.mode_reason)}</bdi></Fact>}
        {!!rule.for_ms && <Fact name={t('hold')}>{age(rule.for_ms)}</Fact>}
        {!!rule.keep_firing_ms && <Fact name={t('keepFiring')}>{age(rule.keep_firing_ms)}</Fact>}
        <Pairs name={t('labels')} pairs={rule.labels} />
        <Pairs name={t('annotations')} pairs={rule.annotations ?? {}} />
        {rule.error !== undefined && <Fact name={t('error')}><bdi class="error">{visible(rule.error)}</bdi></Fact>}
        {rule.evaluated_at !== undefined && <Fact name={t('evaluated')}>{ago(rule.evaluated_at)}</Fact>}
        {isTold && rule.mode === 'stream' && <Fact name={t('sample')}>{ago(rule.sample_at) ?? t('noSample')}</Fact>}
        {isTold && rule.mode === 'stream' && <Fact name={t('parts')}>{t('partsText', { n: rule.parts ?? 0, series: count(rule.series ?? 0) })}</Fact>}
        {isTold && <Fact name={t('since')}>{t('done', { evaluations: count(rule.evaluations!), failures: count(rule.failures ?? 0), looks: count(rule.series_looked_at ?? 0) })}{pace && pace.share > 0 && ` · ${t('share', { share: percent(pace.share) })}`}</Fact>}
        {cost.selectors > 0 && <Fact name={t('keeps')}>{cost.kept_ms > 0 ? t('keepsFor', { age: age(cost.kept_ms) }) : t('keepsNewest')}{cost.restless && `. ${t('restless')}`}</Fact>}
        {cost.selectors > 0 && <Fact name={t('memory')}>{t('memoryText', { series: bytes(cost.series_bytes), sample: bytes(cost.sample_bytes) })}</Fact>}
      </dl>
      <div class="controls">
        {raised > 0 && <a class="button" href={address('alerts', [], new URLSearchParams({ filter: filterOf(rule) }))}>{t('board', { n: raised })}</a>}
        <button type="button" onClick={() => onTry(rule.expression)}>{t('tryIt')}</button>
      </div>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

function Pairs({ name, pairs }: { name: string; pairs: Record<string, string> }) {
  const entries = Object.entries(pairs);
  if (entries.length === 0) return null;
  return <Fact name={name}>{entries.map(([label, value]) => <p key={label}><b>{visible(label)}</b> <bdi>{visible(value)}</bdi></p>)}</Fact>;
}
