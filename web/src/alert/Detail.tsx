// All that there is to know of one alert, in a panel beside the list: what burns, since when, why, who is
// on it, what happened before, whom it was told, and what to do.

import type { Alert } from '@bellwire/client';
import { useEffect, useId, useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { type AttendKind, openAttend } from '../attend/open.js';
import { look } from '../format/severity.js';
import { steady, visible } from '../format/visible.js';
import { attend } from '../board/attention.js';
import { isRaised } from '../board/acting.js';
import { address, go, route } from '../shell/router.js';
import { alertsChanged, entryOf } from '../stores/alerts.js';
import { unitOfAlert } from '../stores/units.js';
import { announce } from '../ui/announce.js';
import { openModal } from '../ui/Dialog.js';
import { isSign, Sign } from '../ui/Sign.js';
import { adopt } from '../ui/adopt.js';
import style from './alert.css' with { type: 'text' };
import { Care, hindrance } from './Care.js';
import { linksOf, unitOfThreshold } from './looks.js';
import { Others } from './Others.js';
import { Notified, Past } from './Past.js';
import { t } from './texts.js';
import { type Told, useTold } from './told.js';
import { Why } from './Why.js';

adopt(style);

const STATES = new Set(['firing', 'acknowledged', 'data_lost', 'pending', 'silenced', 'inhibited', 'resolved']);

/** Annotations that stand elsewhere. */
const SHOWN = new Set(['summary']);

export function Detail({ fingerprint }: { fingerprint: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isPressed = useRef(false);
  const id = useId();
  const { telling, older, refresh } = useTold(fingerprint, () => t('unreachable'));
  const close = () => go(address('alerts', [], route.value.parameters));
  useLayoutEffect(() => openModal(dialog.current!), []);
  // Nothing moves on the board behind it.
  useEffect(attend, []);
  // It may come to the board, or leave it.
  void alertsChanged.value;
  const { told, fault, isMissing, isReading } = telling.value;
  const alert = entryOf(fingerprint)?.alert.value ?? told?.alert ?? lastOf(told);
  const [first] = told?.rule?.thresholds ?? [];
  const unit = (first && unitOfThreshold(first)) ?? (alert ? unitOfAlert(alert as Alert) : null);
  return (
    <dialog
      ref={dialog} class="detail" aria-labelledby={`${id}-title`} data-look={alert && look(alert.severity ?? '')} data-state={alert?.state}
      onCancel={(event) => { event.preventDefault(); close(); }} onClose={close}
      onPointerDown={(event) => { isPressed.current = event.target === dialog.current; }}
      onClick={(event) => { if (event.target === dialog.current && isPressed.current && !isTyped(dialog.current!)) close(); }}
    >
      <article aria-busy={!told && !isMissing}>
        <Head alert={alert as Alert | undefined} titleId={`${id}-title`} fingerprint={fingerprint} close={close} />
        {isReading && <p class="figure" role="status">{t('reading')}</p>}
        {fault && <p class="error" role="alert"><bdi>{isMissing ? t('missing') : told ? t('stale', { why: fault }) : fault}</bdi></p>}
        {!told && !fault && !isReading && <p class="empty">{t('loading')}</p>}
        {told && (
          <div class="parts">
            <Why told={told} />
            {alert && <Todo alert={alert as Alert} />}
            <Care told={told} refresh={refresh} />
            <Notified told={told} />
            <Past telling={telling} unit={unit} older={older} />
            {alert && <Labels alert={alert as Alert} />}
          </div>
        )}
      </article>
    </dialog>
  );
}

/** Whether a comment is typed, which would be lost. */
const isTyped = (dialog: HTMLDialogElement) => Boolean(dialog.querySelector('textarea')?.value.trim());

/** As the newest event has it, where it is on the board no more. */
const lastOf = (told: Told | null) => told?.history.find(({ data }) => data.labels !== undefined)?.data;

function Head({ alert, titleId, fingerprint, close }: { alert: Alert | undefined; titleId: string; fingerprint: string; close: () => void }) {
  const sign = alert && alert.state !== 'firing' && isSign(alert.state) ? alert.state : look(alert?.severity ?? '');
  return (
    <header class="detail-head">
      <div class="line">
        {alert && <Sign name={sign} />}
        <h2 id={titleId}><bdi>{visible(alert?.labels.alertname || fingerprint)}</bdi></h2>
        <button class="quiet cross" type="button" aria-label={t('close')} onClick={close}>×</button>
      </div>
      {alert && (
        <>
          <p class="words"><span class="severity">{visible(alert.severity)}</span> · <b class="state">{STATES.has(alert.state) ? t(`state.${alert.state}` as 'state.firing') : visible(alert.state)}</b></p>
          <p class="labels-in-short">{Object.entries(alert.labels ?? {}).map(([name, value]) => (name === 'alertname' || name === 'severity' ? null : <span key={name} class="label"><bdi>{visible(name)}={visible(value)}</bdi></span>))}</p>
          {(alert.annotations?.summary ?? alert.annotations?.description) !== undefined && <p class="summary" dir="auto">{steady(alert.annotations.summary ?? alert.annotations.description)}</p>}
        </>
      )}
      <Acts fingerprint={fingerprint} />
      <Others fingerprint={fingerprint} />
    </header>
  );
}

function Acts({ fingerprint }: { fingerprint: string }) {
  const alert = entryOf(fingerprint)?.alert.value;
  const isCopied = useSignal(false);
  const reason = hindrance();
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      isCopied.value = true;
      announce(t('copied'));
    } catch {
      // Without the right to the clipboard the address bar has it.
    }
  };
  const kinds: AttendKind[] = !alert || !isRaised(alert) ? [] : [alert.acknowledged ? 'take-back' : 'acknowledge', 'assign', 'comment', 'silence'];
  return (
    <div class="acts-of">
      {kinds.map((kind, place) => (
        // One that becomes another keeps the focus.
        <button key={place} type="button" class={kind === 'acknowledge' ? 'primary' : undefined} disabled={reason !== ''} title={reason || undefined} onClick={() => alert && openAttend(kind, [alert])}>{t(kind as 'acknowledge')}</button>
      ))}
      <button class="quiet" type="button" onClick={() => void copy()}>{isCopied.value ? t('copied') : t('copy')}</button>
      {reason && kinds.length > 0 && <p class="figure">{reason}</p>}
    </div>
  );
}

/** What the rule says that is to be done. */
function Todo({ alert }: { alert: Alert }) {
  const links = linksOf(alert);
  const named = new Set(links.map(({ name }) => name));
  const texts = Object.entries(alert.annotations ?? {}).filter(([name]) => !named.has(name) && !SHOWN.has(name));
  const hasRunbook = links.some(({ name }) => name.startsWith('runbook'));
  return (
    <section class="todo">
      <h3>{t('todo')}</h3>
      {links.length > 0 && (
        <p class="links">
          {links.map(({ name, text, url }) => <a key={name} class="button" href={url} target="_blank" rel="noreferrer noopener" title={visible(url)}>{visible(text)}</a>)}
        </p>
      )}
      {!hasRunbook && alert.rule && <p class="figure note">{t('noRunbook')}</p>}
      {texts.length > 0 && (
        <dl>
          {texts.map(([name, text]) => <div key={name}><dt><bdi>{visible(name)}</bdi></dt><dd dir="auto">{steady(text)}</dd></div>)}
        </dl>
      )}
    </section>
  );
}

function Labels({ alert: { labels } }: { alert: Alert }) {
  return (
    <section class="labels-of">
      <h3>{t('labels')}</h3>
      <dl>
        {Object.entries(labels).map(([name, value]) => <div key={name}><dt><bdi>{visible(name)}</bdi></dt><dd><bdi>{visible(value)}</bdi></dd></div>)}
      </dl>
    </section>
  );
}
