// Why an alert fires: what is compared with what, since when, and what it was before.

import type { Alert } from '@bellwire/client';
import { useComputed } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { age } from '../format/age.js';
import type { Unit } from '../format/quantity.js';
import { steady, visible } from '../format/visible.js';
import { entryOf } from '../stores/alerts.js';
import { unitOfAlert } from '../stores/units.js';
import { lacking } from '../stores/who.js';
import { type Mark, type Point, Sparkline } from '../ui/Sparkline.js';
import { ago, amount, clockOf, now, shortly, stampOf, unitOfThreshold } from './looks.js';
import type { Told } from './told.js';
import { t } from './texts.js';
import { measured, numberOf, useValues } from './values.js';

export function Why({ told }: { told: Told }) {
  const { rule } = told;
  const alert = entryOf(told.fingerprint)?.alert.value ?? told.alert;
  const thresholds = rule?.thresholds ?? [];
  const [first] = thresholds;
  const unit = (first && unitOfThreshold(first)) ?? (alert ? unitOfAlert(alert) : null);
  return (
    <section class="why">
      <h3>{t('why')}</h3>
      {alert && <Facts alert={alert} told={told} unit={unit} />}
      {(alert?.rule || rule) && <Values key={first?.query ?? ''} told={told} labels={alert?.labels ?? told.history[0]?.data.labels ?? {}} unit={unit} />}
      {rule && (
        <dl class="rule">
          {rule.expression !== undefined && <Fact name={t('expression')}><pre dir="ltr"><code>{steady(rule.expression)}</code></pre></Fact>}
          <Fact name={t('source')}><bdi>{[rule.file, rule.group, rule.name].map(visible).join(' › ')}</bdi>{rule.expression === undefined && <span class="figure"> · {t('ruleGone')}</span>}</Fact>
        </dl>
      )}
      {alert && !alert.rule && <p class="figure">{t('posted')}</p>}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}

function Facts({ alert, told: { rule, fingerprint }, unit }: { alert: Alert; told: Told; unit: Unit | null }) {
  const { value, active_at: active, fired_at: fired, resolved_at: resolved, sample_time: measuredAt } = alert;
  const isOver = resolved !== undefined;
  const latency = entryOf(fingerprint)?.latencyMs.value ?? null;
  const length = (ms: number | undefined) => (ms !== undefined && ms > 0 ? age(ms) : null);
  const [hold, keep] = [length(rule?.for_ms), length(rule?.keep_firing_for_ms)];
  return (
    <dl class="facts">
      {value !== undefined && (
        <Fact name={t('value')}><b class="value">{amount(value, unit)}</b>{measuredAt !== undefined && <span class="figure" title={stampOf(measuredAt)}> {t('atTime', { time: shortly(measuredAt) })}</span>}</Fact>
      )}
      {rule?.thresholds?.length ? (
        <Fact name={t('threshold')}>
          {rule.thresholds.map((one) => (
            <span key={`${one.expression}${one.operator}${one.value}`} class="threshold">
              {rule.thresholds!.length > 1 && <code><bdi>{visible(one.expression)}</bdi> </code>}{one.operator} {amount(one.value, unitOfThreshold(one) ?? unit)}{' '}
            </span>
          ))}
        </Fact>
      ) : null}
      <Fact name={t(isOver ? 'pendedSince' : 'pendingSince')}><Moment time={active} /></Fact>
      {fired !== undefined && <Fact name={t(isOver ? 'firedSince' : 'firingSince')}><Moment time={fired} /></Fact>}
      {isOver && <Fact name={t('resolvedAt')}><Moment time={resolved} />{fired !== undefined && <span class="figure"> {t('lasted', { age: age(resolved - fired) })}</span>}</Fact>}
      {hold && <Fact name={t('holdFor')}>{hold}</Fact>}
      {keep && <Fact name={t('keepFor')}>{keep}</Fact>}
      {latency !== null && <Fact name={t('latency')}>{t('ms', { n: Math.round(latency) })}</Fact>}
    </dl>
  );
}

/** A time, and how long ago that was. */
export function Moment({ time }: { time: number }) {
  const date = new Date(time);
  return (
    <time dateTime={Number.isNaN(date.getTime()) ? undefined : date.toISOString()} title={stampOf(time)}>
      {shortly(time)} <span class="figure">{ago(time)}</span>
    </time>
  );
}

const MARKS: Record<string, 'fires' | 'resolved' | 'dataLost'> = { 'alert.firing': 'fires', 'alert.resolved': 'resolved', 'alert.data_lost': 'dataLost' };

function Values({ told, labels, unit }: { told: Told; labels: Readonly<Record<string, string>>; unit: Unit | null }) {
  const [first] = told.rule?.thresholds ?? [];
  const refused = lacking('query');
  const followed = useValues(refused ? undefined : first?.query, labels);
  const points = useComputed<readonly Point[]>(() => followed.value);
  const shown = points.value.length > 1 ? points.value : measured(told.series);
  if (refused && shown.length === 0) return <p class="figure note">{t('noRight', { why: refused })}</p>;
  if (shown.length === 0) return <p class="figure note">{t('noValues')}</p>;
  const bounds = (told.rule?.thresholds ?? []).filter(({ expression }) => expression === first?.expression).map(({ operator, value }) => ({ operator, value: numberOf(value) }));
  const marks = told.history.flatMap(({ type, time }): Mark[] => (MARKS[type] ? [{ time, kind: type, text: `${t(MARKS[type])} ${clockOf(time)}` }] : []));
  const quantity = (value: number) => amount(value, unit);
  const last = shown.at(-1)![1];
  const label = `${t('chart', { value: quantity(last) })} ${bounds.length > 0 ? t('chartBound', { bounds: bounds.map(({ operator, value }) => `${operator} ${quantity(value)}`).join(', ') }) : ''}`;
  return <Sparkline points={shown} bounds={bounds} marks={marks} now={Math.min(now(), shown.at(-1)![0] + 60_000)} quantity={quantity} time={shortly} label={label} />;
}
