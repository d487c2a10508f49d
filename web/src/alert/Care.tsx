// Who is on it: who has taken it up or is to see to it, what was said, and what keeps it quiet.

import type { Alert } from '@bellwire/client';
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { act, endSilence, type Silence } from '../attend/api.js';
import { author, isKnown, keepAuthor } from '../attend/author.js';
import { openSilence } from '../attend/open.js';
import { steady, visible } from '../format/visible.js';
import { obstacle } from '../board/acting.js';
import { address, route } from '../shell/router.js';
import { entryOf } from '../stores/alerts.js';
import { lacking } from '../stores/who.js';
import { announce } from '../ui/announce.js';
import { shortly, stampOf } from './looks.js';
import type { Comment, Told } from './told.js';
import { t } from './texts.js';
import { Moment } from './Why.js';

/** Why nothing can be done now. */
export const hindrance = (): string => obstacle.value || lacking('attend');

export function Care({ told, refresh }: { told: Told; refresh: () => void }) {
  const alert = entryOf(told.fingerprint)?.alert.value ?? told.alert;
  const isOver = alert === undefined || alert.state === 'resolved';
  return (
    <section class="care">
      <h3>{t('care')}</h3>
      {alert && <Holders alert={alert} />}
      {told.silences.map((silence) => <SilenceRow key={silence.id} silence={silence} refresh={refresh} />)}
      {told.more_silences && <p class="figure">{t('moreSilences')}</p>}
      <Comments comments={told.comments ?? []} />
      {alert && alert.state !== 'pending' && <Say fingerprint={told.fingerprint} isOver={isOver} refresh={refresh} />}
    </section>
  );
}

function Holders({ alert: { acknowledged, assigned, state, inhibited_by: inhibitors } }: { alert: Alert }) {
  const isQuiet = state === 'resolved' || state === 'pending';
  return (
    <>
      {acknowledged
        ? <p class="holder" dir="auto">{t(acknowledged.note ? 'hasNote' : 'has', { who: visible(acknowledged.by), time: shortly(acknowledged.at), note: steady(acknowledged.note) })}</p>
        : !isQuiet && !assigned && <p class="nobody">{t('nobody')}</p>}
      {assigned && <p class="holder" dir="auto">{t('assigned', { to: visible(assigned.to), by: visible(assigned.by) })}</p>}
      {inhibitors?.length ? (
        <p>{t('inhibitedBy')}{' '}
          {inhibitors.map((id) => (
            <a key={id} class="inhibitor" href={address('alerts', [id], route.value.parameters)}><bdi>{visible(entryOf(id)?.alert.value.labels.alertname ?? id)}</bdi></a>
          ))}
        </p>
      ) : null}
    </>
  );
}

function SilenceRow({ silence, refresh }: { silence: Silence; refresh: () => void }) {
  const { id, state, created_by: by, comment, starts_at: from, ends_at: until, until_resolved: untilResolved } = silence;
  const text = state === 'active' ? 'silencedBy' : state === 'pending' ? 'willSilence' : 'wasSilenced';
  const isBusy = useSignal(false);
  const fault = useSignal('');
  const end = async () => {
    isBusy.value = true;
    try {
      await endSilence(id);
      announce(t('ended'));
      fault.value = '';
      refresh();
    } catch (error) {
      fault.value = (error as Error).message;
    } finally {
      isBusy.value = false;
    }
  };
  const reason = hindrance();
  return (
    <div class="silence" data-state={state}>
      <p title={`${stampOf(from)} – ${stampOf(until)}`} dir="auto">
        {t(text, { time: shortly(until), from: shortly(from), who: visible(by) })}{untilResolved && state !== 'expired' && ` ${t('untilResolved')}`}
        {comment && <>: <bdi>{steady(comment)}</bdi></>}
      </p>
      {state !== 'expired' && (
        <span class="acts-of">
          <button type="button" disabled={reason !== ''} title={reason || undefined} onClick={() => openSilence(silence)}>{t('change')}</button>
          <button type="button" disabled={reason !== '' || isBusy.value} title={reason || undefined} onClick={() => void end()}>{isBusy.value ? t('ending') : t('end')}</button>
        </span>
      )}
      {fault.value && <p class="error" role="alert"><bdi>{fault.value}</bdi></p>}
    </div>
  );
}

function Comments({ comments }: { comments: readonly Comment[] }) {
  if (comments.length === 0) return null;
  return (
    <ol class="comments" aria-label={t('comments')}>
      {comments.map(({ by, text, at }) => (
        <li key={`${at}${by}${text}`}>
          <p class="head-of"><b><bdi>{visible(by)}</bdi></b> <Moment time={at} /></p>
          <p class="said" dir="auto">{steady(text)}</p>
        </li>
      ))}
    </ol>
  );
}

function Say({ fingerprint, isOver, refresh }: { fingerprint: string; isOver: boolean; refresh: () => void }) {
  const id = useId();
  const text = useSignal('');
  const by = useSignal(author());
  const isBusy = useSignal(false);
  const fault = useSignal('');
  const reason = hindrance();
  const send = async (event: Event) => {
    event.preventDefault();
    if (text.value.trim() === '' || isBusy.value) return;
    if (by.value.trim() === '') return void (fault.value = t('nameNeeded'));
    isBusy.value = true;
    keepAuthor(by.value.trim());
    try {
      const { refused } = await act({ action: 'comment', by: by.value.trim(), text: text.value.trim() }, [fingerprint]);
      const [why] = refused.keys();
      fault.value = why ?? '';
      if (why === undefined) text.value = '';
      refresh();
    } catch (error) {
      fault.value = (error as Error).message;
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <form class="say" onSubmit={(event) => void send(event)}>
      <label class="unseen" for={`${id}-text`}>{t('say')}</label>
      <textarea id={`${id}-text`} rows={2} dir="auto" maxLength={4096} placeholder={t('say')} value={text.value} onInput={(event) => { text.value = event.currentTarget.value; }} />
      <div class="beside">
        {!isKnown() && text.value !== '' && (
          <>
            <label class="unseen" for={`${id}-by`}>{t('by')}</label>
            <input id={`${id}-by`} type="text" dir="auto" maxLength={255} autocomplete="off" placeholder={t('by')} value={by.value} onInput={(event) => { by.value = event.currentTarget.value; }} />
          </>
        )}
        <button type="submit" disabled={reason !== '' || isBusy.value || text.value.trim() === ''} title={reason || undefined}>{isBusy.value ? t('sending') : t('send')}</button>
        {isOver && text.value !== '' && <span class="figure note">{t('overOnly')}</span>}
      </div>
      {fault.value && <p class="error" role="alert"><bdi>{fault.value}</bdi></p>}
    </form>
  );
}
