// The board on a wall: read from afar, by nobody who could press anything. It shows the worst that there
// is room for, counts the rest, and turns nothing over by itself. Escape leaves it.

import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { age } from '../format/age.js';
import { quantity } from '../format/quantity.js';
import { look } from '../format/severity.js';
import { steady, visible } from '../format/visible.js';
import { write } from '../match/matchers.js';
import { setParameters } from '../shell/router.js';
import { alertsCount } from '../stores/alerts.js';
import { isCurrent, isTrouble, proof } from '../stores/proof.js';
import { connection, lastHeard } from '../stores/stream.js';
import { totals } from '../stores/totals.js';
import { unitOfAlert } from '../stores/units.js';
import { language, locale } from '../text/text.js';
import { isSign, Sign } from '../ui/Sign.js';
import { adopt } from '../ui/adopt.js';
import { ticks } from '../ui/now.js';
import { nameOf, stateText } from './AlertRow.js';
import { Calm, groundText } from './Calm.js';
import { doubtText } from '../shell/doubts.js';
import { Counts } from './Counts.js';
import { givenUp, laneCounts, model, ordered, setPaused, shownNow } from './engine.js';
import { slowText } from './Filter.js';
import { Care, Looks, titleOf, worstOf } from './GroupRow.js';
import { LANES, type LaneName, type Row, since } from './model.js';
import { t as overview } from './overview.js';
import { t } from './texts.js';
import { draft, filter, filterText } from './view.js';
import style from './wall.css' with { type: 'text' };

adopt(style);

const OPEN = { lanes: new Set<LaneName>(['firing', 'pending']), groups: new Set<string>() };

export function Wall() {
  // What is half typed or held stays behind: nobody at the wall could see that it is.
  useLayoutEffect(() => {
    draft.value = '';
    setPaused(false);
  }, []);
  const narrowed = filterText(filter.value.matchers.filter((one) => !givenUp.value.has(write(one))));
  const area = useRef<HTMLUListElement>(null);
  const room = useSignal(1);
  useEffect(() => {
    const leave = (event: KeyboardEvent) => { if (event.key === 'Escape') setParameters({ wall: null }); };
    document.addEventListener('keydown', leave);
    return () => document.removeEventListener('keydown', leave);
  }, []);
  useLayoutEffect(() => {
    const element = area.current!;
    const measure = () => {
      const height = parseFloat(getComputedStyle(element).getPropertyValue('--wall-row')) * parseFloat(getComputedStyle(document.documentElement).fontSize);
      room.value = Math.max(1, Math.floor(element.clientHeight / height));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  void ordered.value;
  const all = model.value.rows(OPEN).filter(({ kind }) => kind !== 'lane');
  const shown = all.slice(0, room.value);
  const hidden = all.slice(room.value).reduce((sum, row) => sum + (row.kind === 'group' ? row.group.items.length : 1), 0);
  const { muted, resolved } = laneCounts.value;
  const count = alertsCount();
  return (
    <section class="on-wall" aria-label={t('title')} data-stale={isCurrent() ? undefined : ''}>
      <header>
        <Counts />
        {narrowed && <bdi class="attention">{t('filter')}: {visible(narrowed)}</bdi>}
        {givenUp.value.size > 0 && <bdi class="attention">{slowText()}</bdi>}
        <Life />
      </header>
      {totals.value.burning === 0 && <Calm />}
      {count > 0 && LANES.every((lane) => laneCounts.value[lane] === 0) && <p class="calm">{t('nothingMatches', { n: count })}</p>}
      <ul ref={area} class="wall-rows">{shown.map((row) => <Line key={row.key} row={row} />)}</ul>
      <footer>
        {hidden > 0 && <span>{overview('moreBelow', { n: hidden })}</span>}
        {muted > 0 && <span>{t('lane.muted')}: {muted.toLocaleString(language.value)}</span>}
        {resolved > 0 && <span>{t('lane.resolved')}: {resolved.toLocaleString(language.value)}</span>}
      </footer>
    </section>
  );
}


/** That what is seen is so now: a wall that stands still looks like a calm one. */
function Life() {
  const now = ticks.value;
  const heard = lastHeard();
  const { doubt } = proof.value;
  const isCalm = totals.value.burning === 0;
  return (
    <div class="life" data-live={isCurrent() ? '' : undefined}>
      <span class="lamp" aria-hidden="true" />
      <b>{overview(isCurrent() ? 'live' : connection.value.status === 'live' ? 'heldUp' : 'notConnected')}</b>
      <span class="heard">{heard !== null && overview('heard', { age: age(now - heard) })}</span>
      {!isCalm && isCurrent() && <span>{doubt ? !isTrouble(doubt) && doubtText(proof.value) : groundText()}</span>}
      <time>{new Date(Date.now()).toLocaleTimeString(locale(), { hourCycle: 'h23' })}</time>
    </div>
  );
}

function Line({ row }: { row: Row }) {
  if (row.kind === 'lane') return null;
  if (row.kind === 'group') {
    const { group } = row;
    void group.version.value;
    const oldest = group.items.reduce((first, item) => Math.min(first, item.since), Infinity);
    const takers = [...group.takers.keys()].map(visible).join(', ');
    return (
      <li data-look={worstOf(group.looks)} data-state={group.lane}>
        <Sign name={worstOf(group.looks)} />
        <p><b><bdi>{titleOf(group)}</bdi></b> <Looks looks={group.looks} /> {takers && <bdi class="attention">{t('has', { who: takers })}</bdi>} <Care alerts={group.items.map(({ alert }) => alert)} /></p>
        <span class="value">{t('alertsCount', { n: group.items.length })}</span>
        <span class="age">{t('for.firing', { age: age(shownNow.value - oldest) })}</span>
      </li>
    );
  }
  const alert = row.item.entry.alert.value;
  return (
    <li data-look={look(alert.severity)} data-state={alert.state}>
      <Sign name={alert.state !== 'firing' && isSign(alert.state) ? alert.state : look(alert.severity)} />
      <p>
        <b><bdi>{nameOf(alert)}</bdi></b> {alert.state !== 'firing' && <span class="state">{stateText(alert.state)}</span>}{' '}
        <bdi class="summary">{steady(alert.annotations.summary ?? Object.entries(alert.labels).filter(([name]) => name !== 'alertname' && name !== 'severity').map(([, value]) => value).join(' · '))}</bdi>{' '}
        {alert.acknowledged && <bdi class="attention">{t('has', { who: visible(alert.acknowledged.by) })}</bdi>} <Care alerts={[alert]} />
      </p>
      <span class="value">{alert.value === undefined ? '' : quantity(alert.value, unitOfAlert(alert))}</span>
      <span class="age">{t('for.firing', { age: age(shownNow.value - since(alert)) })}</span>
    </li>
  );
}
