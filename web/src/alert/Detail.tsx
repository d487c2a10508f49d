// One alert: what it is, why it fires by which rule, what keeps it quiet, where its runbook is, and what
// has become of it.

import type { Alert } from '@bellwire/client';
import { computed, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { type AttendKind, openAttend } from '../attend/open.js';
import { ask, Refused } from '../attend/request.js';
import { age } from '../format/age.js';
import { clockOf } from '../format/clock.js';
import { quantity } from '../format/quantity.js';
import { look } from '../format/severity.js';
import { steady, visible } from '../format/visible.js';
import { address } from '../shell/router.js';
import { alertsChanged, entryOf } from '../stores/alerts.js';
import { serverTimeOf } from '../stores/clock.js';
import { connection } from '../stores/stream.js';
import { unitOfAlert } from '../stores/units.js';
import { lacks } from '../stores/who.js';
import { texts } from '../text/text.js';
import { ticks } from '../ui/now.js';
import { isSign, Sign } from '../ui/Sign.js';

const t = texts({
  en: {
    back: 'Back to the alerts', unreachable: 'The server cannot be reached.', labels: 'Labels', rule: 'Rule', forAtLeast: 'for {age} at least', silences: 'Silences', history: 'History', nothing: 'Nothing is kept of what became of it.',
    until: '{who} until {time}: {comment}', since: 'since {time} · {age}', runbook: 'Runbook', source: 'Source', acknowledge: 'Acknowledge', 'take-back': 'Take back', silence: 'Silence', notLive: 'Not connected: nothing can be done now.', has: '{who} has it', incomplete: 'What was before {time} may be gone.',
  },
  de: {
    back: 'Zurück zu den Alarmen', unreachable: 'Der Server ist nicht zu erreichen.', labels: 'Labels', rule: 'Regel', forAtLeast: 'mindestens {age} lang', silences: 'Stummschaltungen', history: 'Verlauf', nothing: 'Nichts ist davon aufgehoben, was aus ihm wurde.',
    until: '{who} bis {time}: {comment}', since: 'seit {time} · {age}', runbook: 'Runbook', source: 'Quelle', acknowledge: 'Übernehmen', 'take-back': 'Zurücknehmen', silence: 'Stummschalten', notLive: 'Nicht verbunden: jetzt lässt sich nichts tun.', has: '{who} kümmert sich', incomplete: 'Was vor {time} war, ist vielleicht nicht mehr da.',
  },
});

interface Past {
  alert?: Alert;
  rule?: { file: string; group: string; name: string; expression?: string; for_ms?: number };
  silences: { createdBy: string; comment: string; endsAt: string }[];
  history: { type: string; time: number; cursor: string; data: Partial<Alert> & { reason?: string } }[];
  complete_since?: number;
}

/** Links that others wrote lead to pages of the web alone. */
const isWeb = (link: string | undefined): link is string => /^https?:\/\//i.test(link ?? '');

export function Detail({ fingerprint }: { fingerprint: string }) {
  const past = useSignal<Past | null>(null);
  const error = useSignal('');
  const live = useMemo(() => computed(() => {
    void alertsChanged.value;
    return entryOf(fingerprint)?.alert.value;
  }), [fingerprint]);
  // What has become of it is asked for anew whenever something has.
  const turn = `${live.value?.state} ${live.value?.fired_at} ${live.value?.acknowledged?.at} ${connection.value.status === 'live'}`;
  useEffect(() => {
    let isHere = true;
    ask('GET', `v1/alerts/${encodeURIComponent(fingerprint)}?limit=100`).then((answer) => answer.json() as Promise<Past>).then(
      (found) => { if (isHere) [past.value, error.value] = [found, '']; },
      (refused: unknown) => { if (isHere) error.value = refused instanceof Refused ? refused.reason ?? t('unreachable') : String(refused); },
    );
    return () => { isHere = false; };
  }, [fingerprint, turn]);
  const alert = live.value ?? past.value?.alert ?? (past.value?.history[0]?.data as Alert | undefined);
  return (
    <article class="panel detail" aria-busy={past.value === null}>
      <p><a href={address('alerts')}>{t('back')}</a></p>
      {alert?.labels && <Head alert={alert} isOnBoard={live.value !== undefined} />}
      {error.value !== '' && <p class="error" role="alert">{error}</p>}
      {alert?.labels && <Labels alert={alert} />}
      {past.value && <Story past={past.value} />}
    </article>
  );
}

function Head({ alert, isOnBoard }: { alert: Alert; isOnBoard: boolean }) {
  const at = (alert.state === 'resolved' ? alert.resolved_at : alert.fired_at) ?? alert.active_at;
  const { runbook_url: runbook, summary, description } = alert.annotations ?? {};
  return (
    <header data-look={look(alert.severity)} data-state={alert.state}>
      <h1><Sign name={alert.state !== 'firing' && isSign(alert.state) ? alert.state : look(alert.severity)} /> <bdi>{visible(alert.labels.alertname ?? alert.fingerprint)}</bdi></h1>
      <p><b class="tone">{visible(alert.severity)} · {visible(alert.state.replace('_', ' '))}</b> {t('since', { time: clockOf(at), age: age(serverTimeOf(ticks.value) - at) })}</p>
      {alert.value !== undefined && <p class="value">{quantity(alert.value, unitOfAlert(alert))}</p>}
      {[summary, description].map((text, index) => text && <p key={index} class="text"><bdi>{steady(text)}</bdi></p>)}
      {alert.acknowledged && <p class="attention"><bdi>{t('has', { who: visible(alert.acknowledged.by) })} {steady(alert.acknowledged.note)}</bdi></p>}
      <p class="links">
        {isWeb(runbook) && <a href={runbook} rel="noreferrer noopener" target="_blank">{t('runbook')}</a>}{' '}
        {isWeb(alert.generator_url) && <a href={alert.generator_url} rel="noreferrer noopener" target="_blank">{t('source')}</a>}
      </p>
      {isOnBoard && <Acts alert={alert} />}
    </header>
  );
}

function Acts({ alert }: { alert: Alert }) {
  if (alert.state === 'pending' || alert.state === 'resolved' || lacks('attend')) return null;
  const reason = connection.value.status === 'live' ? '' : t('notLive');
  const kinds: ('acknowledge' | 'take-back' | 'silence')[] = [alert.acknowledged ? 'take-back' : 'acknowledge', 'silence'];
  return <p class="acts">{kinds.map((kind) => <button key={kind} type="button" disabled={reason !== ''} title={reason || undefined} onClick={() => openAttend(kind as AttendKind, [alert])}>{t(kind)}</button>)}</p>;
}

function Labels({ alert }: { alert: Alert }) {
  return (
    <section>
      <h2>{t('labels')}</h2>
      <dl class="pairs">{Object.entries(alert.labels).map(([name, value]) => <div key={name}><dt><bdi>{visible(name)}</bdi></dt><dd><bdi>{visible(value)}</bdi></dd></div>)}</dl>
    </section>
  );
}

function Story({ past: { rule, silences, history, complete_since: since } }: { past: Past }) {
  return (
    <>
      {rule && <section><h2>{t('rule')}</h2><p>{visible(rule.file)} · {visible(rule.group)}{rule.for_ms ? ` · ${t('forAtLeast', { age: age(rule.for_ms) })}` : ''}</p>{rule.expression && <pre><code>{steady(rule.expression)}</code></pre>}</section>}
      {silences.length > 0 && <section><h2>{t('silences')}</h2><ul>{silences.map((one, index) => <li key={index}><bdi>{t('until', { who: visible(one.createdBy), time: clockOf(Date.parse(one.endsAt)), comment: steady(one.comment) })}</bdi></li>)}</ul></section>}
      <section>
        <h2>{t('history')}</h2>
        {history.length === 0 && <p class="empty">{t('nothing')}</p>}
        <ol class="story">{history.map(({ cursor, time, type, data }) => (
          <li key={cursor}><time>{clockOf(time)}</time> <b>{type.replace('alert.', '').replace('notification.', '✉ ').replace('_', ' ')}</b> <bdi>{[data.value !== undefined && quantity(data.value), data.acknowledged?.by, data.reason].filter(Boolean).map(steady).join(' · ')}</bdi></li>
        ))}</ol>
        {since !== undefined && <p class="figure">{t('incomplete', { time: clockOf(since) })}</p>}
      </section>
    </>
  );
}
