// What comes on a topic as it comes.

import { useEffect, useMemo, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import { count } from '../format/count.js';
import { steady, visible } from '../format/visible.js';
import { follower } from '../stores/stream.js';
import { locale } from '../text/text.js';
import { type Line, PAUSED, tail } from './tail.js';
import { t } from './texts.js';

type From = 'latest' | 'earliest' | 'cursor';

export function TailPane({ filter, isState }: { filter: string; isState: boolean }) {
  const [from, setFrom] = useState<From>('latest');
  const [cursor, setCursor] = useState('');
  const [after, setAfter] = useState('latest');
  const { lines, state, tailed } = useTail(filter, after);
  const choose = (next: From) => {
    setFrom(next);
    if (next !== 'cursor') setAfter(next);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    if (cursor.trim()) setAfter(cursor.trim());
  };
  const { isPaused, missed, count: all } = tailed;
  return (
    <div class="panel">
      <div class="tail-head">
        <h3>{t('live')} <span class="figure" data-status={state.status}>{t(state.status === 'live' ? 'following' : state.status === 'closed' ? 'closed' : 'connecting')}</span></h3>
        <button type="button" aria-pressed={isPaused.value} onClick={() => tailed.pause(!isPaused.value)}>{isPaused.value ? t('goOn') : t('pause')}</button>
        <button type="button" onClick={tailed.clear}>{t('clear')}</button>
        {!isState && (
          <form class="from" onSubmit={submit}>
            <label>{t('from')} <select value={from} onChange={(event) => choose(event.currentTarget.value as From)}>
              {(['latest', 'earliest', 'cursor'] as const).map((one) => <option key={one} value={one}>{t(one)}</option>)}
            </select></label>
            {from === 'cursor' && <><label class="cursor"><span class="unseen">{t('cursorLabel')}</span><input value={cursor} placeholder="e7-1042" onInput={(event) => setCursor(event.currentTarget.value)} /></label> <button type="submit">{t('read')}</button></>}
          </form>
        )}
      </div>
      {state.refused && <p class="error" role="status">{t('refused', { detail: state.refused })}</p>}
      {state.narrowed && <p class="said">{t('narrowed', { filters: state.narrowed.join(', ') })}</p>}
      {state.hasEnded && <p class="said">{t('topicEnded')}</p>}
      {lines.length === 0 && !state.refused && !state.hasEnded && <p class="empty">{t('waiting')}</p>}
      {lines.length > 0 && (
        <>
          <p class="figure wrap">{t('shown', { n: lines.length, all: count(all.value) })}{missed.value > 0 && ` · ${t('missed', { n: missed.value })}`}</p>
          <ol class="events" tabIndex={0} aria-label={t('live')}>
            {[...lines].reverse().map((line) => <Event key={line.number} line={line} isNamed={filter !== line.topic} />)}
          </ol>
        </>
      )}
    </div>
  );
}

function Event({ line, isNamed }: { line: Line; isNamed: boolean }) {
  if (line.gap === PAUSED) return <li class="gap">{t('missed', { n: line.left })}</li>;
  if (line.gap !== null) return <li class="gap">{t('gap', { reason: line.gap })}</li>;
  const time = new Date(line.time);
  return (
    <li>
      <p class="figure wrap">
        <time dateTime={time.toISOString()}>{time.toLocaleTimeString(locale(), { hour12: false, fractionalSecondDigits: 3, hour: '2-digit', minute: '2-digit', second: '2-digit' })}</time>
        {isNamed && <bdi class="whose">{visible(line.topic)}</bdi>}
        {line.key !== null && <bdi class="whose">{visible(line.key)}</bdi>}
        {line.type !== null && <bdi class="kind">{visible(line.type)}</bdi>}
        {line.cursor !== null && <span>{line.cursor}</span>}
      </p>
      {line.isDeleted ? <p class="figure">{t('deleted')}</p> : <pre dir="auto">{steady(line.data)}{line.left > 0 && <i>{t('leftOut', { n: line.left })}</i>}</pre>}
    </li>
  );
}

interface Following {
  status: string;
  refused: string;
  narrowed: readonly string[] | null;
  hasEnded: boolean;
}

const BEGUN: Following = { status: 'connecting', refused: '', narrowed: null, hasEnded: false };

/** Follows for as long as the pane is there. */
function useTail(filter: string, after: string) {
  const tailed = useMemo(() => tail(), [filter, after]);
  const state = useMemo(() => signal<Following>(BEGUN), [filter, after]);
  useEffect(() => {
    const change = (changed: Partial<Following>) => { state.value = { ...state.value, ...changed }; };
    const subscription = follower.subscribe([filter], { after });
    subscription.addEventListener('event', ({ detail }) => tailed.push(detail));
    subscription.addEventListener('gap', ({ detail }) => tailed.gap(detail.reason));
    subscription.addEventListener('narrowed', ({ detail }) => change({ narrowed: detail.topics }));
    subscription.addEventListener('end', () => change({ hasEnded: true }));
    subscription.addEventListener('reopened', () => change({ hasEnded: false }));
    subscription.addEventListener('status', ({ detail: { status, error } }) => change({ status, refused: status === 'closed' ? error?.message ?? '' : '' }));
    return () => subscription.close();
  }, [filter, after]);
  return { tailed, lines: tailed.lines.value, state: state.value };
}
