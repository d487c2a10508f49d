// What happens to all alerts, as it comes: what fired, resolved and lost its data, who took it up and what
// was said. While somebody is at the list nothing moves in it; what is new waits.

import { computed, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { isAttended, watch } from '../board/attention.js';
import { t as wrongText } from '../board/wrong.js';
import { visible } from '../format/visible.js';
import { dayOf } from '../alert/looks.js';
import { type Matcher, parse, Tester, write } from '../match/matchers.js';
import { route, setParameters } from '../shell/router.js';
import { isCurrent } from '../stores/proof.js';
import { connection } from '../stores/stream.js';
import { adopt } from '../ui/adopt.js';
import { feed, KEPT_MAX } from './feed.js';
import style from './history.css' with { type: 'text' };
import type { Item } from './reading.js';
import { Row } from './Row.js';
import { t } from './texts.js';

adopt(style);

/** Rows are shown so many at a time. */
const STEP = 100;
/** What an expression may take for all that is read, in steps: a tenth of a second. */
const STEPS_MAX = 6_000_000;

const KINDS = ['all', 'turns', 'people'] as const;
type Kind = (typeof KINDS)[number];

const TURNS = new Set(['alert.firing', 'alert.resolved', 'alert.data_lost']);

const filterText = computed(() => route.value.parameters.get('filter') ?? '');
const kind = computed<Kind>(() => KINDS.find((one) => one === route.value.parameters.get('kind')) ?? 'all');

interface Found {
  items: readonly Item[];
  /** Expressions that take too long, and so hide nothing. */
  slow: readonly Matcher[];
}

/** What is looked for; where something is missing is shown whatever it is. */
export function select(items: readonly Item[], matchers: readonly Matcher[], wanted: Kind): Found {
  const slow: Matcher[] = [];
  const tester = new Tester(matchers, (one) => slow.push(one));
  tester.renew(STEPS_MAX);
  const found = items.filter((item) => {
    if (!('event' in item)) return true;
    const { type, data: { labels = {}, state = '', annotations = {} } } = item.event;
    return (wanted === 'all' || TURNS.has(type) === (wanted === 'turns')) && tester.holds({ labels, state, annotations });
  });
  return { items: found, slow };
}

const eventsOf = (items: readonly Item[]) => items.filter((item) => 'event' in item).length;

export function History() {
  const all = feed();
  const list = useRef<HTMLDivElement>(null);
  const count = useSignal(STEP);
  useEffect(() => watch(list.current!), []);
  useEffect(() => {
    if (all.items.peek().length < STEP) void all.older();
  }, []);
  const { status } = connection.value;
  // What could not be read while the server was away is read once it is back.
  useEffect(() => {
    if (status === 'live' && all.state.peek().fault) void all.again();
  }, [status]);
  const { held, show } = useHeld(all.items);
  const { matchers, wrong } = parse(filterText.value);
  const text = filterText.value;
  const found = useMemo(() => select(held.value.items, matchers, kind.value), [held.value.items, text, kind.value]);
  const rows = found.items.slice(0, count.value);
  const { isReading, fault, isWhole } = all.state.value;
  const isFull = all.items.value.length >= KEPT_MAX;
  const older = () => {
    count.value += STEP;
    if (found.items.length < count.value && !isWhole && !isFull) void all.older();
  };
  const [shown, read] = [eventsOf(found.items), eventsOf(held.value.items)];
  return (
    <section class="history" aria-labelledby="history-title" data-stale={connection.value.hasBegun && !isCurrent() ? '' : undefined}>
      <header class="page-head">
        <h1 id="history-title">{t('title')}</h1>
        <p class="figure wrap">{t('what')} {read > 0 && t('shown', { n: shown, all: read })}</p>
      </header>
      <Tools wrong={wrong ? wrongText(wrong.fault, { about: wrong.about }) : found.slow.length > 0 ? wrongText('slow', { about: visible(found.slow.map(write).join(' ')) }) : ''} waiting={held.value.waiting} show={show} />
      <div ref={list} class="rows happened" data-empty={rows.length === 0 ? '' : undefined}>
        {rows.length > 0 && <List rows={rows} />}
      </div>
      {read === 0 && isWhole && <p class="empty">{t('none')}</p>}
      {read > 0 && shown === 0 && !isReading && <p class="empty">{t('noMatch')}</p>}
      {fault && <p class="error" role="alert">{t('failed', { why: fault })} <button type="button" onClick={() => void all.again()}>{t('again')}</button></p>}
      {isReading && <p class="empty" role="status">{t('reading')}</p>}
      {!isReading && !fault && (found.items.length > rows.length || (!isWhole && !isFull))
        && <p class="more"><button type="button" onClick={older}>{t('older')}</button></p>}
      {found.items.length <= rows.length && read > 0 && (isWhole || isFull) && <p class="empty">{t(isFull ? 'full' : 'whole')}</p>}
    </section>
  );
}

interface Held { items: readonly Item[]; waiting: number }

/** All that is read, but for what has come since somebody is at the list. */
function useHeld(items: { value: readonly Item[] }) {
  const asked = useSignal(0);
  const held = useMemo(() => {
    let newest: Item | null = null;
    let shownFor = 0;
    return computed<Held>(() => {
      const all = items.value;
      if (!isAttended.value || newest === null || shownFor !== asked.value) newest = all[0] ?? null;
      shownFor = asked.value;
      const waiting = newest === null ? 0 : Math.max(0, all.indexOf(newest));
      return { items: waiting > 0 ? all.slice(waiting) : all, waiting: eventsOf(all.slice(0, waiting)) };
    });
  }, []);
  return { held, show: () => { asked.value += 1; } };
}

function Tools({ wrong, waiting, show }: { wrong: string; waiting: number; show: () => void }) {
  return (
    <div class="tools">
      <form class="row-of-tools" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search" aria-label={t('filter')} placeholder={t('filterHint')} value={filterText.value} autocapitalize="none" spellcheck={false} aria-invalid={wrong !== '' || undefined}
          onInput={({ currentTarget }) => setParameters({ filter: currentTarget.value })}
        />
        <label class="named">{t('kind')} <select value={kind.value} onChange={({ currentTarget }) => setParameters({ kind: currentTarget.value === 'all' ? null : currentTarget.value })}>
          {KINDS.map((one) => <option key={one} value={one}>{t(`kind.${one}`)}</option>)}
        </select></label>
        <div class="waits">{waiting > 0 && <button class="primary" type="button" onClick={show}>{t('waits', { n: waiting })}</button>}</div>
      </form>
      <p class="error" role="status">{wrong}</p>
    </div>
  );
}

function List({ rows }: { rows: readonly Item[] }) {
  let day = '';
  return (
    <ol aria-label={t('title')}>
      {rows.flatMap((item) => {
        const today = 'event' in item ? dayOf(item.event.time) : day;
        const isNew = today !== day;
        day = today;
        return [isNew ? <li key={`day ${keyOf(item)}`} class="day">{today}</li> : null, <Row key={keyOf(item)} item={item} />];
      })}
    </ol>
  );
}

const keyOf = (item: Item) => ('event' in item ? item.cursor : `${'gap' in item ? 'gap' : 'hole'} ${item.cursor}`);
