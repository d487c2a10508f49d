// What stands above the list and stays there: filter, grouping, view, pausing, and what waits.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { visible } from '../format/visible.js';
import { attend } from './attention.js';
import { changedInPause, isPaused, laneCounts, refresh, setAllGroups, setPaused, shown } from './engine.js';
import { Filter, labelNames } from './Filter.js';
import { isHelpOpen } from './Help.js';
import { totals } from '../stores/totals.js';
import { t } from './texts.js';
import { DEFAULT_GROUPING, filter, gridBy, grouping, layout, letters, paging, setGridBy, setGrouping, setLayout } from './view.js';
import { setParameters } from '../shell/router.js';

export function Toolbar() {
  return (
    <div class="tools">
      <Filter />
      <div class="row-of-tools">
        {layout.value === 'grid' ? <GridBy /> : <Grouping />}
        <Layout />
        <button type="button" aria-pressed={isPaused.value} onClick={() => setPaused(!isPaused.value)}>{t(isPaused.value ? 'resume' : 'pause')}</button>
        <Options />
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
        : <span class="figure">{filter.value.matchers.length > 0 ? t('shownOf', { shown: found, all: count }) : t('all', { n: count })}</span>}
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

/** Several labels, in order: a dialog, since a list of choices has no room for all of them. */
function AskLabels({ close }: { close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const text = useSignal((grouping.value ?? []).join(', '));
  useEffect(() => {
    dialog.current?.showModal();
    return attend();
  }, []);
  const submit = (event: Event) => {
    event.preventDefault();
    const names = text.value.split(',').map((name) => name.trim()).filter(Boolean);
    setGrouping(names.length > 0 ? names : null);
    dialog.current?.close();
  };
  return (
    <dialog ref={dialog} aria-labelledby="ask-labels" onClose={close}>
      <form onSubmit={submit}>
        <h2 id="ask-labels">{t('group')}</h2>
        <label>{t('groupLabels')} <input value={text.value} list="ask-labels-names" autocomplete="off" autocapitalize="none" spellcheck={false} onInput={(event) => { text.value = event.currentTarget.value; }} /></label>
        <p class="names">{labelNames().slice(0, 60).map((name) => (
          <button key={name} type="button" onClick={() => { text.value = [...text.value.split(',').map((one) => one.trim()).filter((one) => one && one !== name), name].join(', '); }}><bdi>{visible(name)}</bdi></button>
        ))}</p>
        <p class="buttons"><button type="button" onClick={() => dialog.current?.close()}>{t('close')}</button> <button class="primary" type="submit">{t('groupApply')}</button></p>
      </form>
    </dialog>
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

function Options() {
  const sheet = useRef<HTMLDetailsElement>(null);
  const release = useRef<(() => void) | null>(null);
  const close = () => { if (sheet.current) sheet.current.open = false; };
  useEffect(() => {
    const leave = (event: Event) => { if (!sheet.current?.contains(event.target as Node)) close(); };
    document.addEventListener('pointerdown', leave);
    return () => {
      document.removeEventListener('pointerdown', leave);
      release.current?.();
    };
  }, []);
  const toggled = () => {
    release.current?.();
    release.current = sheet.current?.open ? attend() : null;
  };
  const press = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !sheet.current?.open) return;
    event.stopPropagation();
    close();
    sheet.current.querySelector('summary')?.focus();
  };
  const act = (run: () => void) => () => {
    close();
    run();
  };
  return (
    <details class="sheet" ref={sheet} onToggle={toggled} onKeyDown={press}>
      <summary>{t('options')}</summary>
      <div>
        <button class="quiet" type="button" onClick={act(() => setAllGroups(true))}>{t('expandAll')}</button>
        <button class="quiet" type="button" onClick={act(() => setAllGroups(false))}>{t('collapseAll')}</button>
        <button class="quiet" type="button" onClick={act(() => void navigator.clipboard?.writeText(location.href))}>{t('copyLink')}</button>
        <button class="quiet" type="button" onClick={act(() => setParameters({ wall: '1' }))}>{t('wall')}</button>
        <button class="quiet" type="button" onClick={act(() => { isHelpOpen.value = true; })}>{t('help')}</button>
        <label><input type="checkbox" checked={paging.signal.value} onChange={(event) => paging.set(event.currentTarget.checked)} /> {t('paged')}</label>
        <label><input type="checkbox" checked={letters.signal.value} onChange={(event) => letters.set(event.currentTarget.checked)} /> {t('letters')}</label>
      </div>
    </details>
  );
}
