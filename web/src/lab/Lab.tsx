// The transport lab: the visitor's own browser measures the three transports, and sees what becomes of
// them in a bad network.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { address } from '../shell/router.js';
import { base } from '../stores/stream.js';
import { locale } from '../text/text.js';
import { adopt } from '../ui/adopt.js';
import { announce } from '../ui/announce.js';
import css from './lab.css' with { type: 'text' };
import { quantile } from './ledger.js';
import { BYTES_MAX, EVENTS_MAX, type Fault, RATE_MAX, Run, running, type RunState, type SideResult, state } from './run.js';
import { latencyText, Strips } from './Strip.js';
import { t } from './texts.js';

adopt(css);

const FAULTS: readonly Fault[] = ['buffering', 'dropped', 'drain'];
const TARGETS = ['sse', 'websocket', 'poll'] as const;

export function Lab() {
  const now = state.value;
  const isBusy = now.phase === 'opening' || now.phase === 'running' || now.phase === 'settling';
  // Whoever leaves the page lets go of its connections.
  useEffect(() => () => running()?.stop(), []);
  useEffect(() => {
    if (now.phase === 'done' || now.phase === 'stopped' || now.phase === 'failed') announce(phaseText(now));
  }, [now.phase]);
  return (
    <section class="lab">
      <h1>{t('title')}</h1>
      <p class="about">{t('about')} <a href={address('advice')}>{t('advice')}</a></p>
      <Settings isBusy={isBusy} isFirst={now.phase === 'idle'} />
      <div class="panel">
        <p class="phase">{phaseText(now)} {now.fault && <strong>{t('suffering', { fault: t(now.fault) })}</strong>}</p>
        <Acts isBusy={isBusy} fault={now.fault} />
      </div>
      {now.sides.length > 0 && <Results now={now} />}
    </section>
  );
}

function phaseText({ phase, published, error, sides }: RunState): string {
  switch (phase) {
    case 'running': return t('running', { n: published, all: planned });
    case 'done': {
      const wrong = sides.reduce((sum, { tally }) => sum + tally.missing + tally.doubled, 0);
      return `${t('done', { n: published })} ${wrong === 0 ? t('whole') : t('broken', { n: wrong })}`;
    }
    case 'stopped': return t('stopped', { n: published });
    case 'failed': return t('failed', { error });
    default: return t(phase);
  }
}

/** How many the run that goes on is to publish. */
let planned = 0;

function Settings({ isBusy, isFirst }: { isBusy: boolean; isFirst: boolean }) {
  const events = useSignal(100);
  const rate = useSignal(5);
  const bytes = useSignal(128);
  const filter = useSignal('samples/**');
  const start = (event: Event) => {
    event.preventDefault();
    if (isBusy) return running()?.stop();
    planned = events.value;
    void new Run(base, { events: events.value, rate: rate.value, bytes: bytes.value, filter: filter.value.trim() || 'samples/**' }).run();
  };
  const number = (label: 'events' | 'rate' | 'bytes', of: typeof events, most: number) => (
    <label>
      {t(label)}
      <input
        type="number" min={1} max={most} step={1} required value={of.value} disabled={isBusy}
        onInput={({ currentTarget }) => { if (currentTarget.validity.valid) of.value = currentTarget.valueAsNumber; }}
      />
    </label>
  );
  return (
    <form class="panel settings" onSubmit={start}>
      {number('events', events, EVENTS_MAX)}
      {number('rate', rate, RATE_MAX)}
      {number('bytes', bytes, BYTES_MAX)}
      <label class="wide">
        {t('filter')}
        <input type="text" value={filter.value} maxLength={255} disabled={isBusy} onInput={({ currentTarget }) => { filter.value = currentTarget.value; }} />
      </label>
      <button class="primary" type="submit">{t(isBusy ? 'stop' : isFirst ? 'start' : 'again')}</button>
      <p class="figure">{t('rate_bound', { events: EVENTS_MAX, rate: RATE_MAX, bytes: BYTES_MAX })}</p>
    </form>
  );
}

function Acts({ isBusy, fault }: { isBusy: boolean; fault: Fault | null }) {
  return (
    <div class="plays">
      <div role="group" aria-label={t('faults')}>
        <span class="figure">{t('faults')}</span>
        {FAULTS.map((name) => (
          <button key={name} type="button" disabled={!isBusy || fault !== null} data-fault={name} onClick={() => running()?.suffer(name)}>{t(name)}</button>
        ))}
      </div>
      <div role="group" aria-label={t('moves')}>
        <span class="figure">{t('moves')}</span>
        {TARGETS.map((name) => (
          <button key={name} type="button" disabled={!isBusy} data-move={name} onClick={() => running()?.move(name)}>{t(name)}</button>
        ))}
      </div>
    </div>
  );
}

function Results({ now: { sides, source, clock } }: { now: RunState }) {
  const moving = sides.find(({ name }) => name === 'moving')!;
  return (
    <>
      <div class="panel">
        <h2>{t('strip')}</h2>
        <p class="figure wraps">
          {t(source === 'own' ? 'own' : 'others')}{' '}
          {clock && t('clock', { offset: Math.round(clock.offsetMs), sure: Math.max(1, Math.round(clock.sureMs)) })}
        </p>
        <Strips sides={sides} />
      </div>
      <div class="panel">
        <h2 id="lab-figures">{t('figures')}</h2>
        <div class="scrolled" role="region" aria-labelledby="lab-figures" tabIndex={0}>
          <table>
            <thead>
              <tr>
                {(['transport', 'status', 'received', 'missing', 'doubled', 'gaps', 'median', 'p95', 'p99', 'longest', 'down', 'up', 'requests', 'perEvent', 'reconnect'] as const)
                  .map((key) => <th key={key} scope="col">{t(key)}</th>)}
              </tr>
            </thead>
            <tbody>{sides.map((side) => <SideRow key={side.name} side={side} />)}</tbody>
          </table>
        </div>
        <p class="figure wraps">{t('bytesAbout')}</p>
      </div>
      <div class="panel">
        <h2>{t('movesTable')}</h2>
        {moving.moves.length === 0 ? <p class="empty">{t('noMoves')}</p> : <Moves moves={moving.moves} />}
      </div>
    </>
  );
}

function SideRow({ side }: { side: SideResult }) {
  const { name, over, status, tally, counts, reconnects } = side;
  const { latencies, received } = tally;
  const each = (count: number) => (received === 0 ? t('none') : (count / received).toLocaleString(locale(), { maximumFractionDigits: 2 }));
  const whole = (count: number) => Math.round(count).toLocaleString(locale());
  return (
    <tr data-side={name}>
      <th scope="row">{t(name)}{name === 'moving' && ` (${t(over as 'sse')})`}</th>
      <td data-figure="status">{t(`status_${status}` as 'status_live')}</td>
      <td data-figure="received">{whole(received)}</td>
      <td data-figure="missing" class={tally.missing > 0 ? 'error' : undefined}>{whole(tally.missing)}</td>
      <td data-figure="doubled" class={tally.doubled > 0 ? 'error' : undefined}>{whole(tally.doubled)}</td>
      <td data-figure="gaps">{whole(tally.gaps)}</td>
      {[0.5, 0.95, 0.99, 1].map((share) => <td key={share} data-figure={`p${share * 100}`}>{latencyText(quantile(latencies, share))}</td>)}
      <td data-figure="down">{received === 0 ? t('none') : whole(counts.bytesDown / received)}</td>
      <td data-figure="up">{whole(counts.bytesUp)}</td>
      <td data-figure="requests">{whole(counts.requests)}</td>
      <td data-figure="each">{each(counts.requests)}</td>
      <td data-figure="reconnect">{reconnects.length === 0 ? t('none') : reconnects.map((ms) => latencyText(ms)).join(', ')}</td>
    </tr>
  );
}

function Moves({ moves }: { moves: SideResult['moves'] }) {
  return (
    <div class="scrolled">
      <table class="moves">
        <thead><tr>{(['at', 'from', 'to', 'why'] as const).map((key) => <th key={key} scope="col">{t(key)}</th>)}</tr></thead>
        <tbody>
          {moves.map(({ from, to, reason, atMs }, index) => (
            <tr key={index}>
              <td>{latencyText(atMs)}</td>
              <td>{t(from as 'sse')}</td>
              <td>{t(to as 'sse')}</td>
              <td>{t(`why_${reason}` as 'why_failed')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
