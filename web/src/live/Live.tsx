// Live values: charts of what is chosen, and a list of all. What is shown stands in the address.

import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { visible } from '../format/visible.js';
import { address, go, route } from '../shell/router.js';
import { alertsChanged, allEntries, waitingCount } from '../stores/alerts.js';
import { serverNow } from '../stores/clock.js';
import { connection } from '../stores/stream.js';
import { locale } from '../text/text.js';
import { announce } from '../ui/announce.js';
import { adopt } from '../ui/adopt.js';
import { areRulesKnown, beginAsking, metrics, rules } from './known.js';
import { List } from './List.js';
import css from './live.css' with { type: 'text' };
import { firingMetrics, isOf, planOf, ranked, wordsOf } from './names.js';
import { Panel } from './Panel.js';
import { Picker } from './Picker.js';
import { Plots } from './plots.js';
import { t } from './texts.js';
import { metricsIn } from './thresholds.js';
import { Values } from './values.js';

adopt(css);

/** Minutes that can be chosen. */
const SPANS = [5, 15, 30, 60] as const;
const SPAN = 15;
export const PANELS_MAX = 12;
/** Who has chosen nothing sees so many of what matters most. */
const FIRST_PANELS = 4;
/** A search is followed once nobody types any more. */
const REST_MS = 500;
const EXPRESSION_MAX = 4_096;
const MINUTE_MS = 60_000;

const QUIET = new Set(['resolved', 'silenced', 'inhibited', 'pending']);

/** What the address asks for; nothing where it says nothing. */
export function asked(parameters: URLSearchParams): string[] | null {
  if (!parameters.has('q')) return null;
  return [...new Set(parameters.getAll('q').map((text) => text.trim()).filter((text) => text !== '' && text.length <= EXPRESSION_MAX))].slice(0, PANELS_MAX);
}

export function spanOf(parameters: URLSearchParams): number {
  const minutes = Number(parameters.get('span')?.replace(/m$/, ''));
  return SPANS.find((span) => span === minutes) ?? SPAN;
}

function setShown(expressions: readonly string[], span: number): void {
  const parameters = new URLSearchParams();
  // Nothing is something else than nothing yet.
  for (const expression of expressions.length > 0 ? expressions : ['']) parameters.append('q', expression);
  if (span !== SPAN) parameters.set('span', `${span}m`);
  go(address('live', [], parameters), { replaces: true });
}

export function Live() {
  const values = useMemo(() => new Values(), []);
  const search = useSignal('');
  const draft = useSignal('');
  const field = useRef<HTMLInputElement>(null);
  const pausedAt = useSignal<number | null>(null);
  const firingAlerts = useComputed(() => {
    void alertsChanged.value;
    return [...allEntries()].map(({ alert }) => alert.peek()).filter(({ state }) => !QUIET.has(state));
  });
  const firingKey = useComputed(() => {
    const queries = new Map(rules.value.map(({ name, query }) => [name, query]));
    return JSON.stringify([...firingMetrics(firingAlerts.value.map(({ labels }) => ({ alertname: labels.alertname ?? '' })), queries)].sort());
  });
  const firing = useComputed(() => new Set<string>(JSON.parse(firingKey.value) as string[]));
  const plots = useMemo(() => new Plots(
    (name) => (metrics.peek() ?? []).some((metric) => metric.name === name),
    (expression, { labels }) => metricsIn(expression).some((name) => firing.peek().has(name)) && firingAlerts.peek().some((alert) => isOf(labels, alert.labels)),
  ), []);
  // What was chosen for somebody stays for as long as they look: panels do not come and go by themselves.
  const first = useSignal<readonly string[] | null>(null);
  const span = spanOf(route.value.parameters);
  const spanMs = useSignal(span * MINUTE_MS);
  const own = asked(route.value.parameters);
  // What fires is known once all alerts have come and are shown.
  const isKnown = areRulesKnown.value && connection.value.hasBegun && (first.value !== null || (alertsChanged.value >= 0 && waitingCount() === 0));
  if (own === null && first.value === null && metrics.value && metrics.value.length > 0 && isKnown) {
    first.value = ranked(metrics.value, firing.value).slice(0, FIRST_PANELS).map(({ name }) => name);
  }
  const expressions = own ?? first.value ?? [];

  useEffect(beginAsking, []);
  useEffect(() => () => {
    plots.close();
    values.close();
  }, []);
  useEffect(() => {
    spanMs.value = span * MINUTE_MS;
    if (metrics.value !== null) plots.show(expressions, span * MINUTE_MS);
  }, [JSON.stringify(expressions), span, metrics.value === null]);
  const plan = planOf(metrics.value ?? [], firing.value, wordsOf(search.value));
  useEffect(() => {
    if (metrics.value === null) return;
    const timer = setTimeout(() => values.follow(plan), values.state.peek() === 'asking' ? 0 : REST_MS);
    return () => clearTimeout(timer);
  }, [JSON.stringify(plan.topics), metrics.value === null]);

  const show = (expression: string) => {
    const what = visible(expression);
    if (!expressions.includes(expression)) {
      if (expressions.length >= PANELS_MAX) return announce(t('full', { n: PANELS_MAX }));
      setShown([expression, ...expressions], span);
    }
    draft.value = '';
    announce(t('added', { what }));
  };
  const remove = (expression: string) => {
    setShown(expressions.filter((one) => one !== expression), span);
    announce(t('removed', { what: visible(expression) }));
    field.current?.focus();
  };
  const edit = (expression: string) => {
    setShown(expressions.filter((one) => one !== expression), span);
    draft.value = expression;
    field.current?.focus();
  };
  return (
    <div class="live">
      <header class="live-top">
        <h1>{t('title')}</h1>
        <Picker values={values} firing={firing.value} draft={draft} field={field} show={show} />
        <label>{t('span')} <select value={span} onChange={(event) => setShown(expressions, Number(event.currentTarget.value))}>
          {SPANS.map((minutes) => <option key={minutes} value={minutes}>{minutes === 60 ? t('hour') : t('minutes', { n: minutes })}</option>)}
        </select></label>
        <button type="button" aria-pressed={pausedAt.value !== null} onClick={() => { pausedAt.value = pausedAt.value === null ? serverNow() : null; }}>{pausedAt.value === null ? t('pause') : t('resume')}</button>
        {pausedAt.value !== null && <span class="figure" role="status">{t('paused', { time: new Date(pausedAt.value).toLocaleTimeString(locale()) })}</span>}
      </header>
      {expressions.length === 0 && <p class="empty">{t('empty')}</p>}
      <div class="plots">
        {plots.shown.value.map((plot) => (
          <Panel key={plot.expression} plot={plot} spanMs={spanMs} pausedAt={pausedAt} remove={() => remove(plot.expression)} edit={() => edit(plot.expression)} />
        ))}
      </div>
      <List values={values} plan={plan} firing={firing.value} alerts={firingAlerts.value.map(({ labels }) => labels)} search={search} isPaused={pausedAt.value !== null} show={show} />
    </div>
  );
}
