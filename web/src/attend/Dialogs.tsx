// Acknowledging, taking that back, and silencing, of one alert or of many. What comes of it is shown when
// the board hears of it.

import type { Alert } from '@bellwire/client';
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { visible } from '../format/visible.js';
import { serverNow } from '../stores/clock.js';
import { ownName } from '../stores/presence.js';
import { subject } from '../stores/who.js';
import { texts } from '../text/text.js';
import { remember } from '../ui/storage.js';
import { sharedMatchers } from './matchers.js';
import { type Attending, attending } from './open.js';
import { ask, Refused } from './request.js';

const t = texts({
  en: {
    acknowledge: 'Acknowledge', 'take-back': 'Take back', silence: 'Silence', cancel: 'Cancel', who: 'Who', note: 'Note', why: 'Why', matching: 'Matching', for: 'For',
    of: '{what} {name}', many: { one: '{n} alert', other: '{n} alerts' }, unreachable: 'The server cannot be reached.', notDone: '{n} of {all} were not done: {reason}',
    until: 'or until none of these alerts fires any more', none: 'Matches no alert now.', matches: { one: 'Matches {n} alert now: {names}', other: 'Matches {n} alerts now: {names}' },
    fewer: { one: 'One that was meant is not among them.', other: '{n} that were meant are not among them.' },
    minutes30: '30 minutes', hours2: '2 hours', hours8: '8 hours', day: 'a day', week: 'a week',
  },
  de: {
    acknowledge: 'Übernehmen', 'take-back': 'Zurücknehmen', silence: 'Stummschalten', cancel: 'Abbrechen', who: 'Wer', note: 'Notiz', why: 'Warum', matching: 'Trifft auf', for: 'Für',
    of: '{what}: {name}', many: { one: '{n} Alarm', other: '{n} Alarme' }, unreachable: 'Der Server ist nicht zu erreichen.', notDone: '{n} von {all} misslangen: {reason}',
    until: 'oder bis keiner dieser Alarme mehr ausgelöst ist', none: 'Trifft jetzt auf keinen Alarm zu.', matches: { one: 'Trifft jetzt auf {n} Alarm zu: {names}', other: 'Trifft jetzt auf {n} Alarme zu: {names}' },
    fewer: { one: 'Einer der gemeinten ist nicht dabei.', other: '{n} der gemeinten sind nicht dabei.' },
    minutes30: '30 Minuten', hours2: '2 Stunden', hours8: '8 Stunden', day: 'einen Tag', week: 'eine Woche',
  },
});

const PREVIEW_PAUSE_MS = 200;
const NAMED_MAX = 4;
/** Requests at a time. */
const AT_ONCE = 4;
const DURATIONS = [[30, 'minutes30'], [120, 'hours2'], [480, 'hours8'], [1440, 'day'], [10_080, 'week']] as const;
const DURATION = 120;

export function Dialogs() {
  const asked = attending.value;
  return asked && <Dialog key={asked.kind} asked={asked} />;
}

const reasonOf = (error: unknown) => (error instanceof Refused ? error.reason ?? t('unreachable') : String(error));

/** Does it for each; what has failed is told once all were tried. */
async function forEach(alerts: readonly Alert[], act: (alert: Alert) => Promise<unknown>): Promise<void> {
  const open = [...alerts];
  const failures: unknown[] = [];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let alert = open.shift(); alert; alert = open.shift()) await act(alert).catch((error: unknown) => failures.push(error));
  }));
  if (failures.length === 0) return;
  if (alerts.length === 1) throw failures[0];
  throw new Refused(t('notDone', { n: failures.length, all: alerts.length, reason: reasonOf(failures[0]) }));
}

interface Preview { text: string; matchers: unknown[] | null }

function Dialog({ asked: { kind, alerts } }: { asked: Attending }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const error = useSignal('');
  const isBusy = useSignal(false);
  const matchers = useSignal(sharedMatchers(alerts));
  const preview = useSignal<Preview>({ text: '', matchers: null });
  useEffect(() => { dialog.current?.showModal(); }, []);
  useEffect(() => (kind === 'silence' ? follow(matchers.value, alerts, preview, error) : undefined), [matchers.value]);
  const close = () => dialog.current?.close();
  const submit = async (event: Event) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(fields.get(name) ?? '');
    const by = subject.value ?? text('by');
    if (subject.value === null && by) remember('author', (ownName.value = by.trim()));
    isBusy.value = true;
    try {
      if (kind === 'acknowledge') await forEach(alerts, ({ fingerprint }) => ask('POST', `v1/alerts/${fingerprint}/ack`, { by, note: text('note') }));
      else if (kind === 'take-back') await forEach(alerts, ({ fingerprint }) => ask('DELETE', `v1/alerts/${fingerprint}/ack`));
      else {
        const endsAt = new Date(serverNow() + Number(text('for')) * 60_000).toISOString();
        await ask('POST', 'api/v2/silences', { matchers: preview.value.matchers, endsAt, createdBy: by, comment: text('note'), until_resolved: fields.has('until') });
      }
      close();
    } catch (refused) {
      error.value = reasonOf(refused);
    } finally {
      isBusy.value = false;
    }
  };
  const name = alerts.length === 1 ? visible(alerts[0]!.labels.alertname ?? alerts[0]!.fingerprint) : t('many', { n: alerts.length });
  const what = t(kind as 'acknowledge');
  return (
    <dialog ref={dialog} class="attend" aria-labelledby="attend-title" onClose={() => { attending.value = null; }}>
      <form onSubmit={submit}>
        <h2 id="attend-title">{t('of', { what, name })}</h2>
        {kind === 'silence' && <SilenceFields matchers={matchers} preview={preview.value} />}
        {kind !== 'take-back' && <>
          <label>{t('who')} <input name="by" required maxLength={255} autocomplete="name" readOnly={subject.value !== null} defaultValue={subject.value ?? ownName.value} /></label>
          <label>{t(kind === 'silence' ? 'why' : 'note')} <input name="note" required={kind === 'silence'} maxLength={4096} autocomplete="off" /></label>
        </>}
        <p class="error" role="alert">{error}</p>
        <p class="buttons">
          <button type="button" onClick={close}>{t('cancel')}</button>{' '}
          <button class="primary" type="submit" disabled={isBusy.value || (kind === 'silence' && !preview.value.matchers)}>{what}</button>
        </p>
      </form>
    </dialog>
  );
}

function SilenceFields({ matchers, preview }: { matchers: { value: string }; preview: Preview }) {
  return (
    <>
      <label>{t('matching')} <textarea rows={3} required spellcheck={false} value={matchers.value} onInput={(event) => { matchers.value = event.currentTarget.value; }} /></label>
      <p class="figure" aria-live="polite">{preview.text}</p>
      <label>{t('for')} <select name="for" defaultValue={DURATION}>{DURATIONS.map(([minutes, key]) => <option key={key} value={minutes} selected={minutes === DURATION}>{t(key)}</option>)}</select></label>
      <label class="check"><input name="until" type="checkbox" /> {t('until')}</label>
    </>
  );
}

/** Looks what such a silence would match. Until that is known nothing can be silenced, least of all what stood there before. */
function follow(matchers: string, meant: readonly Alert[], preview: { value: Preview }, error: { value: string }): () => void {
  preview.value = { text: '', matchers: null };
  let isWanted = true;
  const timer = setTimeout(async () => {
    try {
      const answer = await ask('POST', 'v1/silences/preview', { matchers });
      const found = (await answer.json()) as { matchers: unknown[]; count: number; alerts: Alert[] };
      if (!isWanted) return;
      error.value = '';
      preview.value = { matchers: found.matchers, text: found.count === 0 ? t('none') : told(found, meant) };
    } catch (refused) {
      if (isWanted) error.value = reasonOf(refused);
    }
  }, PREVIEW_PAUSE_MS);
  return () => {
    isWanted = false;
    clearTimeout(timer);
  };
}

function told({ count, alerts }: { count: number; alerts: Alert[] }, meant: readonly Alert[]): string {
  const names = [...new Set(alerts.map(({ labels }) => visible(labels.alertname ?? '')))].slice(0, NAMED_MAX).join(', ');
  const found = new Set(alerts.map(({ fingerprint }) => fingerprint));
  // Of very many not all are named.
  const missing = alerts.length < count ? 0 : meant.filter(({ fingerprint }) => !found.has(fingerprint)).length;
  return [t('matches', { n: count, names }), missing > 0 && t('fewer', { n: missing })].filter(Boolean).join(' ');
}
