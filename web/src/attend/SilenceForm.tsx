// A silence that is made or changed: what it matches, shown before it is, for how long, and why.

import type { Alert } from '@bellwire/client';
import { useSignal } from '@preact/signals';
import { useEffect, useId } from 'preact/hooks';
import { visible } from '../format/visible.js';
import { parse, type Matcher, write } from '../match/matchers.js';
import { serverNow, serverTimeOf } from '../stores/clock.js';
import { locale } from '../text/text.js';
import { ticks } from '../ui/now.js';
import { type Preview, previewOf, putSilence, type Silence } from './api.js';
import { author, keepAuthor } from './author.js';
import { AuthorField, Field, obstacle, Outcome, useWork } from './Dialogs.js';
import { fromApi, matchersOf, toApi } from './matching.js';
import { MatcherField } from './MatcherField.js';
import { t } from './texts.js';

/** Waits for a pause in typing. */
const PREVIEW_PAUSE_MS = 200;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LENGTHS: readonly number[] = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR, 72 * HOUR, 168 * HOUR];
const LENGTH_FIRST = 2 * HOUR;
const NAMED_MAX = 8;

interface Props {
  alerts: readonly Alert[];
  silence?: Silence;
  close: () => void;
}

const lengthText = (length: number): string => {
  if (length < HOUR) return t('for.min', { n: length / MINUTE });
  return length < 24 * HOUR ? t('for.h', { n: length / HOUR }) : t('for.d', { n: length / (24 * HOUR) });
};

/** A time as the field for times has it, in the time of whoever looks. */
function local(time: number): string {
  const date = new Date(time - new Date(time).getTimezoneOffset() * MINUTE);
  return date.toISOString().slice(0, 16);
}

const stamp = (time: number) => new Date(time).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'short' });

export function SilenceForm({ alerts, silence, close }: Props) {
  const isChange = silence !== undefined && silence.state !== 'expired';
  const matchers = useSignal<readonly Matcher[]>(silence ? silence.matchers.map(fromApi) : matchersOf(alerts));
  const draft = useSignal('');
  const reason = useSignal(silence?.comment ?? '');
  const by = useSignal(author());
  // What is there ends when it ends, unless somebody says otherwise.
  const length = useSignal(isChange ? 0 : LENGTH_FIRST);
  const until = useSignal(local(isChange ? silence.ends_at : serverNow() + LENGTH_FIRST));
  const untilResolved = useSignal(silence?.until_resolved ?? false);
  /** When it ends if it is made now. The field has no seconds: what nobody has changed keeps its own. */
  const endOf = (now: number): number => {
    if (length.value > 0) return now + length.value;
    return isChange && until.value === local(silence.ends_at) ? silence.ends_at : Date.parse(until.value);
  };
  const preview = usePreview(matchers);
  const work = useWork();
  const ready = preview.value.found && matchers.value.length > 0;

  const submit = (event: Event) => {
    event.preventDefault();
    const fault = faultOf();
    if (fault) return work.say(fault);
    keepAuthor(by.value.trim());
    const { id, starts_at: startsAt } = silence ?? {};
    void work.run(async () => {
      await putSilence({
        ...(isChange && { id: id!, startsAt: startsAt! }),
        matchers: preview.value.found!.matchers, endsAt: endOf(serverNow()),
        createdBy: by.value.trim(), comment: reason.value.trim(), untilResolved: untilResolved.value,
      });
      return t(isChange ? 'changed' : 'silenced');
    });
  };
  const faultOf = (): string => {
    if (draft.value.trim() !== '') return t(parse(draft.value).wrong ? 'wrongMatcher' : 'typed');
    if (matchers.value.length === 0) return t('noMatchers');
    const now = serverNow();
    if (!(endOf(now) > now)) return t('past');
    if (reason.value.trim() === '') return t('reasonNeeded');
    return by.value.trim() === '' ? t('nameNeeded') : '';
  };
  return (
    <form class="silence" onSubmit={submit} noValidate>
      <MatcherField matchers={matchers} draft={draft} />
      <Shown preview={preview.value} alerts={alerts} asked={matchers.value} />
      <Lengths length={length} until={until} endsAt={endOf(serverTimeOf(ticks.value))} canKeep={isChange} />
      <label class="check"><input type="checkbox" checked={untilResolved.value} onChange={(event) => { untilResolved.value = event.currentTarget.checked; }} /> {t('untilResolved')}</label>
      <Field label={t('reason')} value={reason} isFirst isLong max={4_096} />
      <AuthorField value={by} />
      <Outcome work={work} />
      <div class="buttons">
        <button type="button" onClick={close}>{t('cancel')}</button>
        <button class="primary" type="submit" disabled={!ready || work.isBusy.value || obstacle() !== ''}>
          {work.isBusy.value ? t('working') : t(isChange ? 'do.change' : 'do.silence')}
        </button>
      </div>
    </form>
  );
}

interface LengthsProps { length: { value: number }; until: { value: string }; endsAt: number; canKeep: boolean }

function Lengths({ length, until, endsAt }: LengthsProps) {
  const id = useId();
  return (
    <fieldset class="lengths">
      <legend>{t('length')}</legend>
      <div class="beside">
        <select aria-label={t('length')} value={String(length.value)} onChange={(event) => { length.value = Number(event.currentTarget.value); }}>
          {LENGTHS.map((one) => <option key={one} value={String(one)}>{lengthText(one)}</option>)}
          <option value="0">{t('custom')}</option>
        </select>
        {length.value === 0 && (
          <>
            <label class="unseen" for={id}>{t('until')}</label>
            <input id={id} type="datetime-local" value={until.value} min={local(serverNow())} onInput={(event) => { until.value = event.currentTarget.value; }} />
          </>
        )}
        <span class="figure">{Number.isNaN(endsAt) ? '' : t('endsAt', { time: stamp(endsAt) })}</span>
      </div>
    </fieldset>
  );
}

interface Previewed { found: Preview | null; fault: string; isAsking: boolean }

/** What the matchers match now; asked for anew when they change. */
function usePreview(matchers: { value: readonly Matcher[] }) {
  const shown = useSignal<Previewed>({ found: null, fault: '', isAsking: true });
  const asked = matchers.value;
  useEffect(() => {
    // Those of other matchers must not be silenced in the place of these.
    shown.value = { found: null, fault: '', isAsking: asked.length > 0 };
    if (asked.length === 0) return;
    const ending = new AbortController();
    const waiting = setTimeout(() => {
      previewOf(asked.map(toApi), ending.signal).then(
        (found) => { if (!ending.signal.aborted) shown.value = { found, fault: '', isAsking: false }; },
        (error: Error) => { if (!ending.signal.aborted) shown.value = { found: null, fault: error.message, isAsking: false }; },
      );
    }, PREVIEW_PAUSE_MS);
    return () => {
      clearTimeout(waiting);
      ending.abort();
    };
  }, [asked]);
  return shown;
}

interface ShownProps { preview: Previewed; alerts: readonly Alert[]; asked: readonly Matcher[] }

function Shown({ preview: { found, fault, isAsking }, alerts, asked }: ShownProps) {
  if (fault) return <p class="error" role="alert"><bdi>{fault}</bdi></p>;
  if (!found) return <p class="figure preview" aria-busy={isAsking}>{isAsking ? t('previewing') : ''}</p>;
  const known = new Set(asked.map(write));
  const added = found.matchers.map((one) => write(fromApi(one))).filter((one) => !known.has(one));
  const matched = new Set(found.alerts.map(({ fingerprint }) => fingerprint));
  // Of more than are named it is not known.
  const missed = found.count > found.alerts.length ? 0 : alerts.filter(({ fingerprint }) => !matched.has(fingerprint)).length;
  const counts = new Map<string, number>();
  for (const { labels } of found.alerts) counts.set(labels.alertname ?? '', (counts.get(labels.alertname ?? '') ?? 0) + 1);
  const names = [...counts].sort((a, b) => b[1] - a[1]);
  return (
    <div class="preview" role="status">
      <p>{found.count === 0 ? t('previewNone') : t('preview', { n: found.count })}</p>
      <ul>
        {names.slice(0, NAMED_MAX).map(([name, count]) => <li key={name} class="label"><bdi>{visible(name)}</bdi>{count > 1 && ` × ${count}`}</li>)}
        {names.length > NAMED_MAX && <li>{t('andMore', { n: names.length - NAMED_MAX })}</li>}
      </ul>
      {missed > 0 && <p class="caution">{t('unmatched', { n: missed })}</p>}
      {added.length > 0 && <p class="figure"><bdi>{t('narrowed', { what: visible(added.join(', ')) })}</bdi></p>}
    </div>
  );
}
