// The test bench: an expression, evaluated now or over some time, and what it comes to.

import { useEffect, useRef, useState } from 'preact/hooks';
import { visible } from '../format/visible.js';
import { route, setParameters } from '../shell/router.js';
import { announce } from '../ui/announce.js';
import { Spark } from '../ui/Spark.js';
import { evaluate, type Outcome, placeOf, type Series, seriesText } from './evaluate.js';
import { t } from './texts.js';

/** Over how long an expression may be evaluated, in seconds; 0 is now. */
const RANGES = [0, 300, 900, 3_600, 21_600] as const;
/** Rows that are shown at first, and that each press adds. */
const ROWS = 50;

type Shown = { outcome: Outcome; range: number } | { error: string; of: string } | null;

export function Bench({ tried }: { tried: { expression: string; times: number } }) {
  const [expression, setExpression] = useState(route.value.parameters.get('query') ?? '');
  const [range, setRange] = useState<number>(900);
  const [isBusy, setBusy] = useState(false);
  const [shown, setShown] = useState<Shown>(null);
  const control = useRef<AbortController | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const run = async (text: string) => {
    control.current?.abort();
    const own = (control.current = new AbortController());
    if (!text.trim()) {
      // What was under way is not waited for any more.
      setBusy(false);
      return setShown({ error: t('empty'), of: text });
    }
    setParameters({ query: text });
    setBusy(true);
    try {
      const outcome = await evaluate(text, range, own.signal);
      if (own !== control.current) return;
      setShown({ outcome, range });
      announce(outcome.count > 0 ? t('result', { n: outcome.count }) : t('nothing'));
    } catch (error) {
      if (own !== control.current) return;
      setShown({ error: (error as Error).message, of: text });
    }
    setBusy(false);
  };
  useEffect(() => {
    if (tried.times === 0) return;
    setExpression(tried.expression);
    field.current?.scrollIntoView({ block: 'center' });
    field.current?.focus();
    void run(tried.expression);
  }, [tried]);
  useEffect(() => () => control.current?.abort(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    void run(expression);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event);
  };
  return (
    <section class="panel bench" aria-labelledby="bench-title">
      <h2 id="bench-title">{t('bench')}</h2>
      <p class="figure wrap">{t('benchHint')}</p>
      <form onSubmit={submit}>
        <label><span class="unseen">{t('expression')}</span>
          <textarea class="code" ref={field} rows={3} spellcheck={false} dir="ltr" value={expression} placeholder="sum by (job) (rate(http_requests_total[5m]))" onInput={(event) => setExpression(event.currentTarget.value)} onKeyDown={onKeyDown} />
        </label>
        <div class="controls">
          <label>{t('when')} <select value={range} onChange={(event) => setRange(Number(event.currentTarget.value))}>
            {RANGES.map((seconds) => <option key={seconds} value={seconds}>{rangeText(seconds)}</option>)}
          </select></label>
          <button type="submit" class="primary" aria-busy={isBusy}>{isBusy ? t('running') : t('run')}</button>
        </div>
      </form>
      {shown && ('error' in shown ? <Fault error={shown.error} of={shown.of} /> : <Result {...shown} />)}
    </section>
  );
}

const rangeText = (seconds: number) => (seconds === 0 ? t('now') : seconds < 3_600 ? t('minutes', { n: seconds / 60 }) : t('hours', { n: seconds / 3_600 }));

/** What is wrong, and where it stands. */
function Fault({ error, of }: { error: string; of: string }) {
  const place = placeOf(error);
  const line = place && of.split('\n')[place.line - 1];
  if (!place || line === null || line === undefined) return <p class="error" role="status"><bdi>{t('failed', { detail: visible(error) })}</bdi></p>;
  const letters = Array.from(line);
  return (
    <div role="status">
      <p class="error"><bdi>{t('at', { line: String(place.line), column: String(place.column), reason: visible(place.reason) })}</bdi></p>
      <pre class="fault" dir="ltr">{letters.slice(0, place.column - 1).join('')}<mark>{letters.slice(place.column - 1).join('') || ' '}</mark></pre>
    </div>
  );
}

function Result({ outcome, range }: { outcome: Outcome; range: number }) {
  const [most, setMost] = useState(ROWS);
  const { series, count, warnings, tookMs } = outcome;
  return (
    <>
      {warnings.map((warning) => <p class="said" key={warning}><bdi>{visible(warning)}</bdi></p>)}
      {series.length === 0 ? <p class="empty">{t('nothing')}</p> : <p class="figure wrap">{t('result', { n: count })} {t('took', { ms: Math.round(tookMs) })}{count > series.length && `, ${t('cut', { n: series.length })}`}</p>}
      {series.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-label={t('bench')}>
          <table class="listed">
            <thead><tr><th scope="col">{t('seriesColumn')}</th>{range > 0 && <th scope="col">{t('course')}</th>}<th scope="col" class="number">{t('value')}</th></tr></thead>
            <tbody>
              {series.slice(0, most).map((one) => {
                const text = seriesText(one.labels);
                return (
                  <tr key={text}>
                    <th scope="row"><bdi>{visible(text)}</bdi></th>
                    {range > 0 && <td><Course of={one} range={range} /></td>}
                    <td class="number">{valueText(one.text)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {series.length > most && <button type="button" onClick={() => setMost(most + ROWS)}>{t('more', { n: Math.min(ROWS, series.length - most) })}</button>}
    </>
  );
}

function Course({ of: { points }, range }: { of: Series; range: number }) {
  const values = points.map(([, value]) => value).filter(Number.isFinite);
  const end = points.at(-1)?.[0] ?? 0;
  const label = t('points', { n: points.length, least: String(Math.min(...values)), most: String(Math.max(...values)) });
  return <Spark points={points} from={Math.min(end - range, points[0]?.[0] ?? 0)} to={end} label={label} />;
}

/** Digits that say nothing are left out; what is no number stays as it is. */
function valueText(text: string): string {
  const value = Number(text);
  return Number.isFinite(value) && text.length > 12 ? String(Number(value.toPrecision(10))) : visible(text);
}
