// What stands above the list and stays there: filter, grouping, view, pausing, and what waits.

import { useSignal } from '@preact/signals';
import { visible } from '../format/visible.js';
import { connection } from '../stores/stream.js';
import { totals } from '../stores/totals.js';
import { lazy } from '../ui/lazy.js';
import { Sheet } from '../ui/Sheet.js';
import { changedInPause, isPaused, laneCounts, refresh, setPaused, shown } from './engine.js';
import { Filter, labelNames } from './Filter.js';
import { t } from './texts.js';
import { DEFAULT_GROUPING, filter, gridBy, grouping, layout, setGridBy, setGrouping, setLayout } from './view.js';

const Options = lazy(async () => (await import('./Options.js')).Options);
const AskLabels = lazy(async () => (await import('./AskLabels.js')).AskLabels);

export function Toolbar() {
  return (
    <div class="tools">
      <Filter />
      <div class="row-of-tools">
        {layout.value === 'grid' ? <GridBy /> : <Grouping />}
        <Layout />
        <button type="button" aria-pressed={isPaused.value} onClick={() => setPaused(!isPaused.value)}>{t(isPaused.value ? 'resume' : 'pause')}</button>
        <Sheet button={t('options')}>{(close) => <Options close={close} />}</Sheet>
        <Waits />
      </div>
    </div>
  );
}

function waitsText(): string {
  const waits = shown.waiting.value;
  const parts: string[] = [];
  if (isPaused.value && changedInPause.value > 0) parts.push(t('waits.changed', { n: changedInPause.value }));
  if (waits) {
    if (waits.added > 0) parts.push(t(waits.worst === 'critical' ? 'waits.worst' : 'waits.added', { n: waits.added }));
    if (waits.gone > 0) parts.push(t('waits.gone', { n: waits.gone }));
    if (waits.added + waits.gone === 0) parts.push(t('waits.moved'));
  }
  return parts.join(', ');
}

/** Shows what waits: by the button, or by a key. */
export function showWaiting(): void {
  if (isPaused.peek()) setPaused(false);
  refresh();
}

/** Its place is always there: what waits moves nothing. */
function Waits() {
  const what = waitsText();
  const all = totals.value;
  const count = Object.values(all.byState).reduce((sum, one) => sum + one, 0);
  const found = Object.values(laneCounts.value).reduce((sum, one) => sum + one, 0);
  return (
    <div class="waits" data-worst={shown.waiting.value?.worst ?? undefined}>
      {isPaused.value && <span class="badge">{t('paused')}</span>}
      {what ? <button class="primary" type="button" onClick={showWaiting}>{t('waits.show', { what })}</button>
        : connection.value.hasBegun && <span class="figure">{filter.value.matchers.length > 0 ? t('shownOf', { shown: found, all: count }) : t('all', { n: count })}</span>}
    </div>
  );
}

function Layout() {
  return (
    <div class="choice" role="group" aria-label={t('view')}>
      {(['list', 'grid'] as const).map((one) => (
        <button key={one} type="button" aria-pressed={layout.value === one} onClick={() => setLayout(one)}>{t(one)}</button>
      ))}
    </div>
  );
}

export const groupingField: { current: HTMLSelectElement | null } = { current: null };

const key = (by: readonly string[] | null) => (by === null ? '' : JSON.stringify(by));

function Grouping() {
  const isAsking = useSignal(false);
  const by = grouping.value;
  const others = useSignal<string[]>([]);
  const known = [DEFAULT_GROUPING, ...others.value.filter((name) => name !== 'alertname').map((name) => [name])];
  const listed = by === null || known.some((one) => key(one) === key(by)) ? known : [...known, by];
  const choose = (value: string) => {
    if (value === 'other') isAsking.value = true;
    else setGrouping(value === '' ? null : (JSON.parse(value) as string[]));
  };
  return (
    <>
      <label class="named">{t('group')}{' '}
        <select
          ref={groupingField} value={key(by)} onFocus={() => { others.value = labelNames(); }}
          onChange={(event) => { choose(event.currentTarget.value); event.currentTarget.value = key(by); }}
        >
          {listed.map((one) => <option key={key(one)} value={key(one)}>{one.map(visible).join(', ')}</option>)}
          <option value="">{t('groupNone')}</option>
          <option value="other">{t('groupOther')}</option>
        </select>
      </label>
      {isAsking.value && <AskLabels close={() => { isAsking.value = false; }} />}
    </>
  );
}

function GridBy() {
  const names = useSignal<string[]>([]);
  const listed = [...new Set([gridBy.value, 'alertname', ...names.value])];
  return (
    <label class="named">{t('by')}{' '}
      <select ref={groupingField} value={gridBy.value} onFocus={() => { names.value = labelNames(); }} onChange={(event) => setGridBy(event.currentTarget.value)}>
        {listed.map((name) => <option key={name} value={name}>{visible(name)}</option>)}
      </select>
    </label>
  );
}
