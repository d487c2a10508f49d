// Silences: those in force, those to come and those that have ended; who, why, until when, and what each
// silences now. They can be ended, changed, and made once more.

import type { Alert } from '@bellwire/client';
import { signal, useComputed, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { endSilence, listSilences, previewOf, type Silence } from '../attend/api.js';
import { fromApi } from '../attend/matching.js';
import { attending, openSilence } from '../attend/open.js';
import { age } from '../format/age.js';
import { steady, visible } from '../format/visible.js';
import { write } from '../match/matchers.js';
import { address, route, setParameters } from '../shell/router.js';
import { serverTimeOf } from '../stores/clock.js';
import { poll } from '../stores/polled.js';
import { connection } from '../stores/stream.js';
import { lacking } from '../stores/who.js';
import { language, locale } from '../text/text.js';
import { announce } from '../ui/announce.js';
import { adopt } from '../ui/adopt.js';
import style from './silences.css' with { type: 'text' };
import { ticks } from '../ui/now.js';
import { t } from './texts.js';

adopt(style);

const EVERY_MS = 5_000;
/** So many are in the document at once; others are asked for. */
const SHOWN_MAX = 100;
const STATES = ['active', 'pending', 'expired'] as const;
type State = (typeof STATES)[number];

interface Known { silences: Silence[] | null; fault: string }

const known = signal<Known>({ silences: null, fault: '' });

/** Asks at once, while the page is shown. */
let again: () => void = () => {};

async function look(end: AbortSignal): Promise<void> {
  try {
    const silences = await listSilences(end);
    known.value = { silences, fault: '' };
  } catch (error) {
    if ((error as Error).name !== 'AbortError') known.value = { ...known.peek(), fault: (error as Error).message };
  }
}

/** By the clock of the server: what has ended since it was asked for has ended. */
function stateOf({ state, starts_at: from, ends_at: until }: Silence, now: number): State {
  if (state === 'expired' || until <= now) return 'expired';
  return state === 'pending' && from > now ? 'pending' : 'active';
}

const now = () => serverTimeOf(ticks.value);
const hindrance = () => (connection.value.status === 'live' ? lacking('attend') : t('notLive'));

export function Silences() {
  useEffect(() => {
    const asked = poll(look, () => EVERY_MS);
    again = asked.again;
    // A dialog that closes may have changed something.
    const unsubscribe = attending.subscribe((one) => { if (one === null) again(); });
    return () => {
      unsubscribe();
      asked.stop();
      again = () => {};
    };
  }, []);
  const wanted = route.value.parameters.get('filter') ?? '';
  const open = useSignal(SHOWN_MAX);
  const shown = useComputed(() => known.value.silences?.filter((one) => holds(one, wanted)) ?? []);
  const { silences, fault } = known.value;
  const byState = new Map(STATES.map((state) => [state, shown.value.filter((one) => stateOf(one, now()) === state)]));
  const reason = hindrance();
  return (
    <section class="silences" aria-labelledby="silences-title">
      <header class="page-head">
        <h1 id="silences-title">{t('title')}</h1>
        <search>
          <input type="search" aria-label={t('filter')} placeholder={t('filterHint')} value={wanted} maxLength={1024} onInput={(event) => setParameters({ filter: event.currentTarget.value })} />
        </search>
        <button class="primary" type="button" disabled={reason !== ''} title={reason || undefined} onClick={() => openSilence()}>{t('add')}</button>
      </header>
      {reason && <p class="figure note">{reason}</p>}
      {fault && <p class="error" role="alert"><bdi>{silences ? t('stale', { why: fault }) : fault}</bdi></p>}
      {!silences && !fault && <p class="empty" aria-busy="true">{t('loading')}</p>}
      {silences && silences.length === 0 && <p class="empty">{t('none')}</p>}
      {silences && silences.length > 0 && shown.value.length === 0 && <p class="empty">{t('noneMatches', { n: silences.length })}</p>}
      {STATES.map((state) => {
        const these = byState.get(state)!;
        if (these.length === 0) return null;
        return (
          <section key={state} class="panel" aria-labelledby={`silences-${state}`}>
            <h2 id={`silences-${state}`}>{t(`state.${state}`)} <span class="figure">{these.length.toLocaleString(language.value)}</span></h2>
            <ul>{these.slice(0, open.value).map((one) => <Row key={one.id} silence={one} state={state} />)}</ul>
            {these.length > open.value && <button type="button" onClick={() => { open.value += SHOWN_MAX; }}>{t('more', { n: these.length - open.value })}</button>}
          </section>
        );
      })}
    </section>
  );
}

/** Words are looked for in all that is said of it. */
function holds({ filter, created_by: by, comment, id }: Silence, wanted: string): boolean {
  const text = [filter, by, comment, id].join('\n').toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

const stamp = (time: number) => new Date(time).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'short' });

function Row({ silence, state }: { silence: Silence; state: State }) {
  const { id, matchers, created_by: by, comment, starts_at: from, ends_at: until, until_resolved: untilResolved, alerts } = silence;
  const isBusy = useSignal(false);
  const fault = useSignal('');
  const isOpen = useSignal(false);
  const reason = hindrance();
  const end = async () => {
    isBusy.value = true;
    fault.value = '';
    try {
      await endSilence(id);
      announce(t('ended'));
    } catch (error) {
      fault.value = (error as Error).message;
    } finally {
      isBusy.value = false;
      again();
    }
  };
  const left = state === 'active' ? t('endsIn', { age: age(until - now()), time: stamp(until) })
    : state === 'pending' ? t('beginsIn', { age: age(from - now()), time: stamp(from), until: stamp(until) })
    : t('endedAgo', { age: age(now() - until), time: stamp(until) });
  return (
    <li class="silence-row" data-state={state}>
      <div class="what-of">
        <p class="matchers-of">{matchers.map((one) => <code key={write(fromApi(one))} class="chip"><bdi>{visible(write(fromApi(one)))}</bdi></code>)}</p>
        <p class="why-of" dir="auto">{comment ? steady(comment) : <span class="figure">{t('noReason')}</span>}</p>
        <p class="figure"><bdi>{t('by', { who: visible(by) })}</bdi> · {left}{untilResolved && state !== 'expired' && ` · ${t('untilResolved')}`}</p>
      </div>
      <div class="acts-of">
        {state === 'active' && (
          <button class="quiet" type="button" aria-expanded={isOpen.value} onClick={() => { isOpen.value = !isOpen.value; }}>
            {alerts === undefined ? t('uncounted') : t('silences', { n: alerts })}
          </button>
        )}
        {state === 'expired'
          ? <button type="button" disabled={reason !== ''} title={reason || undefined} onClick={() => openSilence(silence)}>{t('again')}</button>
          : (
            <>
              <button type="button" disabled={reason !== ''} title={reason || undefined} onClick={() => openSilence(silence)}>{t('change')}</button>
              <button type="button" disabled={reason !== '' || isBusy.value} title={reason || undefined} onClick={() => void end()}>{isBusy.value ? t('ending') : t('end')}</button>
            </>
          )}
      </div>
      {fault.value && <p class="error" role="alert"><bdi>{fault.value}</bdi></p>}
      {isOpen.value && state === 'active' && <Silenced silence={silence} />}
    </li>
  );
}

/** The alerts that it silences now. */
function Silenced({ silence: { matchers, alerts: count } }: { silence: Silence }) {
  const found = useSignal<readonly Alert[] | null>(null);
  const fault = useSignal('');
  useEffect(() => {
    const ending = new AbortController();
    previewOf(matchers, ending.signal).then(
      ({ alerts }) => {
        found.value = alerts;
        fault.value = '';
      },
      (error: Error) => { if (!ending.signal.aborted) fault.value = error.message; },
    );
    return () => ending.abort();
  }, [count]);
  if (fault.value) return <p class="error" role="alert"><bdi>{fault.value}</bdi></p>;
  if (!found.value) return <p class="figure" aria-busy="true">{t('loading')}</p>;
  if (found.value.length === 0) return <p class="figure">{t('silencesNone')}</p>;
  return (
    <ul class="silenced">
      {found.value.slice(0, SHOWN_MAX).map(({ fingerprint, labels }) => (
        <li key={fingerprint}>
          <a href={address('alerts', [fingerprint])}><bdi>{visible(labels.alertname || fingerprint)}</bdi></a>{' '}
          <span class="label">{Object.entries(labels).filter(([name]) => name !== 'alertname').map(([name, value]) => <bdi key={name}>{visible(name)}={visible(value)} </bdi>)}</span>
        </li>
      ))}
      {found.value.length > SHOWN_MAX && <li class="figure">{t('more', { n: found.value.length - SHOWN_MAX })}</li>}
    </ul>
  );
}
