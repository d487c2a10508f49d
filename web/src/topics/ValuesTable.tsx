// What a state topic holds: some of its keys with their values. They are asked for again and again, and
// of a topic with very many keys when somebody asks: the server looks at all of them for it.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { TopicEvent } from '@bellwire/client';
import { age } from '../format/age.js';
import { count } from '../format/count.js';
import { steady, visible } from '../format/visible.js';
import { ask } from '../stores/ask.js';
import { serverTimeOf } from '../stores/clock.js';
import { usePolled } from '../stores/polled.js';
import { Stale } from '../ui/Stale.js';
import { ticks } from '../ui/now.js';
import { reachable } from './paths.js';
import { written } from './tail.js';
import { t } from './texts.js';

const EVERY_MS = 2_000;
/** Of more keys they are read as many times more seldom, and of far more only when somebody asks. */
const KEYS_OFTEN = 2_000;
const KEYS_BY_ITSELF = 20_000;
/** Keys that are asked for. */
const KEYS_MAX = 500;
/** Rows that are shown at first, and that each press adds. */
const ROWS = 50;

interface Page {
  events: TopicEvent[];
  values_left_out?: number;
}

/** How long until the values are read anew; `Infinity` where they are not by themselves. */
export function pause(keys: number | null): number {
  if (keys === null) return EVERY_MS * 5;
  return keys > KEYS_BY_ITSELF ? Infinity : EVERY_MS * Math.max(1, keys / KEYS_OFTEN);
}

export function ValuesTable({ topic, keys, hurry }: { topic: string; keys: number | null; hurry: number }) {
  const path = reachable(topic);
  if (path === null) return <div class="panel"><p class="empty">{t('dots')}</p></div>;
  return <Values topic={topic} path={path} keys={keys} hurry={hurry} />;
}

function Values({ topic, path, keys, hurry }: { topic: string; path: string; keys: number | null; hurry: number }) {
  const size = useRef(keys);
  size.current = keys;
  const polled = usePolled<Page>((signal) => ask(`${path}?limit=${KEYS_MAX}`, { signal }), () => pause(size.current), topic);
  useEffect(() => { if (hurry > 0) polled.again(); }, [hurry]);
  const [query, setQuery] = useState('');
  const [most, setMost] = useState(ROWS);
  const read = polled.answer.value;
  const rows = useMemo(() => {
    const wanted = query.trim().toLowerCase();
    const events = read?.events ?? [];
    return events.filter(({ key = '' }) => key.toLowerCase().includes(wanted)).sort((a, b) => ((a.key ?? '') < (b.key ?? '') ? -1 : 1));
  }, [read, query]);
  const left = read?.values_left_out ?? 0;
  const now = serverTimeOf(Math.max(ticks.value, polled.at.value ?? 0));
  return (
    <div class="panel">
      <div class="tail-head">
        <h3>{t('values')}</h3>
        <label>{t('findKey')} <input type="search" value={query} onInput={(event) => setQuery(event.currentTarget.value)} /></label>
      </div>
      {pause(keys) === Infinity && <p class="said">{t('large', { n: count(keys!) })} <button type="button" onClick={polled.again}>{t('again')}</button></p>}
      <Stale of={polled} />
      {read && rows.length === 0 && <p class="empty">{query ? (left > 0 ? t('noKeysOf', { n: count(read.events.length) }) : t('noKeys')) : t('noValues')}</p>}
      {rows.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-label={t('values')}>
          <table class="listed">
            <thead><tr><th scope="col">{t('key')}</th><th scope="col">{t('value')}</th><th scope="col">{t('age')}</th></tr></thead>
            <tbody>
              {rows.slice(0, most).map((event) => {
                const { data, left: cut } = written(event);
                return (
                  <tr key={event.key}>
                    <th scope="row"><bdi>{visible(event.key)}</bdi></th>
                    <td><pre dir="auto">{steady(data)}{cut > 0 && <i>{t('leftOut', { n: cut })}</i>}</pre></td>
                    <td class="figure">{age(now - event.time)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > most && <button type="button" onClick={() => setMost(most + ROWS)}>{t('more', { n: Math.min(ROWS, rows.length - most) })}</button>}
      {left > 0 && <p class="figure">{t('valuesLeft', { n: count(left) })}</p>}
    </div>
  );
}
