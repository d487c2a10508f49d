// Connections: how many there are of each transport, who lags, and why others have ended.

import { useRef } from 'preact/hooks';
import { age } from '../format/age.js';
import { bytes, count, rate } from '../format/count.js';
import { visible } from '../format/visible.js';
import { route, setParameters } from '../shell/router.js';
import { ask } from '../stores/ask.js';
import { usePolled } from '../stores/polled.js';
import { locale } from '../text/text.js';
import { adopt } from '../ui/adopt.js';
import '../ui/lists.js';
import { ticks } from '../ui/now.js';
import { Stale } from '../ui/Stale.js';
import { reasonMeaning, reasonName, t } from './texts.js';
import { type Closed, isOrdinary, type Laggard, paces, reasons, type Told } from './told.js';
import style from './connections.css' with { type: 'text' };

adopt(style);

const EVERY_MS = 2_000;
/** As many bytes as the server counts of a stream. */
const BYTES_MAX = 2 ** 32 - 1;
const FAULTS = 'faults';

interface Shown {
  told: Told;
  paces: Map<string, number>;
}

export function Connections() {
  const before = useRef<Told | null>(null);
  const polled = usePolled<Shown>(async (signal) => {
    const told = await ask<Told>('v1/connections', { signal });
    const shown = { told, paces: paces(before.current, told) };
    before.current = told;
    return shown;
  }, EVERY_MS);
  const shown = polled.answer.value;
  const now = shown ? shown.told.time + ticks.value - (polled.at.value ?? 0) : 0;
  return (
    <div class="connections">
      <section class="panel" aria-labelledby="connections-title">
        <h1 id="connections-title">{t('title')}</h1>
        <Stale of={polled} />
        {shown && <Summary told={shown.told} />}
        {shown && <Transports {...shown} />}
      </section>
      {shown && <Laggards told={shown.told} />}
      {shown && <Ended told={shown.told} now={now} />}
    </div>
  );
}

function Summary({ told: { streams, polls_waiting: polls, connections, refused } }: { told: Told }) {
  return (
    <p class="figure wrap">
      {t('streams', { n: streams })} · {t('polls', { n: polls })} · {t('connections', { n: connections })}{refused > 0 && <b class="warn"> · {t('refused', { n: refused })}</b>}
    </p>
  );
}

function Transports({ told, paces: opened }: Shown) {
  return (
    <>
      <h2>{t('transports')}</h2>
      {told.streams === 0 && <p class="empty">{t('noStreams')}</p>}
      <div class="scrolls" tabIndex={0} role="group" aria-label={t('transports')}>
        <table class="listed">
          <thead><tr><th scope="col">{t('transport')}</th><th scope="col">{t('encoding')}</th><th scope="col" class="number">{t('open')}</th><th scope="col" class="number">{t('perSecond')}</th><th scope="col" class="number">{t('opened')}</th></tr></thead>
          <tbody>
            {told.transports.map(({ transport, encoding, open, opened: all }) => (
              <tr key={`${transport} ${encoding}`} class={open === 0 ? 'nothing' : ''}>
                <th scope="row">{transport}</th><td>{encoding}</td><td class="number">{count(open)}</td><td class="number">{rate(opened.get(`${transport} ${encoding}`) ?? 0)}</td><td class="number">{count(all)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Laggards({ told: { lagging, laggards } }: { told: Told }) {
  return (
    <section class="panel" aria-labelledby="laggards-title">
      <h2 id="laggards-title">{t('laggards')}</h2>
      <p class="figure wrap">{t('lagHint')}</p>
      {laggards.length === 0 ? <p class="empty calm">{t('keepsUp')}</p> : (
        <div class="scrolls" tabIndex={0} role="group" aria-labelledby="laggards-title">
          <table class="listed">
            <thead><tr><th scope="col">{t('client')}</th><th scope="col">{t('transport')}</th><th scope="col">{t('follows')}</th><th scope="col" class="number">{t('behind')}</th><th scope="col" class="number">{t('behindBy')}</th><th scope="col" class="number">{t('stalled')}</th><th scope="col">{t('cursor')}</th></tr></thead>
            <tbody>{laggards.map((laggard) => <Lagging key={laggard.connection} of={laggard} />)}</tbody>
          </table>
        </div>
      )}
      {lagging > laggards.length && <p class="figure">{t('more', { n: lagging - laggards.length })}</p>}
    </section>
  );
}

function Lagging({ of }: { of: Laggard }) {
  return (
    <tr>
      <th scope="row"><bdi>{visible(of.connection)}</bdi></th>
      <td>{of.transport}</td>
      <td><Filters of={of.filters} left={0} /></td>
      <td class="number">{count(of.lag_events)}</td>
      <td class="number">{of.lag_ms === undefined ? '–' : age(of.lag_ms)}</td>
      <td class="number">{age(of.stalled_ms)}</td>
      <td class="figure">{of.cursor}</td>
    </tr>
  );
}

function Ended({ told: { closed, closed_counts: counts }, now }: { told: Told; now: number }) {
  const wanted = route.value.parameters.get('reason') ?? '';
  const all = reasons(counts);
  const isShown = ({ reason }: Closed) => (wanted === FAULTS ? !isOrdinary(reason) : !wanted || reason === wanted);
  const rows = closed.filter(isShown);
  return (
    <section class="panel" aria-labelledby="ended-title">
      <h2 id="ended-title">{t('closed')}</h2>
      {all.length === 0 ? <p class="empty calm">{t('noneClosed')}</p> : (
        <>
          <ul class="reasons">
            {all.map(([reason, n]) => (
              <li key={reason} data-ordinary={isOrdinary(reason)}>
                <b>{reasonName(reason)}</b> <span class="figure">{t('total', { n })}</span>
                <p>{reasonMeaning(reason)}</p>
              </li>
            ))}
          </ul>
          <div class="finders">
            <label>{t('show')} <select value={wanted} onChange={(event) => setParameters({ reason: event.currentTarget.value })}>
              <option value="">{t('every')}</option>
              <option value={FAULTS}>{t('faults')}</option>
              {all.map(([reason]) => <option key={reason} value={reason}>{reasonName(reason)}</option>)}
            </select></label>
            <span class="figure wrap">{t('shownOf')}</span>
          </div>
          <div class="scrolls" tabIndex={0} role="group" aria-labelledby="ended-title">
            <table class="listed">
              <thead><tr><th scope="col">{t('when')}</th><th scope="col">{t('reason')}</th><th scope="col">{t('client')}</th><th scope="col">{t('subject')}</th><th scope="col">{t('transport')}</th><th scope="col">{t('follows')}</th><th scope="col" class="number">{t('duration')}</th><th scope="col" class="number">{t('bytes')}</th></tr></thead>
              <tbody>{rows.map((one) => <Row key={`${one.time} ${one.connection} ${one.reason}`} of={one} now={now} />)}</tbody>
            </table>
          </div>
        </>
      )}
    </section>
  );
}

function Row({ of, now }: { of: Closed; now: number }) {
  const time = new Date(of.time);
  const got = bytes(of.bytes);
  return (
    <tr>
      <td><time class="figure" dateTime={time.toISOString()} title={time.toLocaleString(locale())}>{t('ago', { age: age(now - of.time) })}</time></td>
      <td>{isOrdinary(of.reason) ? reasonName(of.reason) : <b class="warn">{reasonName(of.reason)}</b>}{of.lagged && <> <span class="kind">{t('lagged')}</span></>}</td>
      <th scope="row"><bdi>{visible(of.connection)}</bdi></th>
      <td><bdi>{of.subject === undefined ? <span class="figure">{t('nobody')}</span> : visible(of.subject)}</bdi></td>
      <td>{of.transport}{of.encoding !== 'json' && ` (${of.encoding})`}</td>
      <td><Filters of={of.filters} left={of.filters_left_out ?? 0} /></td>
      <td class="number">{age(of.duration_ms)}</td>
      <td class="number">{of.bytes >= BYTES_MAX ? t('atMost', { bytes: got }) : got}</td>
    </tr>
  );
}

function Filters({ of, left }: { of: readonly string[]; left: number }) {
  return (
    <ul class="filters">
      {of.map((filter) => <li key={filter}><bdi>{visible(filter)}</bdi></li>)}
      {left > 0 && <li class="figure">{t('left', { n: left })}</li>}
    </ul>
  );
}
